"""`ganarium list`: every model and every data set, read from the files."""

from ganarium import registry
from ganarium.data import list_data


def list_() -> None:
    """Print every model and every built-in data set, a line each."""
    names = registry.list_models()
    width = max(map(len, [*names, *list_data()]))
    print("models (ganarium show MODEL):")
    for name in names:
        card = registry.card(name)
        print(f"  {name:{width}}  {card['year']}  {card['idea']}")
    print("data (--data NAME, or a folder or .zip of images, an .npz file, hf:owner/name):")
    for name, line in list_data().items():
        print(f"  {name:{width}}  {line}")
