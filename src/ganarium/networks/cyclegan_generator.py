"""The residual generator of CycleGAN, after Johnson et al. (2016): any height and width."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.layers.upsampling import Upsampling


class ResNetGenerator(nn.Module):
    """(b, c, h, w) -> (b, c, h, w) in [-1, 1]: c7s1-64, d128, d256, R256 x num_blocks, u128, u64, c7s1-c.

    Instance norm has neither weights nor running statistics, so training and evaluation agree; convolutions
    have biases. A side that is no multiple of 4 is padded by reflection at its end, and the result cropped.
    `upsampling` of u128 and u64 is a transposed convolution (paper), or resizing and a convolution.
    """

    def __init__(self, channels: int, width: int, num_blocks: int, upsampling: Upsampling = "transposed") -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), *_norm_relu(width)]
        for fan_in in (width, 2 * width):
            layers += [nn.Conv2d(fan_in, 2 * fan_in, 3, 2, 1), *_norm_relu(2 * fan_in)]
        layers += [ResidualBlock(4 * width) for _ in range(num_blocks)]
        for fan_in in (4 * width, 2 * width):
            layers += [_doubled(fan_in, fan_in // 2, upsampling), *_norm_relu(fan_in // 2)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7)]
        self.layers = nn.Sequential(*layers)
        self.reach = 8 * num_blocks + 16  # pixels around one, a multiple of 4, where the statistics are fixed

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height % 4 or width % 4:
            x = F.pad(x, (0, -width % 4, 0, -height % 4), mode="reflect")
        return torch.tanh(full(self.layers(x)[:, :, :height, :width]))


class ResidualBlock(nn.Module):
    """(b, width, h, w) -> the same: two 3x3 convolutions, padded by reflection; no ReLU after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), *_norm_relu(width)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.layers = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _doubled(inputs: int, outputs: int, upsampling: Upsampling) -> nn.Module:
    if upsampling == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1))


def _norm_relu(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(width), nn.ReLU()
