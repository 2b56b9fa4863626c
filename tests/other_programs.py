"""Generators with the names and the arithmetic of other programs' files, as tests write and compute them.

Each is a dict of tensors by the program's names beside a function that maps an image by them, written from what the
programs compute and with none of our networks.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]
Forward = Callable[[Tensor], Tensor]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Maker:
    """Draws weights under the names of a file, and computes with them."""

    def __init__(self, seed: int = 0) -> None:
        self.weights: Weights = {}
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, *shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=self.generator)

    def convolution(self, name: str, inputs: int, outputs: int, kernel: int, *, bias: bool = True, up: bool = False):
        shape = (inputs, outputs) if up else (outputs, inputs)
        self.weights[f"{name}.weight"] = self.draw(*shape, kernel, kernel, scale=(inputs * kernel * kernel) ** -0.5)
        if bias:
            self.weights[f"{name}.bias"] = self.draw(outputs, scale=0.1)

    def norm(self, name: str, channels: int) -> None:
        self.weights[f"{name}.weight"] = 1 + self.draw(channels, scale=0.2)
        self.weights[f"{name}.bias"] = self.draw(channels, scale=0.2)
        self.weights[f"{name}.running_mean"] = self.draw(channels, scale=0.2)
        self.weights[f"{name}.running_var"] = 0.5 + self.draw(channels).square()
        self.weights[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"), stride, padding)

    def deconv(self, x: Tensor, name: str, padding: int = 1, output_padding: int = 0) -> Tensor:
        bias = self.weights.get(f"{name}.bias")
        return F.conv_transpose2d(x, self.weights[f"{name}.weight"], bias, 2, padding, output_padding)

    def batch_norm(self, x: Tensor, name: str, eps: float = 1e-5, training: bool = False) -> Tensor:
        w = self.weights
        statistics = w[f"{name}.running_mean"].clone(), w[f"{name}.running_var"].clone()
        return F.batch_norm(x, *statistics, w[f"{name}.weight"], w[f"{name}.bias"], training, 0.1, eps)


def resnet(
    width: int = 4, blocks: int = 2, *, inner: str = "conv_block", resize: bool = False, dropout: bool = False
) -> tuple[Weights, Forward]:
    """CycleGAN's, of the authors (`conv_block`) and of PyTorch-GAN (`block`, resize)."""
    m, end, second = Maker(), 10 + blocks, 6 if dropout else 5
    ups, last = ((end + 1, end + 5), end + 9) if resize else ((end, end + 3), end + 7)
    m.convolution("model.1", 3, width, 7)
    for place, fan in ((4, width), (7, 2 * width)):
        m.convolution(f"model.{place}", fan, 2 * fan, 3)
    for block in range(10, end):
        m.convolution(f"model.{block}.{inner}.1", 4 * width, 4 * width, 3)
        m.convolution(f"model.{block}.{inner}.{second}", 4 * width, 4 * width, 3)
    for up, fan in zip(ups, (4 * width, 2 * width), strict=True):
        m.convolution(f"model.{up}", fan, fan // 2, 3, up=not resize)
    m.convolution(f"model.{last}", width, 3, 7)

    def reflected(x: Tensor, by: int) -> Tensor:
        return F.pad(x, (by,) * 4, mode="reflect")

    def forward(x: Tensor) -> Tensor:
        x = F.instance_norm(m.conv(reflected(x, 3), "model.1")).relu()
        for place in (4, 7):
            x = F.instance_norm(m.conv(x, f"model.{place}", 2, 1)).relu()
        for block in range(10, end):
            y = F.instance_norm(m.conv(reflected(x, 1), f"model.{block}.{inner}.1")).relu()
            x = x + F.instance_norm(m.conv(reflected(y, 1), f"model.{block}.{inner}.{second}"))
        for up in ups:
            if resize:
                x = m.conv(F.interpolate(x, scale_factor=2, mode="nearest"), f"model.{up}", 1, 1)
            else:
                x = m.deconv(x, f"model.{up}", 1, 1)
            x = F.instance_norm(x).relu()
        return m.conv(reflected(x, 3), f"model.{last}").tanh()

    return m.weights, forward


def unet(width: int = 4, levels: int = 5) -> tuple[Weights, Forward]:
    """The authors' pix2pix, with the statistics of the picture itself and no dropout, as it is used."""
    m, widths = Maker(), [width * min(2**level, 8) for level in range(levels)]
    names = ["model.model"]
    for level in range(1, levels):
        names.append(names[-1] + (".1.model" if level == 1 else ".3.model"))
    m.convolution("model.model.0", 3, width, 4, bias=False)
    m.convolution("model.model.3", 2 * width, 3, 4, up=True)
    for level in range(1, levels):
        innermost, name = level == levels - 1, names[level]
        m.convolution(f"{name}.1", widths[level - 1], widths[level], 4, bias=False)
        up, norm = (3, 4) if innermost else (5, 6)
        fan = widths[level] * (1 if innermost else 2)
        m.convolution(f"{name}.{up}", fan, widths[level - 1], 4, bias=False, up=True)
        m.norm(f"{name}.{norm}", widths[level - 1])
        if not innermost:
            m.norm(f"{name}.2", widths[level])

    def block(x: Tensor, level: int) -> Tensor:
        innermost, name = level == levels - 1, names[level]
        y = m.conv(F.leaky_relu(x, 0.2), f"{name}.1", 2, 1)
        if not innermost:
            y = block(m.batch_norm(y, f"{name}.2", training=True), level + 1)
        y = m.deconv(y.relu(), f"{name}.{3 if innermost else 5}")
        y = m.batch_norm(y, f"{name}.{4 if innermost else 6}", training=True)
        return torch.cat([F.leaky_relu(x, 0.2), y], 1)  # the activation changes x in place

    def forward(x: Tensor) -> Tensor:
        return m.deconv(block(m.conv(x, "model.model.0", 2, 1), 1).relu(), "model.model.3").tanh()

    return m.weights, forward


def pytorch_gan_unet(width: int = 4, levels: int = 5) -> tuple[Weights, Forward]:
    """PyTorch-GAN's pix2pix without its dropout."""
    m, widths = Maker(), [width * min(2**level, 8) for level in range(levels)]
    for level in range(levels):
        m.convolution(f"down{level + 1}.model.0", widths[level - 1] if level else 3, widths[level], 4, bias=False)
    for number in range(1, levels):
        level = levels - number
        fan = widths[level] * (1 if number == 1 else 2)
        m.convolution(f"up{number}.model.0", fan, widths[level - 1], 4, bias=False, up=True)
    m.convolution("final.2", 2 * width, 3, 4)

    def forward(x: Tensor) -> Tensor:
        maps = []
        for level in range(levels):
            x = m.conv(x, f"down{level + 1}.model.0", 2, 1)
            x = F.leaky_relu(F.instance_norm(x) if 0 < level < levels - 1 else x, 0.2)
            maps.append(x)
        for number in range(1, levels):
            x = F.instance_norm(m.deconv(x, f"up{number}.model.0")).relu()
            x = torch.cat([x, maps[levels - 1 - number]], 1)
        x = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 0, 1, 0))
        return m.conv(x, "final.2", 1, 1).tanh()

    return m.weights, forward


