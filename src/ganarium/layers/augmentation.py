"""Augmentation as a part of a model's mathematics: D sees T(x) and T(G(z)) where the paper has x and G(z).

A model's `Config` inherits `AugmentOptions`, its `__init__` builds an `Augmentation`, and `step` calls it wherever D
is about to see an image, in D's turn and in G's.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers import ada, diffaugment
from ganarium.runtime import distributed

TARGET = 0.6  # of r_t, the mean sign of D's scores on reals (section 3)
INTERVAL = 4  # updates of D between two changes of p (appendix)
ADAPTATION_IMAGES = 500_000  # in which p can go from 0 to 1 at most (section 3)


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """The option of a model that D can be helped by."""

    augment: Literal["none", "diff", "ada"] = "none"
    """How the images that D sees are changed, real and generated alike, so that it cannot learn a few hundred by
    heart. diff: all of them, in colour, place and by a hidden square (DiffAugment). ada: as often as D's scores ask
    for, by more kinds of changes (ADA). none: not at all."""


@dataclass(frozen=True, kw_only=True)
class DiffAugmentOptions:
    """The option of a model whose D gives scores without a zero: ADA goes by their sign."""

    augment: Literal["none", "diff"] = "none"
    """How the images that D sees are changed, real and generated alike, so that it cannot learn a few hundred by
    heart. diff: all of them, in colour, place and by a hidden square (DiffAugment). none: not at all."""


@dataclass(frozen=True, kw_only=True)
class ScheduledAugmentOptions:
    """The option of a model whose schedule, not D's scores, says how often ADA's changes are applied."""

    augment: Literal["none", "diff", "ada"] = "none"
    """How the images that D sees are changed, real and generated alike, so that it cannot learn a few hundred by
    heart. diff: all of them, in colour, place and by a hidden square (DiffAugment). ada: ever more of them, by the
    kinds of changes of ADA. none: not at all."""


class Augmentation(nn.Module):
    """T: images (b, c, h, w) in [-1, 1], each changed by draws of its own; gradients go through.

    `kind` is none, diff (DiffAugment, with the parts in `policy`) or ada, whose transformations are applied with the
    probability `p`, a buffer that `adapt` or `schedule` changes; for changes of colour and for ADA's cutout it is
    `colour` and `cutout` times as much. With none, T is the identity and draws nothing. `model` and `shape` are those
    of the model, for errors.
    """

    p: Tensor  # () in [0, 1]
    signs: Tensor  # (2,) since the last change of p: the sum of the signs of images' scores, and how many images
    turns: Tensor  # () int64, the updates of D seen

    def __init__(
        self,
        kind: str,
        model: str,
        shape: tuple[int, ...],
        policy: tuple[str, ...] = diffaugment.POLICY,
        *,
        colour: float = 1.0,
        cutout: float = 0.0,
    ) -> None:
        super().__init__()
        self.kind, self.policy, self.colour, self.cutout = kind, policy, colour, cutout
        if kind != "none" and len(shape) != 3:
            raise UserError(f"{model} can augment images, not 2-D points: leave --augment away.")
        if kind == "ada":
            if shape[0] not in (1, 3):
                raise UserError(
                    f"ada changes colours of grey and RGB images, not of {shape[0]} channels: use --augment diff."
                )
            self.register_buffer("p", torch.zeros(()))
            self.register_buffer("signs", torch.zeros(2))
            self.register_buffer("turns", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Tensor) -> Tensor:
        return self.together(image)[0]

    def together(self, *images: Tensor) -> list[Tensor]:
        """The same images at several sizes, the largest first: all get the same draws."""
        if self.kind == "ada":
            return ada.augmented(*images, p=self.p, colour=self.colour, cutout=self.cutout)
        return diffaugment.augmented(*images, policy=self.policy) if self.kind == "diff" else list(images)

    @torch.no_grad()
    def schedule(self, p: Tensor) -> dict[str, Tensor]:
        """Sets ADA's p () in the place of `adapt`, and gives what is to be watched; nothing for other kinds."""
        if self.kind != "ada":
            return {}
        self.p.copy_(p)
        return {"augment_p": self.p.clone()}

    @torch.no_grad()
    def adapt(self, score_real: Tensor, num_images: int | None = None) -> dict[str, Tensor]:
        """ADA's controller: from D's scores (b,) on augmented reals, or (b, n) on their patches, positive where D takes
        them for real. Gives what is to be watched, p and r_t by name; nothing for other kinds of augmentation. The
        scores are of `num_images` images where that is not b.

        Every fourth time p rises if r_t, the mean sign over these times, is above 0.6, and falls if it is below, by as
        much as lets it cross [0, 1] in 500,000 images, within which it stays.
        """
        if self.kind != "ada":
            return {}
        sign = score_real.sign()
        b = num_images or len(sign)
        self.signs.add_(torch.stack([sign.sum() * (b / sign.numel()), sign.new_tensor(b)]))
        self.turns.add_(1)
        due = self.turns % INTERVAL == 0
        r_t = self.signs[0] / self.signs[1]
        images = self.signs[1] * distributed.num_processes()
        self.p.add_(due * (r_t - TARGET).sign() * images / ADAPTATION_IMAGES).clamp_(0, 1)
        self.signs.mul_(~due)
        return {"augment_p": self.p.clone(), "augment_r": r_t}
