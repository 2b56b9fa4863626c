"""`ganarium show`: the card of a model, with its players and its options."""

import dataclasses

from ganarium import registry
from ganarium.cli.parameters import LEGEND


def show(model: str, /) -> None:
    """Print what a model is: its paper, its idea, its losses, the networks that are trained, and its options.

    Parameters
    ----------
    model
        A name from `ganarium list`, or the path of your own model file.
    """
    import torch

    card = registry.card(model)
    print(f"{registry.title(model)}: {card['title']} ({card['year']})\n{card['authors']}")
    print(f"https://arxiv.org/abs/{card['arxiv']}\n" if card["arxiv"] else "")
    print(card["docstring"].split("\n\n", 1)[-1], end="\n\n")
    with torch.device("meta"):  # to be counted, not computed
        instance = registry.create(model, (3, 64, 64), 10)
    print("Players, on 64x64 colour images of ten classes:")
    for name, player in instance.players.items():
        count = sum(parameter.numel() for parameter in player.parameters())
        rate, rule = player.optimizer.numbers(0, 1)["lr"], type(player.optimizer).__name__
        print(f"  {name:6} {count:>12,} parameters, {rule}, learning rate {rate:g} at the start")
    print(f"\nOptions. {LEGEND}")
    config = registry.module(model).Config
    docs = registry.field_docs(config)
    for field in dataclasses.fields(config):
        default = "" if field.default is None else f" [{field.default}]"
        help_text = " ".join(docs.get(field.name, "").split()).replace("None: ", "Default: ")
        print(f"  --{field.name.replace('_', '-')}{default}\n      {help_text}")