RRDB_NAMES = {
    "new": ("conv_first", "body.{}.rdb{}.conv{}", "conv_body", "conv_up{}", "conv_hr", "conv_last"),
    "bsrgan": ("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", "upconv{}", "HRconv", "conv_last"),
}


def rrdb(
    layout: str = "new", scale: int = 4, width: int = 4, growth: int = 2, blocks: int = 2, unshuffle: int = 1
) -> tuple[Weights, Forward]:
    """RRDBNet in the layouts of its releases: (b, 3, h, w) in [0, 1] to the same."""
    doublings = {1: 0, 2: 1, 4: 2, 8: 3}[scale * unshuffle]
    if layout == "old":
        top = 3 * doublings + 4
        names = ("model.0", "model.1.sub.{}.RDB{}.conv{}.0", f"model.1.sub.{blocks}", "", f"model.{top - 2}")
        first, dense, middle, _, before, last = (*names, f"model.{top}")
        ups = [f"model.{3 * n}" for n in range(1, doublings + 1)]
    else:
        first, dense, middle, up, before, last = RRDB_NAMES[layout]
        ups = [up.format(n) for n in range(1, doublings + 1)]
    m = Maker()
    m.convolution(first, 3 * unshuffle**2, width, 3)
    for block in range(blocks):
        for number in range(1, 4):
            for layer in range(1, 6):
                outputs = width if layer == 5 else growth
                m.convolution(dense.format(block, number, layer), width + (layer - 1) * growth, outputs, 3)
    for name in (middle, *ups, before):
        m.convolution(name, width, width, 3)
    m.convolution(last, width, 3, 3)

    def forward(x: Tensor) -> Tensor:
        x = m.conv(F.pixel_unshuffle(x, unshuffle), first, 1, 1)
        y = x
        for block in range(blocks):
            z = y
            for number in range(1, 4):
                maps = [z]
                for layer in range(1, 5):
                    made = m.conv(torch.cat(maps, 1), dense.format(block, number, layer), 1, 1)
                    maps.append(F.leaky_relu(made, 0.2))
                z = z + 0.2 * m.conv(torch.cat(maps, 1), dense.format(block, number, 5), 1, 1)
            y = y + 0.2 * z
        x = x + m.conv(y, middle, 1, 1)
        for name in ups:
            x = F.leaky_relu(m.conv(F.interpolate(x, scale_factor=2, mode="nearest"), name, 1, 1), 0.2)
        return m.conv(F.leaky_relu(m.conv(x, before, 1, 1), 0.2), last, 1, 1)

    return m.weights, forward


