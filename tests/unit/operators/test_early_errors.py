"""What is wrong with a task is said when its DAG file is parsed, as far as it can be known."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_sm_processing import (
    DefinitionError,
    NetworkConfig,
    ProcessingInput,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)

INPUT = ProcessingInput("s3://b/k", "/opt/ml/processing/in")
OUTPUT = ProcessingOutput("/opt/ml/processing/out", output_name="out")

WRONG = {
    "no image": ({"image_uri": None}, ("image_uri", 'is required, or image instead, such as "sklearn:1.4-2"')),
    "two ways to say the image": (
        {"image": "sklearn:1.4-2"},
        ("image", "can't be combined with image_uri: set one of them"),
    ),
    "an image of no form": (
        {"image_uri": None, "image": "sklearn:latest"},
        (
            "image",
            (
                "must be a framework, a colon and a version, such as sklearn:1.4-2 or pytorch:2.3-gpu-py311, or an "
                "image's URI; airflow-sm-processing images lists them"
            ),
        ),
    ),
    "no instance type": ({"instance_type": None}, ("instance_type", "is required, or instance_preferences instead")),
    "two ways to choose instances": (
        {"instance_preferences": ["ml.m5.large"]},
        ("instance_type", "can't be combined with instance_preferences"),
    ),
    "no instance count": ({"instance_count": None}, ("instance_count", "is required")),
    "count is no number": ({"instance_count": "two"}, ("instance_count", "must be a whole number")),
    "no code": ({"code": ""}, ("code", "is required: a local file or folder, file:// or s3://")),
    "code is None": ({"code": None}, ("code", "is required: a local file or folder, file:// or s3://")),
    "preferences without a count": (
        {"instance_type": None, "instance_count": None, "instance_preferences": ["ml.m5.large"]},
        ("instance_count", "is required, or one in each of the instance_preferences"),
    ),
    "no command": ({"command": []}, ("command", 'is required with code, such as ["python3"]')),
    "script outside the folder": (
        {"code": "s3://code/", "script_name": "../x.py"},
        ("script_name", "must be a path inside the code folder"),
    ),
    "unknown field of an input": (
        {"inputs": [{"sauce": "s3://b/k"}]},
        (
            "inputs[0].sauce",
            (
                "isn't a field of ProcessingInput; its fields are source, destination, input_name, s3_data_type, "
                "s3_input_mode, s3_data_distribution_type, s3_compression_type, s3_input, dataset_definition, "
                "app_managed, optional, json, file_name"
            ),
        ),
    ),
    "an input that is none": ({"inputs": [3]}, ("inputs[0]", "must be a ProcessingInput or a dict of its fields")),
    "inputs that are no list": ({"inputs": {"a": 1}}, ("inputs", "must be a list")),
    "output name is taken": (
        {"outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="job_name")]},
        (
            "outputs[0].output_name",
            (
                "is an XCom key of the task itself; so are _job, _job_details, _link_job, _link_logs, _link_outputs, "
                "job_arn, job_name, log_position, return_value"
            ),
        ),
    ),
    "result file without a path": (
        {
            "outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            "result_files": {"metrics": "out"},
        },
        (
            "result_files['metrics']",
            "must be '<output name>/<path of the file>', such as 'evaluation/metrics.json'",
        ),
    ),
    "result file that climbs": (
        {
            "outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            "result_files": {"metrics": "out/../secret.json"},
        },
        (
            "result_files['metrics']",
            "must be '<output name>/<path of the file>', such as 'evaluation/metrics.json'",
        ),
    ),
    "result file of no output": (
        {
            "outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            "result_files": {"metrics": "evaluation/metrics.json"},
        },
        ("result_files['metrics']", "begins with no output of the task; its outputs are out"),
    ),
    "result file under a taken name": (
        {
            "outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            "result_files": {"out": "out/metrics.json"},
        },
        ("result_files['out']", "is an XCom key of the task already; choose another name"),
    ),
    "result files that nobody waits for": (
        {
            "outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            "result_files": {"metrics": "out/metrics.json"},
            "wait_for_completion": False,
        },
        ("result_files", "needs the job's end: set wait_for_completion=True"),
    ),
    "result files that are a list": (
        {"result_files": ["out/metrics.json"]},
        ("result_files", "must be a dict: a name for XCom, and '<output name>/<path of the file>'"),
    ),
    "no room for result files": (
        {
            "outputs": [ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            "result_files": {"metrics": "out/metrics.json"},
            "max_result_file_bytes": 0,
        },
        ("max_result_file_bytes", "must be a positive number of bytes"),
    ),
    "flag that is none": (
        {"network_config": {"enable_network_isolation": "maybe"}},
        ("network_config.enable_network_isolation", "must be true or false"),
    ),
    "on_stopped": ({"on_stopped": "explode"}, ("on_stopped", "must be one of fail, skip, succeed")),
    "max_wait": ({"max_wait": -1}, ("max_wait", "must be more than 0 seconds")),
    "poll_interval": ({"poll_interval": "often"}, ("poll_interval", "must be a number of seconds, or a timedelta")),
}


@pytest.mark.parametrize(("parameters", "problem"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_reported_at_parse_time(task_factory, parameters, problem):
    with pytest.raises(DefinitionError) as caught:
        task_factory(**parameters)
    assert [(found.parameter, found.rule) for found in caught.value.problems] == [problem]
    assert "task task" in str(caught.value)


def test_every_mistake_is_reported_at_once(task_factory):
    with pytest.raises(DefinitionError) as caught:
        task_factory(on_stopped="x", inputs=[INPUT, INPUT], outputs=[{"destination": "http://x"}])
    assert [found.parameter for found in caught.value.problems] == [
        "outputs[0].source",
        "outputs[0].destination",
        "inputs[1].destination",
        "on_stopped",
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        {"instance_count": "{{ params.n }}"},
        {"image": "{{ params.image }}", "image_uri": None},
        {"inputs": "{{ params.inputs }}"},
        {"inputs": ["{{ params.first }}", INPUT]},
        {"inputs": [ProcessingInput("{{ x }}", "{{ y }}", input_name="{{ z }}", s3_compression_type="Gzip",
                                    s3_input_mode="{{ mode }}")]},
        {"outputs": [ProcessingOutput("{{ a }}", "{{ b }}", "{{ c }}")]},
        {"instance_type": None, "instance_preferences": "{{ params.types }}"},
        {"instance_type": None, "instance_count": None, "instance_preferences": ["{{ params.first }}", "ml.m5.large"]},
        {"network_config": "{{ params.network }}"},
        {"on_stopped": "{{ params.on_stopped }}", "max_wait": "{{ params.wait }}", "deferrable": "{{ params.d }}"},
        {"code": "{{ params.code }}", "command": "{{ params.command }}", "script_name": "{{ params.script }}"},
        {"inputs": [{"dataset_definition": "{{ d }}"}]},
    ],
)  # fmt: skip
def test_what_only_a_run_knows_is_passed_over(task_factory, parameters):
    task_factory(**parameters)


def test_a_reference_is_passed_over(task_factory):
    upstream = task_factory(task_id="upstream", outputs=[OUTPUT], result_files={"count": "out/count.txt"})
    task = task_factory(
        task_id="downstream",
        instance_count=upstream.output["count"],
        inputs=[ProcessingInput(upstream.output["out"], "/opt/ml/processing/in")],
    )
    assert task.upstream_task_ids == {"upstream"}


def test_a_valid_processing_operator_is_accepted(dag):
    ProcessingOperator(
        task_id="task",
        role="R",
        image_uri="image",
        instance_preferences=[
            {"instance_type": "ml.m5.xlarge", "instance_count": 1},
            {"instance_type": "ml.m5.large", "instance_count": 2},
        ],
        entrypoint=["run"],
        inputs=(INPUT,),
        outputs=["/opt/ml/processing/a", OUTPUT],
        network_config=NetworkConfig(subnets=["s"], security_group_ids=["g"]),
        tags={"team": "data"},
        max_wait=timedelta(hours=1),
    )


def test_default_args_reach_every_parameter(valid):
    from airflow.sdk import DAG

    from airflow_sm_processing import ScriptProcessingOperator

    defaults = {**valid, "command": ["python3", "-u"], "aws_conn_id": "other", "poll_interval": 5, "deferrable": True}
    with DAG("a_dag", schedule=None, default_args=defaults):
        task = ScriptProcessingOperator(task_id="task")
    assert {name: getattr(task, name) for name in defaults} == defaults


def test_every_parameter_is_templated(task_factory):
    import inspect

    from airflow_sm_processing import ScriptProcessingOperator
    from airflow_sm_processing.operators.base import BaseProcessingOperator

    for cls in (ScriptProcessingOperator, ProcessingOperator):
        own = set(inspect.signature(cls.__init__).parameters) | set(
            inspect.signature(BaseProcessingOperator.__init__).parameters
        )
        assert set(cls.template_fields) == own - {"self", "kwargs"}


@pytest.mark.parametrize("value", [0, 256, True, "ninety-nine", [99, "x"], [[99]], {"99": 1}, 99.0])
def test_an_exit_code_is_a_number_from_1_to_255(task_factory, value):
    with pytest.raises(DefinitionError) as caught:
        task_factory(skip_on_exit_code=value)
    assert [(found.parameter, found.rule) for found in caught.value.problems] == [
        ("skip_on_exit_code", "must be an exit code from 1 to 255, or several in a list")
    ]


def test_a_role_is_not_asked_for_at_parse_time_as_a_default_may_have_it(task_factory):
    assert task_factory(role=None).role is None


TEMPLATES = {
    "arguments": (["{{ ds "], "arguments[0]", "unexpected end of template"),
    "code": ("s3://bucket/{{ ds }/script.py", "code", "unexpected '}'"),
    "env": ({"DAY": "{% if %}"}, "env['DAY']", "Expected an expression"),
    "inputs": ([ProcessingInput("s3://bucket/{{ ds }", "/opt/ml/processing/in")], "inputs[0]['source']", "unexpected"),
    "tags": ({"team": "{# a comment"}, "tags['team']", "Missing end of comment tag"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_jinja_cannot_read_is_an_error(task_factory, name):
    value, path, reason = TEMPLATES[name]
    with pytest.raises(DefinitionError) as raised:
        task_factory(**{name: value})
    assert [(item.parameter, reason in item.rule) for item in raised.value.problems] == [(path, True)]


def test_an_environment_is_not_shown_with_its_template(task_factory):
    with pytest.raises(DefinitionError) as raised:
        task_factory(env={"TOKEN": "a-secret-of-ours{{ ds "})
    assert "a-secret-of-ours" not in str(raised.value)


def test_the_dags_own_marks_and_extensions_count(valid):
    settings = {"variable_start_string": "<<", "variable_end_string": ">>", "extensions": ["jinja2.ext.loopcontrols"]}
    given = {**valid, "arguments": ["{{ not one", "<< ds >>", "{% for x in y %}{% break %}{% endfor %}"]}
    with DAG("a_dag", schedule=None, jinja_environment_kwargs=settings):
        ScriptProcessingOperator(task_id="task", **given)
        with pytest.raises(DefinitionError, match=r"arguments\[0\].*can't read"):
            ScriptProcessingOperator(task_id="other", **{**given, "arguments": ["<< ds"]})
    with DAG("other_dag", schedule=None):
        ScriptProcessingOperator(task_id="task", **{**given, "arguments": ["{% do x.append(1) %}"]})  # Airflow's own


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "broken.py").write_text("import os\ndef run(:\n    pass\n")
    (tmp_path / "odd.py").write_text("pattern = '\\d'\n")
    (tmp_path / "notes.txt").write_text("no Python at all\n")
    return tmp_path


def below(folder, parameters):
    """Return parameters with the folder in their texts."""
    return {
        name: value.format(folder=folder) if isinstance(value, str) else value for name, value in parameters.items()
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {"code": "{folder}/broken.py"},
        {"code": "file://{folder}/broken.py"},
        {"code": "{folder}", "script_name": "broken.py"},
        {"code": "broken.py", "source_dir": "{folder}"},
        {"code": "{folder}/broken.py", "command": ["/usr/bin/python3", "-u"]},
    ],
)
def test_a_local_script_that_does_not_compile_is_an_error(task_factory, broken, parameters):
    with pytest.raises(DefinitionError) as raised:
        task_factory(**below(broken, parameters))
    (problem,) = raised.value.problems
    assert problem.parameter in {"code", "script_name"}
    assert problem.rule.startswith("doesn't compile: line 2: invalid syntax")


@pytest.mark.parametrize(
    "parameters",
    [
        {"code": "{folder}/odd.py"},
        {"code": "{folder}/notes.txt"},
        {"code": "{folder}/broken.py", "command": ["python3.99"]},
        {"code": "{folder}/broken.py", "command": ["python2"]},
        {"code": "{folder}/broken.py", "command": ["bash"]},
        {"code": "{folder}/broken.py", "command": "{{{{ params.command }}}}"},
        {"code": "{folder}/not_there_yet.py"},
        {"code": "{folder}", "script_name": "{{{{ params.script }}}}"},
        {"code": "broken.py", "source_dir": "{{{{ params.folder }}}}"},
        {"code": "{{{{ params.code }}}}", "script_name": "broken.py"},
        {"code": "broken.py", "git_config": {"repo": "https://example.com/a.git"}},
        {"code": "s3://bucket/broken.py"},
    ],
)
def test_what_this_python_cannot_judge_is_left_alone(task_factory, broken, parameters):
    task_factory(**below(broken, parameters))


def test_a_script_beside_the_dag_file_is_found(valid, broken):
    dag = DAG("a_dag", schedule=None)
    dag.fileloc = f"{broken}/dag.py"
    with pytest.raises(DefinitionError, match="doesn't compile"):
        ScriptProcessingOperator(task_id="task", dag=dag, **{**valid, "code": "broken.py"})


@pytest.mark.parametrize("name", ["instance_count", "volume_size_in_gb", "max_runtime_in_seconds"])
@pytest.mark.parametrize("value", [0, -1, [1], 1.5, True, "two"])
def test_a_number_that_cannot_be_right_is_an_error(task_factory, name, value):
    with pytest.raises(DefinitionError) as raised:
        task_factory(**{name: value})
    assert [item.parameter for item in raised.value.problems] == [name]


def test_a_command_that_is_no_list_is_one_error(task_factory):
    with pytest.raises(DefinitionError) as raised:
        task_factory(command="python3")
    assert len(raised.value.problems) == 1
