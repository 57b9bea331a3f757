"""The calls that replace the amazon provider's, in DAG files as people write them."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
from airflow.sdk import DAG

from airflow_sm_processing import ProcessingJobSensor
from airflow_sm_processing.cli.__main__ import main
from airflow_sm_processing.cli.commands import moment
from airflow_sm_processing.cli.dag_source import DagSource
from airflow_sm_processing.cli.dry_run import RunFields, rendered
from airflow_sm_processing.cli.migrate import replacements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.cli.task_call import Replacement

PROVIDER_DAGS = Path(__file__).parent / "provider_dags"
FILES = sorted(PROVIDER_DAGS.glob("*.py"))
DAY = moment("2026-01-31")
IMPORT = "from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator\n"
REQUEST = {
    "ProcessingJobName": "job",
    "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
    "AppSpecification": {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/prep:7"},
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 9}},
}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call to AWS would fail: nothing listens where it would go."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def pasted(text: str) -> str:
    """Return a DAG file in which each of the provider's calls is replaced by what is printed for it."""
    found = replacements(DagSource(text))
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    for item in reversed(found):
        old = item.old
        begin, end = starts[old.lineno - 1] + old.col_offset, starts[old.end_lineno - 1] + old.end_col_offset
        assert item.new is not None, item.lost
        text = f"{text[:begin]}{item.code}{text[end:]}"
    names = sorted({name for item in found for name in item.names})
    return f"from airflow_sm_processing import {', '.join(names)}\n{text}"


def dag_of(code: str, file: Path) -> DAG:
    names: dict[str, Any] = {"__name__": "a_dag_file", "__file__": str(file)}
    exec(compile(code, str(file), "exec"), names)
    return next(value for value in names.values() if isinstance(value, DAG))


def instances(dag: DAG, task_id: str) -> Iterator[int]:
    task: Any = dag.get_task(task_id)
    yield from range(2) if task.is_mapped else [-1]


def their_request(dag: DAG, task_id: str, map_index: int) -> dict[str, Any]:
    with rendered(dag, task_id, RunFields("a_run", DAY, map_index)) as (task, _):
        theirs: Any = task
        theirs.config = copy.deepcopy(theirs.config)
        theirs._create_integer_fields()
        theirs.parse_config_integers()
        return theirs.config


def our_request(dag: DAG, task_id: str, map_index: int) -> dict[str, Any]:
    with rendered(dag, task_id, RunFields("a_run", DAY, map_index)) as (task, context):
        request: dict[str, Any] = task.plan(context, show_env=True)["request"]
        return request


