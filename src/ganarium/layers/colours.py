"""Colours as networks that were trained with ImageNet's statistics have them."""

import torch
from torch import Tensor, nn

from ganarium.errors import UserError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of R, G and B in [0, 1], over ImageNet


class ImageNetColours(nn.Module):
    """RGB (b, 3, h, w) in [0, 1] to mean 0 and deviation 1 over ImageNet, and `restored` back."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels != 3:
            raise UserError(f"colours in ImageNet's statistics are of 3 channels, not {channels}.")
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def restored(self, x: Tensor) -> Tensor:
        return x * self.std + self.mean
