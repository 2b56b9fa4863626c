"""PatchGAN (pix2pix, CycleGAN): a discriminator that scores overlapping patches of an image."""

from typing import Literal

from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.precision import full


class PatchDiscriminator(nn.Module):
    """(b, c, h, w) -> scores (b, 1, h', w'): `num_layers` 4x4 convolutions of stride 2, then two of stride 1.

    A patch is 16, 34, 70, 142 or 286 pixels wide for 1 to 5 layers. `norm` follows every layer but the first
    and the last; a convolution before batch norm has no bias. No sigmoid.
    """

    def __init__(
        self, channels: int, width: int, num_layers: int, *, norm: Literal["instance", "batch"] | None
    ) -> None:
        super().__init__()
        normal = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, None: nn.Identity}[norm]
        widths = [width * min(2**level, 8) for level in range(num_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, num_layers + 1):
            stride = 2 if level < num_layers else 1
            layers.append(nn.Conv2d(widths[level - 1], widths[level], 4, stride, 1, bias=norm != "batch"))
            layers += [normal(widths[level]), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.layers(x))


def checked_layers(num_layers: int, height: int, width: int) -> int:
    """`num_layers`, if an image of this size is large enough for it; else `UserError`."""
    least = 3 * 2**num_layers  # the two layers of stride 1 take 2 pixels
    if min(height, width) < least:
        raise UserError(
            f"patch_layers {num_layers} needs images of at least {least}x{least} pixels, "
            f"not {height}x{width}: use fewer."
        )
    return num_layers
