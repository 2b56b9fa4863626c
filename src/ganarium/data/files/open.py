"""Opens whatever `--data` names as a tree of files: a folder, a `.zip` file or a data set of the Hugging Face hub."""

from pathlib import Path

from ganarium.data.files.huggingface import HubTree
from ganarium.data.files.tree import FolderTree, Tree, ZipTree


def open_tree(location: str | Path, names: list[str] | None = None) -> Tree:
    """The tree of a folder, of a `.zip` file or of `hf:owner/name`. `UserError` when it cannot be read.

    If `names` are given, a folder is not listed again.
    """
    if str(location).startswith("hf:"):
        return HubTree(str(location))
    path = Path(location)
    return FolderTree(path, names) if path.is_dir() else ZipTree(path)
