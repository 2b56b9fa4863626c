"""One thread a worker, so that numbers do not depend on the machine's cores; a cache of the session's own."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
# Hypothesis tries the same examples in every run, however busy the machine is, and writes none of them to disk.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")
REAL = Path(os.environ.get("GANARIUM_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Empty at the start, and shared by all workers: what one of them has drawn the others read."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    os.environ["GANARIUM_CACHE"] = str(folder / "cache")


@pytest.fixture
def real_data(monkeypatch):
    """The folder of real images; the test is skipped where there is none."""
    if not (REAL / "mnist").is_dir():
        pytest.skip("no real images: GANARIUM_DATA does not point at them and ../shared/data is absent")
    monkeypatch.setenv("GANARIUM_DATA", str(REAL))
    return REAL


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
