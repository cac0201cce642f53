"""The package as a user gets it: built, installed without network, and run far from the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNUSED = {"jax", "hydra", "matplotlib", "xarray", "zarr", "rich", "equinox"}


def call(*command: str | Path, cwd: Path) -> str:
    """Run a command outside the checkout's reach; its output, or a failed test that shows it."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "SUPERPOSE_PATH", "MAKEFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(target: str, source: Path, out: Path) -> Path:
    """A wheel or sdist of the project in `source`, by hatchling, which must be installed."""
    call(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", out, cwd=source)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> tuple[Path, Path]:
    """The wheel built from the checkout, and the wheel built from the sdist."""
    folder = tmp_path_factory.mktemp("build")
    with tarfile.open(build("sdist", ROOT, folder / "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("superpose-*")
    return build("wheel", ROOT, folder / "direct"), build("wheel", unpacked, folder / "from_sdist")


@pytest.fixture(scope="module")
def python(wheels, tmp_path_factory) -> Path:
    """A new environment's Python: it holds the wheel, and sees the libraries of this one (but no editable install)."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    new = folder / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", new, "install", "--no-index", "--no-deps", wheels[1], cwd=folder)
    site = call(new, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    Path(site, "libraries.pth").write_text("\n".join({sysconfig.get_path(k) for k in ("purelib", "platlib")}))
    return new


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A user's folder with an `experiments` and a `conf` of its own, which have nothing to do with superpose."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise RuntimeError('imported a foreign package')\n")
    (tmp_path / "experiments" / "basic_results.py").write_text("this is no Python\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("{not: yaml\n")
    return tmp_path


def test_both_wheels_carry_settings_and_experiments(wheels):
    names = [set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels]
    assert names[0] == names[1]
    for folder in ("conf", "experiments"):
        kept = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml")]
        assert kept and {f"superpose/_shipped/{path.relative_to(ROOT)}" for path in kept} <= names[0]
    tops = {name.split("/")[0] for name in names[0]}
    assert len(tops) == 2 and "superpose" in tops, tops  # nothing but the package and its metadata
    assert not [name for name in names[0] if "__pycache__" in name or name.endswith(".zarr")]


@pytest.mark.slow
def test_the_smoke_job_runs_from_a_wheel(python, elsewhere):
    place = call(python, "-c", "import superpose; print(superpose.__file__)", cwd=elsewhere).strip()
    assert Path(place).is_relative_to(python.parent.parent)
    call(python, "-m", "superpose.run", "experiment=basic_results", "scale=smoke", cwd=elsewhere)
    results = elsewhere / "outputs" / "basic_results-smoke"
    for name in ("models.zarr", "arrays.zarr", "figure.png", "figure.svg", "config.yaml", "run.log"):
        assert (results / name).exists(), name
    assert {path.name for path in elsewhere.iterdir()} == {"experiments", "conf", "outputs"}
    read = f"import superpose, json; tree = superpose.load({str(results)!r}); print(json.dumps(sorted(tree.children)))"
    assert json.loads(call(python, "-c", read, cwd=elsewhere)) == ["linear", "relu"]


def test_the_commands_of_a_wheel(python, elsewhere):
    assert "sparsity" in call(python, "-m", "superpose.run", "--help", cwd=elsewhere)
    script = python.parent / "superpose"
    assert "status" in call(script, "--help", cwd=elsewhere)
    assert "basic_results" in call(script, "list", cwd=elsewhere)


def test_importing_superpose_imports_no_library():
    """What takes seconds to import is imported when it is used."""
    loaded = f"import sys, superpose; print(*sorted({UNUSED!r} & set(sys.modules)))"
    assert (
        call(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {loaded}", cwd=ROOT).split() == []
    )
