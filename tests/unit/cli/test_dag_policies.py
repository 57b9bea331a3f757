"""The least that the tasks of a DAG file need, whatever a run brings."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task

from airflow_sm_processing import ProcessingInput, ProcessingOperator, ProcessingOutput, ScriptProcessingOperator
from airflow_sm_processing.cli.dag_policies import task_policies
from airflow_sm_processing.iam.statements import caller_statements, job_role_statements, policy_document

PLACE = {"account": "123456789012", "region": "eu-west-1"}
BUCKET = "arn:aws:s3:::sagemaker-eu-west-1-123456789012"


def caller(dag, **place: str) -> dict[str, Any]:
    found = task_policies(dag, **(place or PLACE))
    return by_sid(policy_document([item for each in found for item in caller_statements(each.needs)]))


def job_role(dag, **place: str) -> dict[str, Any]:
    found = task_policies(dag, **(place or PLACE))
    return by_sid(policy_document([item for each in found for item in job_role_statements(each.needs)]))


def by_sid(document: dict[str, Any]) -> dict[str, Any]:
    assert document["Version"] == "2012-10-17"
    sids = [item["Sid"] for item in document["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)
    return {item["Sid"]: item["Resource"] for item in document["Statement"]}


def test_jobs_are_named_by_what_is_known_of_their_names(dag, task_factory):
    task_factory(task_id="image")
    task_factory(task_id="base", base_job_name="Daily_load")
    task_factory(task_id="late", base_job_name="load-{{ ds }}")
    task_factory(task_id="fixed", job_name="one-{{ ds }}")
    jobs = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job"
    assert caller(dag)["RunJobs"] == [
        f"{jobs}/Daily-load-????????????-*",
        f"{jobs}/a-dag-*-????????????-*",
        f"{jobs}/daily-load-????????????-*",
        f"{jobs}/load-*-????????????-*",
        f"{jobs}/one-*",
    ]
    assert caller(dag)["FreeAChosenName"] == [f"{jobs}/one-*"]


def test_the_job_reads_and_writes_prefixes(dag, task_factory):
    task_factory(
        inputs=[ProcessingInput("s3://raw/days/{{ ds }}/", "/opt/ml/processing/in")],
        outputs=[
            ProcessingOutput("/opt/ml/processing/a", "s3://results/all", "a"),
            ProcessingOutput("/opt/ml/processing/b", output_name="b"),
        ],
    )
    needed = job_role(dag)
    assert needed["ReadInputs"] == ["arn:aws:s3:::code/script.py*", "arn:aws:s3:::raw/days/*/*"]
    assert needed["WriteOutputs"] == ["arn:aws:s3:::results/all/*", f"{BUCKET}/a-dag-*-????????????-*/output/b/*"]


def test_inputs_that_go_by_manifests_are_read_and_listed_one_by_one(dag, task_factory):
    inputs = [
        ProcessingInput(f"s3://raw/{number}/{{{{ ds }}}}/", f"/opt/ml/processing/{number}") for number in range(8)
    ]
    inputs += [ProcessingInput(f"{{{{ params.p{number} }}}}", f"/opt/ml/processing/p{number}") for number in range(8)]
    task_factory(inputs=inputs)
    files = f"{BUCKET}/a-dag-*-????????????/input/*"
    raw = [f"arn:aws:s3:::raw/{number}/*/*" for number in range(8)]
    assert job_role(dag)["ReadInputs"] == ["arn:aws:s3:::code/script.py*", *raw, files]
    (found,) = task_policies(dag, **PLACE)
    minimal = policy_document(caller_statements(found.needs), minimal=True)["Statement"]
    (listing,) = [item for item in minimal if item["Sid"] == "ListInputsForManifests"]
    assert listing["Resource"] == ["arn:aws:s3:::raw"]
    assert listing["Condition"]["StringLike"]["s3:prefix"] == [f"{number}/*/*" for number in range(8)]
    assert "UploadLocalFiles" in caller(dag)


def test_an_input_from_another_task_is_that_tasks_output(dag, task_factory):
    upstream = task_factory(task_id="up", outputs=[ProcessingOutput("/opt/ml/processing/o", output_name="train")])
    task_factory(task_id="down", inputs=[ProcessingInput(upstream.output["train"], "/opt/ml/processing/i")])
    assert f"{BUCKET}/a-dag-*-????????????-*/output/train/*" in job_role(dag)["ReadInputs"]


def test_what_only_a_run_knows_is_left_out_and_named(dag, task_factory):
    with dag:

        @task
        def place():
            return "s3://bucket/key"

        source = place()
    task_factory(role="{{ var.value.role }}", inputs=[ProcessingInput(source, "/opt/ml/processing/i")])
    (found,) = task_policies(dag, **PLACE)
    assert found.left_out == (
        "a_dag.task: role is known only when the task runs",
        "a_dag.task: a bucket that the job reads from is known only when the task runs",
    )
    assert "GiveTheJobItsRole" not in caller(dag)
    assert job_role(dag)["ReadInputs"] == ["arn:aws:s3:::code/script.py*"]


def test_each_element_of_a_mapped_task_counts(dag, valid):
    dag.default_args.update(valid)
    with dag:
        ScriptProcessingOperator.partial(task_id="mapped").expand(
            inputs=[[ProcessingInput(f"s3://{name}/x", "/opt/ml/processing/i")] for name in ("one", "two")]
        )
    reads = ["arn:aws:s3:::code/script.py*", "arn:aws:s3:::one/x*", "arn:aws:s3:::two/x*"]
    assert job_role(dag)["ReadInputs"] == reads
    assert caller(dag)["GiveTheJobItsRole"] == [valid["role"]]


def test_names_and_regions_that_are_mapped_over_make_all_arns(dag, valid):
    dag.default_args.update(valid)
    names, regions = ["one", "two"], ["us-east-1", "eu-west-1"]
    with dag:
        ScriptProcessingOperator.partial(task_id="mapped").expand(job_name=names, region_name=regions)
    expected = {
        f"arn:aws:sagemaker:{region}:123456789012:processing-job/{name}" for name in names for region in regions
    }
    assert set(caller(dag)["RunJobs"]) == expected


def test_what_dicts_that_only_a_run_knows_may_have_is_left_out_and_named(dag, valid):
    valid.pop("role")
    with dag:

        @task
        def each():
            return [{"role": "R", "env": {"A": "B"}}]

        ScriptProcessingOperator.partial(task_id="mapped", **valid).expand_kwargs(each())
    (found,) = task_policies(dag, **PLACE)
    assert "a_dag.mapped: role is known only when the task runs" in found.left_out
    assert "a_dag.mapped: inputs is known only when the task runs" in found.left_out
    assert caller(dag)["RunJobs"] == ["arn:aws:sagemaker:eu-west-1:123456789012:processing-job/a-dag-*-????????????-*"]


def test_a_name_of_a_role_stands_for_any_path(dag, task_factory):
    task_factory(role="R")
    roles = ["arn:aws:iam::123456789012:role/*/R", "arn:aws:iam::123456789012:role/R"]
    assert caller(dag)["GiveTheJobItsRole"] == caller(dag)["LookUpTheRoleByItsName"] == roles


def test_partitions_follow_the_region(dag, valid):
    valid |= {"role": "R", "image_uri": "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/i:1", "code": "code.py"}
    ScriptProcessingOperator(task_id="task", dag=dag, **valid)
    for needed in (caller(dag, account="123456789012"), job_role(dag, account="123456789012")):
        named = {resource.split(":")[1] for resources in needed.values() for resource in resources if resource != "*"}
        assert named == {"aws-cn"}
    gov = caller(dag, region="us-gov-west-1")
    assert gov["FindOrMakeTheDefaultBucket"] == ["arn:aws-us-gov:s3:::sagemaker-us-gov-west-1-*"]


def test_keys_are_allowed_by_id_arn_and_alias(dag, task_factory, valid, tmp_path):
    (tmp_path / "script.py").touch()
    arn = "arn:aws:kms:eu-west-1:123456789012:key/abc"
    keys = {"kms_key": "alias/uploads", "output_kms_key": arn, "volume_kms_key": "def"}
    task_factory(code=str(tmp_path / "script.py"), outputs=["/opt/ml/processing/out"], **keys)
    assert caller(dag)["EncryptLocalFiles"] == ["arn:aws:kms:eu-west-1:123456789012:key/*"]
    needed = job_role(dag)
    assert (needed["EncryptOutputs"], needed["EncryptVolumes"]) == ([arn], [arn.replace("abc", "def")])


def test_an_explicit_bucket_is_neither_looked_for_nor_made(dag, task_factory, tmp_path):
    (tmp_path / "script.py").touch()
    task_factory(code=str(tmp_path / "script.py"), default_bucket="ours", default_bucket_prefix="airflow")
    needed = caller(dag)
    assert "FindOrMakeTheDefaultBucket" not in needed
    assert needed["UploadLocalFiles"] == ["arn:aws:s3:::ours/airflow/a-dag-*-????????????/input/*"]
    assert needed["SeeWhatIsUploadedAlready"] == ["arn:aws:s3:::ours"]


def test_a_task_that_does_not_wait_reads_no_logs(dag, valid):
    del valid["code"]
    ProcessingOperator(task_id="task", dag=dag, wait_for_completion=False, **valid)
    assert not [sid for sid in caller(dag) if "Log" in sid]


def test_the_image_is_pulled_from_the_registry_of_its_short_form(dag, task_factory):
    task_factory(image="sklearn:1.4-2", image_uri=None)
    repository = "repository/sagemaker-scikit-learn"
    assert job_role(dag)["PullTheImage"] == [f"arn:aws:ecr:eu-west-1:141502667606:{repository}"]
    assert job_role(dag, account="123456789012")["PullTheImage"] == ["arn:aws:ecr:*:*:repository/*"]
    jobs = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job"
    assert caller(dag)["RunJobs"] == [f"{jobs}/a-dag-*-????????????-*"]
