"""Opens whatever `--data` names as a tree of files: a folder, a `.zip` file or a data set of the Hugging Face hub."""

from pathlib import Path

from ganarium.data.files.huggingface import HubTree
from ganarium.data.files.tree import FolderTree, Tree, ZipTree


def open_tree(where: str | Path, names: list[str] | None = None) -> Tree:
    """The tree of a folder, of a `.zip` file or of `hf:owner/name`. `UserError` when it cannot be read.

    With `names` a folder is not listed again.
    """
    if str(where).startswith("hf:"):
        return HubTree(str(where))
    path = Path(where)
    return FolderTree(path, names) if path.is_dir() else ZipTree(path)
