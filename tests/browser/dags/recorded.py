"""Records that no local job leaves: forged ones, and those of jobs on AWS, which have pages in its console."""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import dag, get_current_context, task

from airflow_sm_processing import ProcessingOperator
from airflow_sm_processing.xcoms import push_links

MARKUP = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
RIGHT_TO_LEFT = "\u202etxt.exe \u05d0\u05d1\u05d2"
ENDLESS = "x" * 3000
PAGES = {
    "Job": "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/processing-jobs/shop-1",
    "Logs": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups",
    "Outputs": "https://s3.console.aws.amazon.com/s3/buckets/shop?prefix=features/",
}


def record(**changes):
    return {
        "version": 1,
        "job_name": "shop-1",
        "job_arn": None,
        "region": "eu-west-1",
        "status": "Failed",
        "submitted_at": "2026-11-20T10:00:00+00:00",
        "created_at": "2026-11-20T10:00:00+00:00",
        "started_at": "2026-11-20T10:03:05+00:00",
        "ended_at": "2026-11-20T12:03:05+00:00",
        "duration_seconds": 7200.0,
        "instance_seconds": 14400.0,
        "instance_type": "ml.m5.xlarge",
        "instance_count": 2,
        "instance_preferences": ["ml.m5.2xlarge", "ml.m5.xlarge"],
        "image_uri": None,
        "exit_message": None,
        "failure_reason": None,
        "stop_requested_at": None,
        "error_line": None,
        "links": PAGES,
        "try_number": 1,
        "awaited": True,
        "stop_on_kill": True,
        "aws_conn_id": "aws_default",
        **changes,
    }


def forged_record():
    addresses = (
        "javascript:document.title='taken'",
        "data:text/html,<script>alert(1)</script>",
        "http://evil.example/",
    )
    return record(
        job_name=f"{MARKUP}{ENDLESS}",
        failure_reason=f"{MARKUP}\n{RIGHT_TO_LEFT}\n{ENDLESS}",
        exit_message=MARKUP,
        error_line=MARKUP,
        image_uri=MARKUP,
        links=dict(zip(PAGES, addresses, strict=True)),
    )


def forged_details(job_name):
    place = {"name": MARKUP, "uri": f"s3://{MARKUP}", "container_path": RIGHT_TO_LEFT, "link": "javascript:alert(1)"}
    return {
        "version": 1,
        "job_name": job_name,
        "request": {"Environment": {MARKUP: MARKUP}},
        "inputs": [{**place, "bytes": 1536, "objects": 1, "complete": True}],
        "outputs": [{**place, "bytes": 3 * 1024**3, "objects": 1000, "complete": False}],
        "log_tail": [{"host": MARKUP, "lines": [MARKUP, RIGHT_TO_LEFT, ENDLESS]}],
    }


def stopping_record():
    """Return the record of a job whose task was killed after it had asked SageMaker to stop the job."""
    ends = dict.fromkeys(("ended_at", "duration_seconds", "instance_seconds"))
    return record(job_name="left-1", status="Stopping", stop_requested_at="2026-11-20T10:05:05+00:00", links={}, **ends)


def history():
    """Yield a record for each of 40 days, the last of a failed job."""
    for number in range(40):
        day = datetime(2026, 10, 1, 3, tzinfo=timezone.utc) + timedelta(days=number)
        status = "Failed" if number == 39 else "Completed"
        times = {name: day.isoformat() for name in ("submitted_at", "created_at", "started_at", "ended_at")}
        seconds = {"duration_seconds": 60.0 * number, "instance_seconds": 120.0 * number}
        yield record(job_name=f"history-{number:02}", status=status, links={}, **times, **seconds)


class OnAws(ProcessingOperator):
    """A task whose job has pages in the console; deferred for longer than the tests run."""

    def execute(self, context):
        push_links(context["ti"], PAGES)
        context["ti"].xcom_push(key="_job", value=record())
        self.defer(trigger=TimeDeltaTrigger(timedelta(hours=1)), method_name="execute_complete")


@dag(dag_id="recorded", schedule=None)
def recorded():
    @task
    def forged(ti=None):
        ti.xcom_push(key="_job", value=forged_record())
        ti.xcom_push(key="_job_details", value=forged_details(forged_record()["job_name"]))

    @task
    def earlier():
        for kept in history():
            get_current_context()["task_state_store"].set(f"processing_job:{kept['job_name']}", kept)

    @task
    def stopping(ti=None):
        ti.xcom_push(key="_job", value=stopping_record())

    forged()
    earlier()
    stopping()
    OnAws(task_id="on_aws", role="R", image_uri="i", instance_count=1, instance_type="ml.m5.xlarge")


recorded()
