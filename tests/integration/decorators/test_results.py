"""What a function returns is an XCom, and what is too large for one stays in S3."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from airflow.sdk import task
from airflow.sdk.serde import deserialize

from airflow_sm_processing import JobFailedError, ProcessingInput, ProcessingOutput
from airflow_sm_processing.decorators import results, sm_processing_task
from airflow_sm_processing.decorators.results import FunctionFailedError, FunctionRefusedError, UnusableReturnError
from airflow_sm_processing.exceptions import AccessDeniedError, TransientError
from airflow_sm_processing.local import Fault, LocalSageMaker
from airflow_sm_processing.operators.attempt import TaskDefinitionError


def test_kinds_that_xcom_has_come_back(dag, on_sagemaker, result_of):
    @task.sm_processing(**on_sagemaker)
    def kinds():
        import datetime as dt
        import decimal

        moment = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
        return [moment, moment.date(), dt.timedelta(1), decimal.Decimal("1.5"), (1, "a"), {2}, None]

    moment = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    expected = [moment, moment.date(), dt.timedelta(1), Decimal("1.5"), (1, "a"), {2}, None]
    assert deserialize(result_of(kinds())) == expected


def test_a_large_result_stays_in_s3_and_the_next_function_gets_it(dag, on_sagemaker, sagemaker, runner, result_of):
    @task.sm_processing(max_xcom_bytes=100, **on_sagemaker)
    def large():
        return {"numbers": list(range(1000)), "kind": ("tuple",)}

    @task.sm_processing(**on_sagemaker)
    def total(result, others):
        return [sum(result["numbers"]), repr(result["kind"]), others[0] == result]

    made = large()
    reference = result_of(made)
    place = urlsplit(reference["s3_uri"])
    body = sagemaker.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    assert reference == {
        "kind": "sm_processing_result",
        "s3_uri": runner.supervisor.xcoms["large", -1]["outcome"] + "/value.json",
        "bytes": len(body),
        "dag_id": "a_dag",
        "run_id": "a_run",
        "task_id": "large",
        "map_index": -1,
    }
    assert json.loads(body)["numbers"] == list(range(1000))
    assert result_of(total(made, [made])) == [499500, "('tuple',)", True]


def test_multiple_outputs_are_xcoms_of_their_own(dag, on_sagemaker, runner, result_of):
    @task.sm_processing(max_xcom_bytes=50, **on_sagemaker)
    def several() -> dict:
        return {"small": 1, "large": list(range(100))}

    @task.sm_processing(**on_sagemaker)
    def use(small, large):
        return small + sum(large)

    made = several()
    assert result_of(made).keys() == {"small", "large"}
    xcoms = runner.supervisor.xcoms["several", -1]
    assert (xcoms["small"], xcoms["large"]["kind"]) == (1, "sm_processing_result")
    assert xcoms.keys() >= {"job_name", "job_arn", "outcome"}
    assert result_of(use(made["small"], made["large"])) == 4951


def test_a_function_that_returns_nothing_has_no_result(dag, on_sagemaker, result_of):
    @task.sm_processing(**on_sagemaker)
    def nothing():
        raise SystemExit

    assert result_of(nothing()) is None


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ("b'bytes'", "holds bytes, which not every Airflow's XCom can: return another form of it"),
        ("{'loss': float('nan')}", "the returned value['loss'] holds nan, which not every database takes as an XCom"),
        ("[1, 2**70]", "the returned value[1] holds an integer of more than 64 bits"),
        ("{'a': '\\ud800'}", "the returned value['a'] holds half a character"),
        ("{'\\ud800': 1}", "the returned value (a key) holds half a character"),
        ("'a\\0b'", "the returned value holds the character U+0000"),
        ("[{'__classname__': 'x'}]", "the returned value[0] holds the key '__classname__'"),
        ("__import__('functools').reduce(lambda inner, _: [inner], range(220), 1)", "nested more than 200 levels deep"),
        ("object()", "the returned value is of type builtins.object, which can't be carried"),
        ("[1, {'a': {1: 2}}]", "holds a dict with keys that are no strings"),
    ],
)
def test_what_cant_come_back_is_an_error_of_the_function(dag, on_sagemaker, runner, made, text):
    @task.sm_processing(**on_sagemaker)
    def make(what):
        return eval(what)

    ended = runner.run(make(made).operator)
    assert isinstance(ended.error, FunctionRefusedError)  # a retry would return the same
    assert text in str(ended.error)
    assert "return_value" not in runner.supervisor.xcoms["make", -1]


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ('{"returned": 1e999}', "the returned value is inf"),
        (
            '{"returned": {"n": [18446744073709551616]}}',
            "the returned value['n'][0] is an integer of more than 64 bits",
        ),
        (r'{"returned": {"s": "\ud800"}}', "the returned value['s'] has half a character (the lone surrogate U+D800)"),
        ('{"returned": {"a": {"__classname__": "x"}}}', "the returned value['a'] has the key '__classname__'"),
        ('{"returned": {"$": "decimal", "value": "0.12345678901234567890"}}', "XCom would change"),
        ('{"returned": "' + "x" * 200_000 + '"}', "has 200,002 bytes in XCom, and max_xcom_bytes is 65,536"),
    ],
)
def test_what_the_functions_process_left_itself_is_held_to_the_same_rules(dag, on_sagemaker, runner, left, text):
    @task.sm_processing(**on_sagemaker)
    def forge(content):
        import os
        import pathlib

        folder = pathlib.Path("/opt/ml/processing/outcome")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(content)
        os._exit(0)

    ended = runner.run(forge(left).operator)
    assert isinstance(ended.error, UnusableReturnError)
    assert text in str(ended.error)
    assert "return_value" not in runner.supervisor.xcoms["forge", -1]


def test_many_small_values_are_no_way_past_the_bound(dag, on_sagemaker, runner):
    @task.sm_processing(multiple_outputs=True, max_xcom_bytes=2000, **on_sagemaker)
    def several():
        return {f"score {number}": "x" * 900 for number in range(3)}

    error = runner.run(several().operator).error
    assert isinstance(error, UnusableReturnError)
    assert "has 2,706 bytes in XCom, and max_xcom_bytes is 2,000: raise it, or return fewer values." in str(error)


def _reference(made, **changed):
    return {
        "kind": "sm_processing_result",
        "s3_uri": f"{made['outcome']}/value.json",
        "bytes": 3890,
        "dag_id": "a_dag",
        "run_id": "a_run",
        "task_id": "large",
        "map_index": -1,
    } | changed


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({}, None),
        ({"s3_uri": "s3://other/value.json"}, "that task 'large' did not make"),
        ({"s3_uri": "s3://other/secrets.json"}, "that task 'large' did not make"),
        ({"map_index": 3}, "that task 'large' did not make"),
        ({"task_id": "plain"}, "of 'plain', which is no @task.sm_processing of this DAG"),
        ({"task_id": "nobody"}, "of 'nobody', which is no @task.sm_processing of this DAG"),
        ({"dag_id": "another"}, "of another DAG, 'another'"),
    ],
)
def test_a_reference_is_followed_only_to_what_its_task_made(dag, on_sagemaker, runner, changed, rule):
    @task.sm_processing(max_xcom_bytes=10, **on_sagemaker)
    def large():
        return list(range(1000))

    @task(multiple_outputs=True)
    def plain():
        return {"outcome": "s3://other"}  # a key of its own choosing

    @task.sm_processing(**on_sagemaker)
    def count(value):
        return len(value)

    plain()
    runner.run(large().operator)
    reference = _reference(runner.supervisor.xcoms["large", -1], **changed)
    ended = runner.run(count([reference]).operator)
    if rule is None:
        assert ended.state == "success", ended.error
        return
    assert isinstance(ended.error, TaskDefinitionError)
    assert rule in str(ended.error)
    assert "ProcessingInput(value['s3_uri'])" in str(ended.error)


def test_a_dict_that_only_looks_like_a_reference_is_a_dict(dag, on_sagemaker, result_of):
    @task.sm_processing(**on_sagemaker)
    def look(value):
        return value

    like = {"kind": "sm_processing_result", "s3_uri": "s3://other/", "bytes": 1}
    assert result_of(look(like)) == like


def test_a_key_that_is_an_xcom_of_the_task_already_fails_it(dag, on_sagemaker, runner):
    @task.sm_processing(multiple_outputs=True, **on_sagemaker)
    def several():
        return {"job_name": "mine", "fine": 1}

    ended = runner.run(several().operator)
    assert isinstance(ended.error, UnusableReturnError)
    assert "the keys job_name, which are XComs of the task itself" in str(ended.error)


def test_a_process_that_ends_by_itself_leaves_no_result(dag, on_sagemaker, runner):
    @task.sm_processing(**on_sagemaker)
    def vanish():
        import os

        os._exit(0)

    ended = runner.run(vanish().operator)
    assert isinstance(ended.error, UnusableReturnError)
    assert "has no result: its process ended before the function had returned" in str(ended.error)


def test_the_first_of_several_instances_returns(dag, on_sagemaker, result_of):
    @sm_processing_task(instance_count=2, **on_sagemaker)
    def host():
        import json
        import pathlib

        return json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())

    assert result_of(host()) == {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}


def test_a_retry_finds_the_job_and_its_result(dag, on_sagemaker, runner):
    @task.sm_processing(**on_sagemaker)
    def chance(secret):
        import uuid

        return uuid.uuid4().hex

    made = chance("the same")
    first = runner.run(made.operator)
    xcoms = dict(runner.supervisor.xcoms["chance", -1])
    second = runner.run(made.operator)
    assert (first.state, second.state) == ("success", "success")
    assert runner.supervisor.xcoms["chance", -1] == xcoms


def test_what_is_mapped_over_may_not_stay_in_s3(dag, on_sagemaker, runner):
    @task.sm_processing(max_xcom_bytes=10, **on_sagemaker)
    def large(number=0):
        return list(range(100))

    @task.sm_processing(**on_sagemaker)
    def each(number):
        return number

    made = large()
    each.expand(number=made)
    error = runner.run(made.operator).error
    assert isinstance(error, UnusableReturnError)
    assert "A task is mapped over what the function returned" in str(error)
    assert "it has 390 bytes, and max_xcom_bytes is 10." in str(error)
    mapped = large.override(task_id="mapped").expand(number=[1])
    each.expand(number=mapped)
    assert runner.run(mapped.operator, map_index=0).state == "success"  # its instances' results are the elements


def test_a_result_that_may_not_be_read_says_so(dag, on_sagemaker, runner, sagemaker):
    @task.sm_processing(**on_sagemaker)
    def give():
        return 1

    @task.sm_processing(**on_sagemaker)
    def fail():
        raise ValueError("no")

    sagemaker.set_faults(Fault(operation="s3:GetObject", error="AccessDenied", status=403))
    unread, failed = runner.run(give().operator).error, runner.run(fail().operator).error
    assert isinstance(unread, AccessDeniedError)
    assert "outcome/result.json" in str(unread)
    assert type(failed) is JobFailedError
    assert "ExitMessage: ValueError: no" in str(failed)


def test_functions_run_where_a_machine_permits_no_private_opt_ml(dag, on_sagemaker, monkeypatch, runner):
    with LocalSageMaker(stop_grace=5, isolation="folder") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        s3 = server.client("s3")
        s3.create_bucket(Bucket="folder-mode")
        s3.put_object(Bucket="folder-mode", Key="a.txt", Body=b"text")

        @task.sm_processing(**on_sagemaker)
        def read(folder):
            return (folder / "a.txt").read_text()

        ended = runner.run(read(ProcessingInput("s3://folder-mode/a.txt")).operator)
    assert ended.state == "success", ended.error
    assert runner.supervisor.xcoms["read", -1]["return_value"] == "text"


def test_what_airflow_writes_at_length_is_measured_as_it_writes_it(dag, on_sagemaker, runner):
    @task.sm_processing(max_xcom_bytes=2000, **on_sagemaker)
    def moments():
        import datetime as dt

        return [dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)] * 9  # 500 bytes as the container writes them

    made = moments()
    assert runner.run(made.operator).state == "success"
    assert runner.supervisor.xcoms["moments", -1]["return_value"]["kind"] == "sm_processing_result"
    runner.run(moments.override(task_id="fitting", max_xcom_bytes=2500)().operator)
    assert 2000 < len(json.dumps(runner.supervisor.xcoms["fitting", -1]["return_value"])) < 2500


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ({"each": {"a?b": 1}}, "The function returned the key 'a?b', which can't be an XCom's key"),
        ({"returned": 7}, "is of type int: with multiple_outputs it must be a dict"),
    ],
)
def test_a_key_that_airflow_would_change_fails_the_task(dag, on_sagemaker, runner, left, text):
    @task.sm_processing(multiple_outputs=True, **on_sagemaker)
    def several(content):
        import json
        import os
        import pathlib

        folder = pathlib.Path("/opt/ml/processing/outcome")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(content))
        os._exit(0)

    ended = runner.run(several(left).operator)
    assert isinstance(ended.error, UnusableReturnError), ended.error
    assert text in str(ended.error)
    assert "return_value" not in runner.supervisor.xcoms["several", -1]


def test_a_passing_trouble_of_s3_costs_a_function_neither_its_result_nor_its_error(
    dag, on_sagemaker, runner, monkeypatch
):
    @task.sm_processing(**on_sagemaker)
    def give():
        return 1

    @task.sm_processing(**on_sagemaker)
    def fail():
        raise ValueError("no")

    read_object, asked = results.read_object, []

    def read_at_second_try(session, uri, *, max_bytes):
        asked.append(uri)
        if asked.count(uri) == 1:
            raise TransientError("later", operation="GetObject", code="InternalError")
        return read_object(session, uri, max_bytes=max_bytes)

    monkeypatch.setattr(results, "read_object", read_at_second_try)
    assert runner.run(give().operator).state == "success"
    assert isinstance(runner.run(fail().operator).error, FunctionFailedError)
    assert len(asked) == 4


def test_of_a_task_whose_return_is_refused_no_file_is_an_xcom(dag, on_sagemaker, runner):
    outputs = [ProcessingOutput(source="/opt/ml/processing/metrics", output_name="metrics")]

    @task.sm_processing(
        multiple_outputs=True, outputs=outputs, result_files={"loss": "metrics/loss.json"}, **on_sagemaker
    )
    def train():
        import pathlib

        pathlib.Path("/opt/ml/processing/metrics/loss.json").write_text("1")
        return {"job_name": "mine"}

    ended = runner.run(train().operator)
    assert isinstance(ended.error, UnusableReturnError), ended.error
    assert "loss" not in runner.supervisor.xcoms["train", -1]
