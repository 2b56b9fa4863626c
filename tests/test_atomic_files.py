"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from ganarium.runtime.files import atomic_write, leftovers


def test_a_file_takes_its_place_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.write_text("old")
    with atomic_write(path, sync=True) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".png", "writers tell the format from the name"
        assert path.read_text() == "old"
        assert leftovers(tmp_path) == [temporary] == [tmp_path / ".writing-grid.png"]
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_its_place_and_what_a_kill_left_goes(tmp_path: Path) -> None:
    left = tmp_path / ".writing-step-1"
    left.mkdir()
    (left / "half").write_text("")
    with atomic_write(tmp_path / "step-1", sync=True) as temporary:
        temporary.mkdir()
        (temporary / "model").write_text("whole")
    assert [path.name for path in tmp_path.rglob("*")] == ["step-1", "model"]


@pytest.mark.parametrize("folder", [False, True])
def test_an_error_leaves_all_as_it_was(folder: bool, tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as temporary:
            if folder:
                temporary.mkdir()
                (temporary / "file").write_text("half")
            else:
                temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_write_the_same_file_use_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with atomic_write(path) as one, atomic_write(path, concurrent=True) as other:
        assert one != other
        other.write_text("other")
        one.write_text("one")
    assert path.read_text() == "one"
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "nothing was written"):
        pass
