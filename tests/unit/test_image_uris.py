"""AWS's own images: their short forms, and what is said of those that don't exist. The parity tier has the URIs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_sm_processing import DefinitionError, image_uris

TABLES = Path(image_uris.__file__).with_suffix(".json")
CPU, GPU = "ml.m5.xlarge", "ml.g5.xlarge"
SKLEARN = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn"
DLC = "763104351884.dkr.ecr.us-west-2.amazonaws.com"


@pytest.mark.parametrize(
    ("short", "instance_types", "uri"),
    [
        ("sklearn:1.4-2", [CPU], f"{SKLEARN}:1.4-2-cpu-py3"),
        ("sklearn:1.4-2", [], f"{SKLEARN}:1.4-2-cpu-py3"),
        ("sklearn:1.4-2-cpu-py3", [CPU], f"{SKLEARN}:1.4-2-cpu-py3"),
        ("pytorch:2.3", [CPU], f"{DLC}/pytorch-training:2.3-cpu-py311"),
        ("pytorch:2.3", [GPU, "ml.p3.2xlarge"], f"{DLC}/pytorch-training:2.3-gpu-py311"),
        ("pytorch:2.3-cpu", [CPU, GPU], f"{DLC}/pytorch-training:2.3-cpu-py311"),
        ("pytorch:2.3.0-gpu-py311", [], f"{DLC}/pytorch-training:2.3.0-gpu-py311"),
        ("pytorch:1.8-py36", [CPU], f"{DLC}/pytorch-training:1.8-cpu-py36"),
        (
            "huggingface:4.56-pytorch2.8",
            [GPU],
            f"{DLC}/huggingface-pytorch-training:2.8-transformers4.56-gpu-py312-cu129-ubuntu22.04",
        ),
        ("xgboost:1.7-1", [CPU], "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"),
        ("clarify", [], "306415355426.dkr.ecr.us-west-2.amazonaws.com/sagemaker-clarify-processing:1.0"),
        ("model-monitor", [], "159807026194.dkr.ecr.us-west-2.amazonaws.com/sagemaker-model-monitor-analyzer"),
    ],
)
def test_a_short_form_stands_for_an_image(short: str, instance_types: list[str], uri: str) -> None:
    assert image_uris.resolve(short, "us-west-2", instance_types).uri == uri


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "141502667606.dkr.ecr.eu-west-1.amazonaws.com"),
        ("cn-north-1", "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "414596584902.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "833128469047.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
    ],
)
def test_the_registry_is_that_of_the_region_and_its_partition(region: str, host: str) -> None:
    assert image_uris.resolve("sklearn:1.2-1", region).uri.partition("/")[0] == host


@pytest.mark.parametrize(
    ("short", "rule"),
    [
        ("sklern:1.4-2", "there is no such framework: did you mean sklearn?"),
        ("scikit-learn:1.4-2", "there is no such framework: did you mean sklearn?"),
        ("numpy:2.0", "there is no such framework: there are clarify, data-wrangler, .* and xgboost"),
        ("sklearn:1.5-1", r"sklearn has no such version; the nearest are 1.4-2 and 1.2-1 \(SageMaker SDK .*full URI"),
        ("sklearn:1.1-1", "the nearest are 1.2-1, 1.0-1 and 0.23-1"),
        ("sklearn:1.4", "the nearest are 1.4-2, 1.2-1 and 1.0-1"),
        ("pytorch:2.9", "the nearest are 2.8 and 2.7"),
        ("clarify:2.0", "clarify has no such version; the nearest is 1.0"),
        ("sklearn", "lacks a version; the newest is sklearn:1.4-2"),
        ("pytorch:1.8-cpu", "pytorch:1.8 has images with py3 and py36: write pytorch:1.8-py3 or pytorch:1.8-py36"),
        ("sklearn:1.4-2-py312", "sklearn:1.4-2 has images with py3: write sklearn:1.4-2-py3"),
        ("huggingface:4.56", "is on top of pytorch2.8: write huggingface:4.56-pytorch2.8"),
        ("huggingface:4.56-pytorch2.8-cpu", "huggingface 4.56 has images for gpu only"),
        ("pytorch:2.3", "pytorch 2.3 has images for cpu and gpu: an instance type, such as ml.m5.xlarge, decides"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest(short: str, rule: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        image_uris.resolve(short, "us-west-2")
    (problem,) = caught.value.problems
    assert re.search(rule, problem.rule)


def test_a_wrong_region_is_refused_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="no image in the region 'eu-wset-1': did you mean eu-west-1, "):
        image_uris.resolve("sklearn:1.4-2", "eu-wset-1")
    with pytest.raises(DefinitionError, match=r"sklearn 1\.4-2 has no image in the region 'ap-east-2'"):
        image_uris.resolve("sklearn:1.4-2", "ap-east-2")  # where others have


def test_instance_types_that_need_different_images_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"end it in -cpu or -gpu, as in pytorch:2\.3-cpu"):
        image_uris.resolve("pytorch:2.3", "us-west-2", [CPU, GPU])
    with pytest.raises(DefinitionError, match=r"pytorch doesn't run on P2 instances from 1\.13 on"):
        image_uris.resolve("pytorch:2.3", "us-west-2", ["ml.p2.xlarge"])
    with pytest.raises(DefinitionError, match="no processing job runs on Graviton"):
        image_uris.resolve("pytorch:2.3", "us-west-2", ["ml.m6g.xlarge"])


@pytest.mark.parametrize(
    ("short", "region", "newer"),
    [
        ("sklearn:1.2-1", "us-west-2", "sklearn:1.4-2"),
        ("sklearn:1.4-2", "us-west-2", None),
        ("pytorch:2.3-cpu", "us-west-2", "pytorch:2.8"),
        ("pytorch:2.8.0-cpu", "us-west-2", None),
        ("pytorch:2.3-cpu", "us-iso-east-1", None),  # whose registry has no newer one
        ("xgboost:1.7-1", "us-west-2", "xgboost:3.0-5"),
        ("huggingface:4.49-pytorch2.5", "us-west-2", "huggingface:4.56-pytorch2.8"),
        ("model-monitor", "us-west-2", None),
    ],
)
def test_the_newest_version_is_named_where_there_is_a_newer_one(short: str, region: str, newer: str | None) -> None:
    assert image_uris.resolve(short, region).newer == newer


@pytest.mark.parametrize(
    ("text", "in_image", "in_image_uri"),
    [
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1.4-2", False, False),
        ("team/sklearn:1.4-2", False, False),
        ("sklearn:1.4-2", True, True),
        ("sklern:1.4-2", True, True),
        ("sklearn", True, False),
        ("python:3.12", True, False),
        ("image", True, False),
    ],
)
def test_a_short_form_is_told_from_a_uri(text: str, in_image: bool, in_image_uri: bool) -> None:
    told = [image_uris.is_short_form(text, parameter) for parameter in ("image", "image_uri")]
    assert told == [in_image, in_image_uri]


@pytest.mark.parametrize(
    "text",
    ["sklearn:", ":1.4", "sklearn:latest", "SKLEARN:1.4-2", "sklearn:1.4-2-", "a" * 300, "sklearn:1\n", "{{", ""],
)
def test_a_text_of_another_form_is_refused_without_a_look_into_the_tables(text: str) -> None:
    (problem,) = image_uris.short_form_problems(text, "image")
    assert problem.rule.startswith("must be a framework, a colon and a version, such as sklearn:1.4-2")
    with pytest.raises(DefinitionError, match="must be a framework, a colon and a version"):
        image_uris.resolve(text, "us-west-2")


@pytest.mark.parametrize("value", [3, ["sklearn"], {"a": 1}, b"sklearn", True, "x" * 10_000, "\x1b[31m"])
@pytest.mark.parametrize("parameter", ["framework", "region", "version", "py_version", "image_scope", "instance_type"])
def test_a_value_of_any_kind_is_refused_in_short_words(parameter: str, value: object) -> None:
    arguments: dict[str, object] = {
        "framework": "pytorch",
        "region": "us-west-2",
        "version": "1.8",
        "py_version": "py3",
    }
    with pytest.raises(DefinitionError) as caught:
        image_uris.retrieve(**{**arguments, "instance_type": CPU, parameter: value})  # type: ignore[arg-type]  # on purpose
    assert caught.value.problems[0].parameter == parameter
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_what_only_endpoints_have_is_refused() -> None:
    with pytest.raises(DefinitionError, match="processing jobs have no Elastic Inference"):
        image_uris.retrieve("pytorch", "us-west-2", "2.3", accelerator_type="ml.eia2.medium")
    with pytest.raises(DefinitionError, match="sklearn has images for training and inference"):
        image_uris.retrieve("sklearn", "us-west-2", "1.2-1", image_scope="eia")


def test_every_image_that_is_listed_exists() -> None:
    for framework in image_uris.frameworks():
        listed = image_uris.image_versions(framework)
        assert listed[0].image == image_uris.newest_image(framework)
        for item in listed:
            python = item.pythons[-1] if len(item.pythons) > 1 else None
            processor = "gpu" if "gpu" in item.processors else None
            short = "-".join(part for part in (item.image, processor, python) if part)
            assert image_uris.resolve(short, item.regions[-1]).uri.count("/") == 1


def test_the_tables_are_small_and_say_of_which_day_they_are() -> None:
    assert TABLES.stat().st_size < 60_000
    tables = json.loads(TABLES.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", tables["date"])
    assert tables["date"] in image_uris.tables_origin()
    assert tables["sdk"] in image_uris.tables_origin()


def test_a_dag_files_parse_does_not_read_the_tables() -> None:
    program = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))
from airflow.sdk import DAG
from airflow_sm_processing import ScriptProcessingOperator
common = dict(role="R", instance_count=1, instance_type="ml.m5.xlarge", code="s3://b/c.py")
with DAG("a_dag", schedule=None):
    ScriptProcessingOperator(task_id="a", image_uri="sklearn:1.4-2", **common)
    assert "airflow_sm_processing.image_uris" not in sys.modules
    ScriptProcessingOperator(task_id="b", image="sklearn:1.4-2", **common)
assert not [path for path in opened if path.endswith("image_uris.json")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
