"""`ganarium list`: every model and every data set, read from the files."""

from ganarium import registry
from ganarium.data import list_data
from ganarium.runs import gallery


def list_() -> None:
    """Print every model, every built-in data set and every generator that comes with the package, a line each."""
    models, trained = registry.list_models(), {name: gallery.card(name)["what"] for name in gallery.names()}
    width = max(map(len, [*models, *list_data(), *trained]))
    print("models (ganarium show MODEL):")
    for name in models:
        card = registry.card(name)
        print(f"  {name:{width}}  {card['year']}  {card['idea']}")
    print("data (--data NAME, or a folder or .zip of images, an .npz file, hf:owner/name):")
    for name, line in list_data().items():
        print(f"  {name:{width}}  {line}")
    if trained:
        print("generators that come with the package (in place of a run: pretrained:NAME):")
    for name, what in trained.items():
        print(f"  {name:{width}}  {what}")
