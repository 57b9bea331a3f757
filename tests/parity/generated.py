"""Strategies for cases that both libraries accept: any combination of legal arguments."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .case import FOLDER, IMAGE, ROLE, Case, Described, network_config
from .endpoint.account import ACCOUNT_ID, Bucket
from .generated_channels import inputs, outputs
from .generated_values import FILE_NAME, KEY, LETTERS, NAME, PRINTABLE

FILES = {
    "data/top.csv": "top",
    "data/.hidden": "",
    "data/deep/er/leaf ü.csv": "leaf",
    "script.py": "print(1)",
    "src/pre pare.py": "print(2)",
    "jars/one.jar": "PK",
}
INSTANCE = st.sampled_from(["ml.t3.medium", "ml.m5.xlarge", "ml.c5.18xlarge", "ml.g4dn.xlarge", "ml.r5.large"])
REPOSITORY = st.from_regex(r"[a-z][a-z0-9-]{0,50}[a-z0-9]", fullmatch=True)
IMAGES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "localhost:5000/", "123456789012.dkr.ecr.us-west-2.amazonaws.com/"]),
    st.sampled_from(["", "team/", "team/ml/"]),
    REPOSITORY,
    st.sampled_from(["", ":latest", ":1.2-1_cpu"]),
)
TAGS = st.dictionaries(
    st.text(LETTERS, min_size=1, max_size=20), st.text(LETTERS + " +-=._:/@", max_size=20), max_size=5
)
VPC = st.fixed_dictionaries(
    {
        "security_group_ids": st.lists(st.sampled_from(["sg-1", "sg-2", "sg-3"]), min_size=1, max_size=5),
        "subnets": st.lists(st.sampled_from(["subnet-1", "subnet-2"]), min_size=1, max_size=5),
    }
)
NETWORK = st.builds(
    lambda vpc, flags: network_config(**vpc, **flags),
    st.just({}) | VPC,
    st.fixed_dictionaries(
        {},
        optional={
            "enable_network_isolation": st.none() | st.booleans(),
            "encrypt_inter_container_traffic": st.none() | st.booleans(),
        },
    ),
)
INIT: dict[str, st.SearchStrategy[Any]] = {
    "role": st.sampled_from([ROLE, "SageMakerRole", f"arn:aws:iam::{ACCOUNT_ID}:role/service-role/R"]),
    "image_uri": st.just(IMAGE) | IMAGES,
    "instance_count": st.integers(1, 100),
    "instance_type": INSTANCE,
    "volume_size_in_gb": st.integers(1, 16384),
    "volume_kms_key": st.none() | KEY,
    "output_kms_key": st.none() | KEY,
    "max_runtime_in_seconds": st.none() | st.integers(1, 432000),
    "base_job_name": st.none() | st.just("") | NAME,
    "env": st.dictionaries(
        st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,30}", fullmatch=True), PRINTABLE, min_size=1, max_size=5
    ),
    "tags": TAGS.filter(bool) | TAGS.filter(bool).map(lambda tags: [{"Key": k, "Value": v} for k, v in tags.items()]),
    "network_config": st.none() | NETWORK,
}
WORDS = st.lists(PRINTABLE.filter(bool), min_size=1, max_size=5)
EXPERIMENT = st.dictionaries(
    st.sampled_from(["ExperimentName", "TrialName", "TrialComponentDisplayName"]), NAME, max_size=3
)
RUN: dict[str, st.SearchStrategy[Any]] = {
    "inputs": st.none() | inputs(["data/top.csv", "data", "data/", "data/deep", f"{FOLDER}/data/deep/er/leaf ü.csv"]),
    "outputs": st.none() | outputs(),
    "arguments": st.none() | WORDS,
    "job_name": st.none() | NAME,
    "experiment_config": st.none() | EXPERIMENT,
    "kms_key": st.none() | KEY,
}
CODE = st.sampled_from(
    ["script.py", f"{FOLDER}/script.py", f"file://{FOLDER}/script.py", "src/pre pare.py"]
) | st.builds("s3://mine/code/{}.py".format, FILE_NAME)
REGIONS = st.sampled_from(["us-east-1", "us-west-2", "eu-central-1"])
SESSIONS = st.fixed_dictionaries(
    {},
    optional={
        "default_bucket": st.none() | st.just("mine"),
        "default_bucket_prefix": st.sampled_from([None, "", "team", "team/x", "/odd//slashes/"]),
    },
)


SOURCES = st.one_of(
    st.fixed_dictionaries({"code": st.sampled_from(["script.py", f"{FOLDER}/script.py", "src/pre pare.py"])}),
    st.fixed_dictionaries({"code": st.just("pre pare.py"), "source_dir": st.sampled_from(["src", f"{FOLDER}/src"])}),
    st.fixed_dictionaries({"code": st.builds("s3://mine/code/{}.sh".format, FILE_NAME)}),
)
SUBMITTED = st.none() | st.lists(
    st.sampled_from(["data", "data/top.csv", f"{FOLDER}/src", "jars/one.jar"])
    | st.builds("{}://mine/{}".format, st.sampled_from(["s3", "s3a"]), FILE_NAME),
    unique=True,
    max_size=5,
)
"""Local names that don't clash, and places in S3."""
CLASSIFICATION = st.fixed_dictionaries(
    {
        "Classification": st.sampled_from(["core-site", "hive-site", "spark-defaults", "spark-env", "yarn-site"]),
        "Properties": st.dictionaries(PRINTABLE, PRINTABLE | st.integers() | st.booleans(), max_size=3),
    },
    optional={
        "Configurations": st.lists(
            st.fixed_dictionaries(
                {"Classification": st.just("export"), "Properties": st.dictionaries(PRINTABLE, PRINTABLE, max_size=2)}
            ),
            max_size=2,
        )
    },
)
SUBMISSION: dict[str, st.SearchStrategy[Any]] = {
    "submit_jars": SUBMITTED,
    "submit_files": SUBMITTED,
    "configuration": st.none() | CLASSIFICATION | st.lists(CLASSIFICATION, max_size=3),
    "spark_event_logs_s3_uri": st.sampled_from([None, "", "s3://mine/events", "s3://mine/a/b/"]),
}
LOCATION = st.sampled_from([None, "s3://mine", "s3://mine/", "s3://mine/a/b", "s3://mine/a/"])
LOCATIONS: dict[str, st.SearchStrategy[Any]] = {"configuration_location": LOCATION, "dependency_location": LOCATION}
DEPENDENCIES = st.none() | st.lists(st.sampled_from(["data", "data/top.csv", f"{FOLDER}/data/deep"]), unique=True)
OWN_INIT: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "Processor": {"entrypoint": st.none() | WORDS},
    "ScriptProcessor": {"command": WORDS},
    "PyTorchProcessor": {
        "command": st.none() | WORDS,
        "code_location": st.sampled_from([None, "s3://mine", "s3://mine/", "s3://mine/a/b", "s3://mine/a/"]),
    },
}
PLACES = {"code_location", *LOCATIONS}
"""Where a processor's files may go instead of the default bucket, which is created nevertheless, or isn't."""
OWN_INIT |= {"PySparkProcessor": LOCATIONS, "SparkJarProcessor": LOCATIONS}
OWN_RUN: dict[str, st.SearchStrategy[Described]] = {
    "Processor": st.just({}),
    "ScriptProcessor": st.fixed_dictionaries({"code": CODE}),
    "PyTorchProcessor": st.builds(
        lambda source, more: source | ({} if source["code"].startswith("s3:") else {"dependencies": more}),
        SOURCES,
        DEPENDENCIES,
    ),
    "PySparkProcessor": st.fixed_dictionaries(
        {"submit_app": CODE}, optional={**SUBMISSION, "submit_py_files": SUBMITTED}
    ),
    "SparkJarProcessor": st.fixed_dictionaries(
        {"submit_app": CODE, "submit_class": st.sampled_from(["Main", "org.example.Main"])}, optional=SUBMISSION
    ),
}


@st.composite
def cases(draw: st.DrawFn, processor: str) -> Case:
    """Return a case for one of the processors that `OWN_RUN` has."""
    session, region = draw(SESSIONS), draw(REGIONS)
    init: Described = draw(st.fixed_dictionaries({}, optional={**INIT, **OWN_INIT[processor]}))
    run: Described = draw(st.fixed_dictionaries({}, optional=RUN)) | draw(OWN_RUN[processor])
    # The SDK creates a missing bucket only if no prefix is set, and one that was chosen too: see `differing.buckets`.
    exists = bool(session.get("default_bucket_prefix")) or init.keys() & PLACES or draw(st.booleans())
    buckets = {"mine": Bucket()} | ({f"sagemaker-{region}-{ACCOUNT_ID}": Bucket()} if exists else {})
    return Case(
        name="generated",
        processor=processor,
        init=init,
        runs=(run,),
        session=session,
        region=region,
        files=FILES,
        buckets=buckets,
    )
