"""The check of a release: `make dist` builds the sdist and the wheel, and uses both as strangers would.

The sdist has everything that the repository has, sets itself up, passes a test of its own, and builds the same wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PACKAGE = "airflow_sm_processing"
UV = (sys.executable, "-m", "uv", "--quiet")
CONSTRAINTS = ROOT / "constraints.txt"


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command with an Airflow home beside its folder, and return what it prints."""
    # A `make` within `make` would take the outer one's flags.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environ |= {"AIRFLOW_HOME": str(cwd / "airflow-home"), "PYTHONWARNINGS": "ignore"} if cwd != ROOT else {}
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
    return ran.stdout


def built() -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; return both."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(*UV, "build", "--build-constraint", CONSTRAINTS, "--out-dir", DIST)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    return sdist, wheel


def check_version(wheel: Path) -> str:
    """Return the version, after checking that the changelog has it, and that a release's tag says the same."""
    version = wheel.name.split("-")[1]
    changes = (ROOT / "CHANGELOG.md").read_text()
    if f"\n## {version}" not in changes:
        raise SystemExit(f"CHANGELOG.md has no section for the version {version}.")
    tag = os.environ.get("TAG")
    if tag and tag != f"v{version}":
        raise SystemExit(f"The tag {tag} isn't that of the version {version} in pyproject.toml.")
    if tag and f"\n## {version} (unreleased)" in changes:
        raise SystemExit(f"CHANGELOG.md calls the version {version} unreleased: write the date of the release.")
    return version


def check_contents(sdist: Path, wheel: Path) -> None:
    """Compare the sdist's files with the repository's, and the wheel's with the package's."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    if (ROOT / ".git").exists():
        in_repository = set(run("git", "ls-files").splitlines())
        if in_sdist - {"PKG-INFO"} != in_repository:
            raise SystemExit(f"The sdist and the repository differ: {sorted(in_sdist ^ in_repository)}")
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    in_package = {name for name in in_sdist if name.startswith(f"{PACKAGE}/")}
    if in_wheel != in_package:
        raise SystemExit(f"The wheel and the package differ: {sorted(in_wheel ^ in_package)}")


def check_sdist(sdist: Path, wheel: Path, folder: Path) -> None:
    """Set the unpacked sdist up, run a test in it, and build the wheel from it."""
    shutil.unpack_archive(sdist, folder, filter="data")
    (source,) = folder.iterdir()
    run("make", "setup", cwd=source)
    run(source / ".venv" / "bin" / "pytest", "-q", "tests/unit/test_package.py", cwd=source)
    run(*UV, "build", "--wheel", "--build-constraint", CONSTRAINTS, "--out-dir", folder / "dist", cwd=source)
    if (folder / "dist" / wheel.name).read_bytes() != wheel.read_bytes():
        raise SystemExit("The wheel that the unpacked sdist builds is another one.")


def check_wheel(wheel: Path, folder: Path) -> None:
    """Install the wheel into a new environment, import every module, and start the commands."""
    run(*UV, "venv", "--python", sys.executable, folder)
    commands = folder / "bin"
    run(
        *(*UV, "pip", "install", "--python", commands / "python", "--constraint", CONSTRAINTS),
        f"{PACKAGE.replace('_', '-')}[crt,local] @ {wheel.as_uri()}",
    )
    imported = run(commands / "python", ROOT / "tests" / "compat" / "imports.py", cwd=folder)
    if imported.splitlines()[-1] != "{}":
        raise SystemExit(f"Not every module of the wheel can be imported: {imported}")
    for command in ("airflow-sm-processing", "airflow-sm-local"):
        run(commands / command, "--help", cwd=folder)


def main() -> None:
    """Build both, and check them."""
    sdist, wheel = built()
    version = check_version(wheel)
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    check_contents(sdist, wheel)
    with tempfile.TemporaryDirectory() as folder:
        check_wheel(wheel, Path(folder, "wheel"))
        check_sdist(sdist, wheel, Path(folder, "sdist"))
    print(f"{PACKAGE} {version}: {sdist.relative_to(ROOT)} and {wheel.relative_to(ROOT)} can be released.")


if __name__ == "__main__":
    main()
