"""Stand in for `smspark-submit` of AWS's Spark images: run the application on this host with the installed pyspark.

This is a separate program (standard library only), which runs with the image's Python inside the sandbox. Spark runs in
local mode, only on the job's first host. The configuration of Spark and Hadoop itself is used; that of YARN and Hive is
ignored, and the log says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

ML_VARIABLE = "SMSPARK_SUBMIT_ML"
"""Names the folder behind /opt/ml."""
_OPTIONS = ("--jars", "--files", "--py-files")
_REMOTE = ("s3://", "s3a://")
_REFUSED = 1
_ON_THIS_HOST = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
}


def main() -> None:
    """Replace this process by Spark's own `spark-submit`."""
    ml = Path(os.environ.pop(ML_VARIABLE, "/opt/ml"))
    given = _arguments(sys.argv[1:])
    hosts = json.loads((ml / "config" / "resourceconfig.json").read_text())
    if hosts["current_host"] != min(hosts["hosts"]):
        _say(f"Spark runs on {min(hosts['hosts'])} alone: there is no cluster here.")
        return
    home = _spark_home(ml)
    properties, environment = _configuration(ml / "processing" / "input" / "conf" / "configuration.json")
    settings = {**_ON_THIS_HOST, **properties, **_event_logs(given.local_spark_event_logs_dir)}
    command = [str(home / "bin" / "spark-submit"), "--master", "local[*]", "--properties-file", _written(settings)]
    if given.main_class:
        command += ["--class", given.main_class]
    for option in _OPTIONS:
        paths = getattr(given, option.strip("-").replace("-", "_"))
        if paths:
            command += [option, ",".join(_files(option, paths, ml))]
    own_folder = f"{os.environ.get('SPARK_SUBMIT_OPTS', '')} -Djava.io.tmpdir={tempfile.gettempdir()}".strip()
    os.environ.update(
        {
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": tempfile.gettempdir(),
            "SPARK_SUBMIT_OPTS": own_folder,
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            **environment,
        }
    )
    command += ["--verbose"] * given.verbose + [given.app, *given.arguments]
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  # that is its purpose


def _arguments(words: list[str]) -> argparse.Namespace:
    """Parse the command line; everything after the application is passed to the application."""
    parser = argparse.ArgumentParser(prog="smspark-submit", allow_abbrev=False)
    parser.add_argument("--class", dest="main_class")
    for option in _OPTIONS:
        parser.add_argument(option)
    parser.add_argument("--local-spark-event-logs-dir")
    parser.add_argument("--spark-event-logs-s3-uri")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("app")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(words)


def _spark_home(ml: Path) -> Path:
    """Return the folder in which Spark is installed."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        _refuse(
            ml,
            "smspark-submit needs pyspark, which the Python of this image hasn't got. Install it where the local "
            "SageMaker runs (pip install 'airflow-sm-processing[spark]'), or in the Python that runs this image.",
        )
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        _refuse(
            ml, "smspark-submit needs Java, which isn't on the PATH, and JAVA_HOME isn't set: install a JRE, 17 or 8."
        )
    return Path(found.origin).parent


def _files(option: str, paths: str, ml: Path) -> list[str]:
    """Return the files of an option; for a folder, the files directly in it, as in AWS's images."""
    found: list[str] = []
    for path in paths.split(","):
        if path.lower().startswith(_REMOTE):
            _refuse(ml, f"{option} {path}: Spark can't read S3 here, for pyspark comes without it. Give a local file.")
        if not Path(path).is_dir():
            found.append(path)
            continue
        files = sorted(str(file) for file in Path(path).iterdir() if file.is_file())
        if not files:
            _refuse(ml, f"{option} {path}: there are no files directly in it, and AWS's images look no deeper.")
        found += files
    return found


def _configuration(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return Spark's properties and environment variables."""
    given = json.loads(file.read_text()) if file.exists() else []
    properties: dict[str, str] = {}
    environment: dict[str, str] = {}
    for item in given if isinstance(given, list) else [given]:
        name, values = item["Classification"], item["Properties"]
        if name in {"spark-defaults", "core-site"}:
            prefix = "" if name == "spark-defaults" else "spark.hadoop."
            properties |= {f"{prefix}{key}": _text(value) for key, value in values.items()}
        elif name in {"spark-env", "hadoop-env"}:
            for inner in item.get("Configurations") or ():
                environment |= {key: _text(value) for key, value in inner["Properties"].items()}
        else:
            _say(f"Without effect here: the configuration of {name}.")
    master = properties.pop("spark.master", None)
    if master is not None:
        _say(f"Without effect here: spark.master={master}; it is local[*].")
    return properties, environment


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _written(settings: dict[str, str]) -> str:
    """Write Spark's properties to a file and return its path: passwords must not appear in the list of processes."""
    descriptor, name = tempfile.mkstemp(suffix=".conf")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{_escaped(key, ' :=#!')}={_escaped(value, ' ')}\n" for key, value in settings.items())
    return name


def _escaped(text: str, marks: str) -> str:
    """Return a text escaped for a Java properties file."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return "".join(f"\\{letter}" if letter in marks else letter for letter in text)


def _event_logs(folder: str | None) -> dict[str, str]:
    if not folder:
        return {}
    Path(folder).mkdir(parents=True, exist_ok=True)
    return {"spark.eventLog.enabled": "true", "spark.eventLog.dir": Path(folder).absolute().as_uri()}


def _say(text: str) -> None:
    print(f"[local] {text}", flush=True)  # noqa: T201  # it is the job's log


def _refuse(ml: Path, text: str) -> NoReturn:
    """Exit with a sentence, which becomes the job's exit message."""
    _say(text)
    (ml / "output").mkdir(parents=True, exist_ok=True)
    (ml / "output" / "message").write_text(text)
    sys.exit(_REFUSED)


if __name__ == "__main__":
    main()
