"""Uploads against the SageMaker SDK, s3transfer and the AWS CRT client, over a link with latency.

The contenders take turns, each in a process of its own, and the medians count. The SDK is installed to `.venv-sdk`.
Like all of botocore, it asks S3 with `Expect: 100-continue` before it sends a body: a file costs it two round trips.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SDK_PYTHON = ROOT / ".venv-sdk" / "bin" / "python"
CONTENDERS = ("sdk", "threads", "crt", "ours", "ours-without-crt")
MIB = 1024**2


@dataclass(frozen=True)
class Load:
    title: str
    path: Path
    latency: float
    """Seconds of a round trip."""
    runs: int
    sdk_runs: int
    """The SDK needs minutes for many small files, and varies by 2 %: once is enough there."""


def main() -> None:
    """Print each contender's seconds, and its ratios to the SDK and to the plain CRT client."""
    install_sdk()
    with tempfile.TemporaryDirectory() as folder:
        for load in (many_small(Path(folder)), one_big(Path(folder))):
            print_table(load, measured(load))


def install_sdk() -> None:
    """Install the SageMaker SDK v2 once."""
    if SDK_PYTHON.exists() and not subprocess.call(
        [SDK_PYTHON, "-c", "import sagemaker.s3"], stderr=subprocess.DEVNULL
    ):
        return
    subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, SDK_PYTHON.parents[1]], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", SDK_PYTHON, "sagemaker<3"], check=True)


def many_small(folder: Path) -> Load:
    path = folder / "small"
    path.mkdir()
    for number in range(2000):
        (path / f"{number:05}.bin").write_bytes(os.urandom(4096))
    return Load("2,000 files of 4 KiB, 20 ms", path, 0.020, runs=5, sdk_runs=1)


def one_big(folder: Path) -> Load:
    path = folder / "big.bin"
    block = os.urandom(8 * MIB)
    with path.open("wb") as file:
        for _ in range(64):
            file.write(block)
    return Load("1 file of 512 MiB, 0 ms", path, 0.0, runs=7, sdk_runs=7)


def measured(load: Load) -> dict[str, list[float]]:
    """Let the contenders take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for run in range(load.runs):
        for name in CONTENDERS:
            if name == "sdk" and run >= load.sdk_runs:
                continue
            with fake_s3(load.latency / 2) as url:
                seconds[name].append(timed(name, load.path, url))
    return seconds


@contextmanager
def fake_s3(seconds_each_way: float) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.fake_s3", str(seconds_each_way)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.stdin.close()


def timed(name: str, path: Path, url: str) -> float:
    python = SDK_PYTHON if name == "sdk" else Path(sys.executable)
    command = [str(python), "-W", "ignore", str(ROOT / "benchmarks" / "upload_contenders.py"), name, str(path)]
    done = subprocess.run(command, env=environment(url), stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def environment(url: str) -> dict[str, str]:
    """Keep the user's own AWS settings and proxies out."""
    own = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    own = {name: value for name, value in own.items() if not name.startswith("AWS_")}
    return own | {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONPATH": str(ROOT),
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
    }


def print_table(load: Load, seconds: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{load.title:<28} {'median':>8} {'least':>8} {'most':>8} {'to sdk':>8} {'to crt':>8}")
    for name, median in medians.items():
        values = seconds[name]
        columns = f"{median:7.2f}s {min(values):7.2f}s {max(values):7.2f}s"
        print(f"  {name:<26} {columns} {median / medians['sdk']:8.2f} {median / medians['crt']:8.2f}", flush=True)
    print()


if __name__ == "__main__":
    main()
