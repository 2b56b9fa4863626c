"""`ganarium list` and `ganarium show`: what there is, read from the files."""

from ganarium import registry


def list_() -> None:
    """Every model and every data set, a line each."""
    from ganarium.data import list_data

    names = registry.list_models()
    width = max(map(len, [*names, *list_data()]))
    print("models (ganarium show MODEL):")
    for name in names:
        card = registry.card(name)
        print(f"  {name:{width}}  {card['year']}  {card['idea']}")
    print("data (--data NAME, or a folder or .zip of images, an .npz file, hf:owner/name):")
    for name, line in list_data().items():
        print(f"  {name:{width}}  {line}")


def show(model: str, /) -> None:
    """The card of a model: paper, idea, losses, players, options.

    Parameters
    ----------
    model
        A name from `ganarium list`.
    """
    import dataclasses

    card = registry.card(model)
    print(f"{model}: {card['title']} ({card['year']})\n{card['authors']}\nhttps://arxiv.org/abs/{card['arxiv']}\n")
    print(card["docstring"].split("\n\n", 1)[1], end="\n\n")
    instance = registry.create(model, (3, 64, 64), 10)
    print("Players, on 64x64 colour images of ten classes:")
    for name, player in instance.players.items():
        count = sum(parameter.numel() for parameter in player.parameters())
        rate, rule = player.optimizer.numbers(0, 1)["lr"], type(player.optimizer).__name__
        print(f"  {name:6} {count:>12,} parameters, {rule}, learning rate {rate:g} at the start")
    print("\nOptions:")
    config = registry.module(model).Config
    docs = registry.field_docs(config)
    for field in dataclasses.fields(config):
        default = "" if field.default is None else f" [{field.default}]"
        help_text = " ".join(docs[field.name].split()).replace("None: ", "Default: ")
        print(f"  --{field.name.replace('_', '-')}{default}\n      {help_text}")
