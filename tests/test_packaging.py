"""`pip install` of ganarium gives a wheel that holds all it needs, and that needs nothing else of the repository."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

import ganarium

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "NOTICE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def called(*command: str | Path, **options) -> str:
    """What a command writes; the test fails with its errors where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, Path]:
    """The sdist, the wheel that is made from it, and the wheel that is made from the tree, all without a network."""
    folder = tmp_path_factory.mktemp("packages")
    tree = folder / "tree"  # building leaves files behind
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, tree / name)
    build = "from setuptools import build_meta; build_meta.build_sdist('..'); build_meta.build_wheel('..')"
    called(sys.executable, "-c", build, cwd=tree)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    rebuilt = folder / "rebuilt"
    called(*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", rebuilt, sdist)
    return {"sdist": sdist, "wheel": wheel, "rebuilt": next(rebuilt.glob("*.whl"))}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_whole_package_and_nothing_else(packages):
    files = contents(packages["wheel"])
    packed = {name for name in files if ".dist-info/" not in name}
    caches = ("__pycache__", ".ruff_cache", ".mypy_cache")
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "ganarium").rglob("*")
        if path.is_file() and not set(caches) & set(path.parts) and path.name != "ruff.toml"
    }
    assert packed == source
    kinds = {Path(name).suffix for name in packed} | {Path(name).name for name in packed}
    assert {".safetensors", ".css", ".js", "py.typed"} <= kinds
    weights = sum(len(content) for name, content in files.items() if name.startswith("ganarium/runs/weights/"))
    assert weights < 5 * 2**20, "the gallery's share"
    assert sum(map(len, files.values())) - weights < 5 * 2**20


def test_the_wheel_made_from_the_sdist_is_the_same(packages):
    assert contents(packages["rebuilt"]) == contents(packages["wheel"])
    with tarfile.open(packages["sdist"]) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert folders == {"src", "PKG-INFO", "setup.cfg", *BUILT_FROM}


def test_the_wheel_says_what_it_is(packages):
    files = contents(packages["wheel"])
    (facts,) = (BytesParser().parsebytes(text) for name, text in files.items() if name.endswith("METADATA"))
    assert (facts["Name"], facts["Version"]) == ("ganarium", ganarium.__version__)
    assert facts["License-Expression"] == "Apache-2.0"
    assert {Path(name).name for name in files if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    for kept in (ROOT / "CHANGELOG.md", ROOT / "CITATION.cff"):
        assert ganarium.__version__ in kept.read_text(), f"{kept.name} does not know this version"


def test_the_pins_hold_every_requirement():
    """`make` installs what constraints.txt says, so each requirement of pyproject.toml needs its line there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {word.split(">")[0].split("=")[0].split("[")[0].lower().replace("_", "-") for word in wanted}
    assert names - pins <= {"types-pyyaml", "ganarium"}


def test_the_wheel_works_without_the_repository(packages, tmp_path, own_cache):
    """The interpreter sees the wheel and the packages it needs, but neither the checkout nor its installation."""
    target, environment, empty = tmp_path / "target", tmp_path / "environment", tmp_path / "empty"
    called(*PIP, "install", "--no-index", "--no-deps", "--target", target, packages["rebuilt"])
    called(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    own = Path(called(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # The folder's own .pth files, that of the editable installation among them, are not read when a .pth names it.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n")
    empty.mkdir()
    known = {"cwd": empty, "env": os.environ | {"PYTHONPATH": str(target)}}
    said = called(python, ROOT / "tools" / "try_installed.py", **known)
    assert f"in {target / 'ganarium'} does without the repository" in said
    version = called(python, target / "bin" / "ganarium", "--version", **known)
    assert version.splitlines()[0] == f"ganarium {ganarium.__version__}"


def test_no_text_installs_a_package_that_nobody_has_released() -> None:
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    named = [str(path) for path in texts if re.search(r"pip\s+install\s+'?ganarium", path.read_text())]
    assert named == [], "name the package that is missing itself"