def pytorch_gan_esrgan(width: int = 4, blocks: int = 2, doublings: int = 2) -> tuple[Weights, Forward]:
    """PyTorch-GAN's ESRGAN: (b, 3, h, w) in [0, 1] to the same, through ImageNet's statistics."""
    m = Maker()
    m.convolution("conv1", 3, width, 3)
    for block in range(blocks):
        for dense in range(3):
            for layer in range(1, 6):
                m.convolution(f"res_blocks.{block}.dense_blocks.{dense}.b{layer}.0", layer * width, width, 3)
    m.convolution("conv2", width, width, 3)
    for n in range(doublings):
        m.convolution(f"upsampling.{3 * n}", width, 4 * width, 3)
    m.convolution("conv3.0", width, width, 3)
    m.convolution("conv3.2", width, 3, 3)

    def forward(x: Tensor) -> Tensor:
        x = m.conv((x - MEAN) / STD, "conv1", 1, 1)
        y = x
        for block in range(blocks):
            z = y
            for dense in range(3):
                maps = z
                for layer in range(1, 6):
                    made = m.conv(maps, f"res_blocks.{block}.dense_blocks.{dense}.b{layer}.0", 1, 1)
                    made = made if layer == 5 else F.leaky_relu(made)
                    maps = torch.cat([maps, made], 1)
                z = 0.2 * made + z
            y = 0.2 * z + y
        x = x + m.conv(y, "conv2", 1, 1)
        for n in range(doublings):
            x = F.pixel_shuffle(F.leaky_relu(m.conv(x, f"upsampling.{3 * n}", 1, 1)), 2)
        x = m.conv(F.leaky_relu(m.conv(x, "conv3.0", 1, 1)), "conv3.2", 1, 1)
        return x * STD + MEAN

    return m.weights, forward