def comparable(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request without its name and its owner's tags, and with the API's defaults written out."""
    plain = copy.deepcopy(request)
    del plain["ProcessingJobName"]
    plain["Tags"] = [tag for tag in plain.get("Tags", []) if not tag["Key"].startswith("airflow:")]
    for item in plain.get("ProcessingInputs", []):
        item.setdefault("AppManaged", False)
        if "S3Input" in item:
            item["S3Input"].setdefault("S3DataDistributionType", "FullyReplicated")
            item["S3Input"].setdefault("S3CompressionType", "None")
    for item in plain.get("ProcessingOutputConfig", {}).get("Outputs", []):
        item.setdefault("AppManaged", False)
    return plain


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_what_is_printed_sends_the_request_that_the_provider_sends(file: Path):
    text = file.read_text()
    theirs, ours = dag_of(text, file), dag_of(pasted(text), file)
    assert {*theirs.task_ids} == {*ours.task_ids}
    compared = 0
    for task_id in theirs.task_ids:
        before, after = theirs.get_task(task_id), ours.get_task(task_id)
        assert before.upstream_task_ids == after.upstream_task_ids
        assert before.retries == after.retries
        if not before.task_type.endswith("Operator"):
            continue
        for index in instances(theirs, task_id):
            sent, planned = their_request(theirs, task_id, index), our_request(ours, task_id, index)
            assert comparable(planned) == comparable(sent)
            assert planned["ProcessingJobName"].startswith(sent["ProcessingJobName"])
            compared += 1
    assert compared


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_all_that_is_printed_is_python_whose_calls_are_the_replacements(file: Path, capsys):
    main(["migrate", str(file)])
    printed = ast.parse(capsys.readouterr().out)
    statements = [node for node in printed.body if not isinstance(node, ast.ImportFrom)]
    calls = [node.value for node in statements if isinstance(node, (ast.Assign, ast.Expr))]
    found = replacements(DagSource(file.read_text()))
    assert [ast.unparse(call) for call in calls] == [ast.unparse(item.new) for item in found if item.new is not None]
    assert len(calls) == len(statements) == len(found)


def test_the_guide_shows_what_is_printed(capsys, tmp_path):
    guide = (Path(__file__).parents[3] / "docs" / "from-amazon-provider.md").read_text()
    before, after = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)[:2]
    file = tmp_path / "before.py"
    file.write_text(before)
    main(["migrate", str(file)])
    lines = capsys.readouterr().out.splitlines()
    assert "\n".join(line for line in lines if not line.startswith("#")).split() == after.split()


def one(code: str) -> Replacement:
    (found,) = replacements(DagSource(IMPORT + dedent(code)))
    return found


def test_the_parameters_of_the_task_are_carried_over_or_said():
    found = one(f"""
        task = SageMakerProcessingOperator(
            task_id="task", config={REQUEST!r}, print_log=False, check_interval=60, max_attempts=90,
            max_ingestion_time=2 * HOUR, action_if_job_exists="timestamp", deferrable=True, region="eu-west-1",
            output_files_to_xcom=[{{"output_name": "o", "file_name": "a/m.json", "result_name": "M"}}],
        )
    """)
    given = {item.arg: ast.unparse(item.value) for item in found.new.keywords}
    assert {name: given[name] for name in list(given)[-6:]} == {
        "logs": "False",
        "poll_interval": "60",
        "max_wait": "2 * HOUR",
        "deferrable": "True",
        "region_name": "'eu-west-1'",
        "result_files": "{'M': 'o/a/m.json'}",
    }
    assert given["base_job_name"] == "'job'"
    said = [text.partition(" ")[0] for text in found.lost]
    assert said == ["max_attempts=90:", "max_ingestion_time", "output_files_to_xcom", "ProcessingJobName='job'"]


@pytest.mark.parametrize(
    ("name", "action", "expected"),
    [
        ("'nightly'", "", "base_job_name='nightly'"),
        ("'nightly'", "'timestamp'", "base_job_name='nightly'"),
        ("'nightly'", "'fail'", "job_name='nightly'"),
        ("'nightly-{{ ds_nodash }}'", "", "job_name='nightly-{{ ds_nodash }}'"),
        ("f'nightly-{x}-{{{{ ds }}}}'", "", "job_name=f'nightly-{x}-{{{{ ds }}}}'"),
        ("f'nightly-{x}'", "'timestamp'", "base_job_name=f'nightly-{x}'"),
        ("NAME", "", "base_job_name=NAME"),
    ],
)
def test_a_name_that_is_the_same_in_each_run_becomes_a_base(name, action, expected):
    how = f", action_if_job_exists={action}" if action else ""
    config = f"{{**{REQUEST!r}, 'ProcessingJobName': {name}}}"
    found = one(f"SageMakerProcessingOperator(task_id='task', config={config}{how})")
    assert expected in ast.unparse(found.new)


@pytest.mark.parametrize(
    ("before", "config", "reason"),
    [
        ("", "load()", "load() is only known when the file runs (line 3)"),
        ("", "settings.CONFIG", "settings.CONFIG isn't a literal dict in this file (line 3)"),
        ("C = {}\nC = {}", "C", "C isn't a constant of this file (line 4)"),
        ("C = {}\nC['a'] = 1", "C", "C may be changed after its assignment (line 4)"),
        ("C = {}\nC.update(a=1)", "C", "C may be changed after its assignment (line 4)"),
        ("C = {}\nfill(C)", "C", "C may be changed after its assignment (line 4)"),
        ("C = {}\nD = C", "C", "C may be changed after its assignment (line 4)"),
        ("x = 1\nC = {'RoleArn': x}\nx = 2", "C", "x may be something else by then (line 3)"),
        ("for C in D: pass", "C", "C isn't a constant of this file (line 3)"),
        ("", "{KEY: 1}", "the key KEY isn't written down here (line 3)"),
        ("", "{'ProcessingInputs': inputs()}", "inputs() isn't a literal list in this file (line 3)"),
        ("", "{'AppSpecification': spec}", "spec isn't a constant of this file (line 3)"),
    ],
)
def test_what_is_not_known_is_given_to_from_request_with_the_reason(before, config, reason):
    found = one(f"{before}\nSageMakerProcessingOperator(task_id='task', config={config}, check_interval=5)")
    expected = f"ProcessingOperator.from_request({config}, task_id='task', poll_interval=5)"
    assert ast.unparse(found.new) == ast.unparse(ast.parse(expected))
    assert reason in found.lost[0]
    assert found.names == {"ProcessingOperator"}


def test_a_name_of_the_module_that_a_function_has_too_is_not_pasted_there():
    found = one("""
        ROLE = "a"
        CONFIG = {"RoleArn": ROLE}
        def add(ROLE):
            return SageMakerProcessingOperator(task_id="task", config=CONFIG)
    """)
    assert ast.unparse(found.new).startswith("ProcessingOperator.from_request(CONFIG")


@pytest.mark.parametrize(
    "config", ["'{{ ti.xcom_pull(\"requests\") }}'", "upstream.output", "upstream.output['r']", "made()", "done['r']"]
)
def test_a_request_that_a_run_brings_has_no_call(config):
    functions = "@task(retries=3)\ndef made(): ...\n\ndone = made()\n"
    found = one(f"{functions}SageMakerProcessingOperator(task_id='task', config={config})")
    assert found.new is None
    assert "known only when the task runs" in found.lost[0]


def test_what_upload_operations_did_is_said():
    config = {**REQUEST, "S3Operations": {"S3Upload": [{"Path": "a.py", "Bucket": "b", "Key": "a.py", "Tar": False}]}}
    found = one(f"SageMakerProcessingOperator(task_id='task', config={config!r})")
    assert [text for text in found.lost if text.startswith("S3Operations=")]
    assert "S3Operations" not in ast.unparse(found.new)


def test_a_field_that_no_request_has_is_said():
    config = {**REQUEST, "Frobnicate": 1, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "Soon": True}}
    found = one(f"SageMakerProcessingOperator(task_id='task', config={config!r})")
    assert [text.partition(":")[0] for text in found.lost][1:] == ["StoppingCondition.Soon", "Frobnicate"]


def test_requests_that_are_mapped_over_and_not_known_keep_their_expression():
    found = one("SageMakerProcessingOperator.partial(task_id='task').expand(config=requests.output)")
    assert ast.unparse(found.new) == "ProcessingOperator.partial(task_id='task').expand_kwargs(requests.output)"
    assert "must yield dicts of parameters" in found.lost[0]


def test_a_partial_without_its_expansion_is_converted_alone():
    found = one("base = SageMakerProcessingOperator.partial(task_id='task', check_interval=3)")
    assert ast.unparse(found.new) == "ProcessingOperator.partial(task_id='task', poll_interval=3)"
    assert ".expand(…) of it is elsewhere" in found.lost[0]


def test_keywords_that_are_not_known_stay(capsys, tmp_path):
    found = one(f"SageMakerProcessingOperator(task_id='task', config={REQUEST!r}, **settings())")
    assert "**settings()" in ast.unparse(found.new)
    assert "**settings() holds" in " ".join(found.lost)


@pytest.mark.parametrize(
    ("imports", "name"),
    [
        ("from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerProcessingSensor as S", "S"),
        ("import airflow.providers.amazon.aws.sensors.sagemaker", None),
        ("import airflow.providers.amazon.aws.sensors.sagemaker as s", "s.SageMakerProcessingSensor"),
        ("from airflow.contrib.sensors.old import SageMakerProcessingSensor as S", "S"),
        ("from airflow.providers.amazon.aws import sensors", "sensors.sagemaker.SageMakerProcessingSensor"),
        ("from airflow.providers.amazon.aws.sensors.sagemaker import *", "SageMakerProcessingSensor"),
        ("from airflow.providers.amazon.aws.sensors import sagemaker\nS = sagemaker.SageMakerProcessingSensor", "S"),
    ],
)
def test_sensors_are_found_by_whatever_name_they_have(imports, name):
    name = name or "airflow.providers.amazon.aws.sensors.sagemaker.SageMakerProcessingSensor"
    text = f"{imports}\n{name}(task_id='s', job_name='{{{{ x }}}}', poke_interval=5, resource_type='job', timeout=9)\n"
    (found,) = replacements(DagSource(text))
    assert ast.unparse(found.new) == (
        "ProcessingJobSensor(task_id='s', job_name='{{ x }}', poke_interval=5, timeout=9)"
    )
    made = eval(ast.unparse(found.new), {"ProcessingJobSensor": ProcessingJobSensor})
    assert (made.poke_interval, made.timeout) == (5, 9)


@pytest.mark.parametrize(
    "code",
    ["from elsewhere import SageMakerProcessingOperator as X\nX(task_id='a')", "SageMakerProcessingOperator = 3"],
)
def test_what_only_has_the_name_is_nothing(code):
    assert replacements(DagSource(code)) == []


def test_the_rest_of_the_file_is_read_too(capsys, tmp_path):
    file = tmp_path / "rest.py"
    file.write_text(
        IMPORT
        + dedent(f"""
            class Mine(SageMakerProcessingOperator): ...
            with DAG("d", default_args={{"check_interval": 5, "retries": 1}}):
                a = SageMakerProcessingOperator(task_id="a", config={REQUEST!r})
                a.check_interval = 3
                use(a.output["Processing"]["ProcessingJobArn"], a.output["OutputFiles"]["M"])
                say("{{{{ ti.xcom_pull('a')['Processing']['CreationTime'] }}}}")
                say("{{{{ ti.xcom_pull('a').Processing.ProcessingJobName }}}}")
        """)
    )
    main(["migrate", str(file)])
    printed = " ".join(line.lstrip("# ") for line in capsys.readouterr().out.splitlines())
    for text in (
        "Line 3: SageMakerProcessingOperator isn't called here, but passed on or subclassed.",
        "Line 4: default_args has check_interval, which tasks of ours ignore; its name is poll_interval here.",
        "Line 6 sets a.check_interval, which a task of ours ignores; its name is poll_interval here.",
        "Line 7 reads ['Processing']['ProcessingJobArn']: it is job_arn in the result itself.",
        "Line 7 reads ['OutputFiles']['M']: with result_files, it is an XCom of its own: key='M'.",
        "Line 8 reads ['Processing']['CreationTime']: it isn't in the result; DescribeProcessingJob has it.",
        "Line 9 reads ['Processing']['ProcessingJobName']: it is job_name in the result itself.",
    ):
        assert text in printed


def test_a_folder_stands_for_its_files_and_broken_ones_are_named_after_all_others(capsys, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / ".venv").mkdir()
    (tmp_path / "below" / "good.py").write_text(f"{IMPORT}SageMakerProcessingOperator(task_id='a', config=x())\n")
    (tmp_path / ".venv" / "hidden.py").write_text("def broken(")
    (tmp_path / "broken.py").write_text("x = 1\ndef broken(:\n")
    with pytest.raises(SystemExit) as raised:
        main(["migrate", str(tmp_path), str(tmp_path / "absent.py")])
    assert str(raised.value).splitlines() == [
        f"migrate: {tmp_path / 'broken.py'}:2:12: invalid syntax",
        f"migrate: There is no file or folder {tmp_path / 'absent.py'}.",
    ]
    assert capsys.readouterr().out.startswith(f"# {tmp_path / 'below' / 'good.py'}\n")


def test_it_says_so_if_there_is_nothing(capsys, tmp_path):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
    main(["migrate", str(tmp_path)])
    assert capsys.readouterr().out == "# 2 files have no processing operator or sensor of the amazon provider.\n"
    main(["migrate", str(tmp_path / "a.py")])
    assert capsys.readouterr().out == "# 1 file has no processing operator or sensor of the amazon provider.\n"


def test_the_file_is_not_run_and_airflow_is_not_loaded(tmp_path):
    file = tmp_path / "dangerous.py"
    file.write_text(f"{IMPORT}raise SystemExit(7)\nSageMakerProcessingOperator(task_id='a', config={{}})\n")
    code = (
        "import sys; from airflow_sm_processing.cli.__main__ import main; main(['migrate', sys.argv[1]]); "
        "sys.exit('airflow' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert 'ProcessingOperator(task_id="a")' in run.stdout


def test_the_operator_that_is_replaced_has_no_parameter_that_is_not_known_here():
    theirs = {*inspect.signature(SageMakerProcessingOperator.__init__).parameters} - {"self", "kwargs"}
    assert theirs == {
        "config",
        "wait_for_completion",
        "print_log",
        "check_interval",
        "max_attempts",
        "max_ingestion_time",
        "action_if_job_exists",
        "deferrable",
        "output_files_to_xcom",
    }