def basicsr_srresnet(
    width: int = 4, blocks: int = 2, scale: int = 4, *, earlier: bool = False
) -> tuple[Weights, Forward]:
    """BasicSR's SRResNet: (b, 3, h, w) in [0, 1] to the same."""
    m, trunk, before = Maker(), "recon_trunk" if earlier else "body", "HRconv" if earlier else "conv_hr"
    m.convolution("conv_first", 3, width, 3)
    for block in range(blocks):
        m.convolution(f"{trunk}.{block}.conv1", width, width, 3)
        m.convolution(f"{trunk}.{block}.conv2", width, width, 3)
    factor = 3 if scale == 3 else 2
    ups = ["upconv1", "upconv2"][: 2 if scale == 4 else 1]
    for name in ups:
        m.convolution(name, width, factor**2 * width, 3)
    m.convolution(before, width, width, 3)
    m.convolution("conv_last", width, 3, 3)

    def forward(x: Tensor) -> Tensor:
        y = F.leaky_relu(m.conv(x, "conv_first", 1, 1), 0.1)
        for block in range(blocks):
            y = y + m.conv(m.conv(y, f"{trunk}.{block}.conv1", 1, 1).relu(), f"{trunk}.{block}.conv2", 1, 1)
        for name in ups:
            y = F.leaky_relu(F.pixel_shuffle(m.conv(y, name, 1, 1), factor), 0.1)
        y = m.conv(F.leaky_relu(m.conv(y, before, 1, 1), 0.1), "conv_last", 1, 1)
        return y + F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)

    return m.weights, forward


def pytorch_gan_srgan(width: int = 4, blocks: int = 2, doublings: int = 2) -> tuple[Weights, Forward]:
    """PyTorch-GAN's SRGAN with running statistics: (b, 3, h, w) in [0, 1] to the same."""
    m, eps = Maker(), 0.8
    m.convolution("conv1.0", 3, width, 9)
    m.weights["conv1.1.weight"] = torch.tensor([0.2])
    for block in range(blocks):
        name = f"res_blocks.{block}.conv_block"
        m.convolution(f"{name}.0", width, width, 3)
        m.norm(f"{name}.1", width)
        m.weights[f"{name}.2.weight"] = torch.tensor([0.3])
        m.convolution(f"{name}.3", width, width, 3)
        m.norm(f"{name}.4", width)
    m.convolution("conv2.0", width, width, 3)
    m.norm("conv2.1", width)
    for n in range(doublings):
        m.convolution(f"upsampling.{4 * n}", width, 4 * width, 3)
        m.norm(f"upsampling.{4 * n + 1}", 4 * width)
        m.weights[f"upsampling.{4 * n + 3}.weight"] = torch.tensor([0.1])
    m.convolution("conv3.0", width, 3, 9)

    def forward(x: Tensor) -> Tensor:
        w = m.weights
        x = F.prelu(m.conv((x - MEAN) / STD, "conv1.0", 1, 4), w["conv1.1.weight"])
        y = x
        for block in range(blocks):
            name = f"res_blocks.{block}.conv_block"
            z = m.batch_norm(m.conv(y, f"{name}.0", 1, 1), f"{name}.1", eps)
            z = m.conv(F.prelu(z, w[f"{name}.2.weight"]), f"{name}.3", 1, 1)
            y = y + m.batch_norm(z, f"{name}.4", eps)
        x = x + m.batch_norm(m.conv(y, "conv2.0", 1, 1), "conv2.1", eps)
        for n in range(doublings):
            x = m.batch_norm(m.conv(x, f"upsampling.{4 * n}", 1, 1), f"upsampling.{4 * n + 1}")
            x = F.prelu(F.pixel_shuffle(x, 2), w[f"upsampling.{4 * n + 3}.weight"])
        return m.conv(x, "conv3.0", 1, 4).tanh() * STD + MEAN

    return m.weights, forward
