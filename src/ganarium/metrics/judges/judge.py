"""Judges are small classifiers, trained on real labelled images only, that read generated images.

They come with the package. `python -m ganarium.metrics.judges.train_judge` trains them anew.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ganarium.data.dataset import Dataset, decode
from ganarium.errors import UserError, nearest
from ganarium.runtime.files import atomic_write

WEIGHTS = Path(__file__).parent / "weights"
SIDE = 32  # pixels
PIXELS = 2**24  # numbers of images that are read at a time, 64 MiB


class FeatureNetwork(nn.Module):
    """What judges and Inception share: images (n, c, h, w) in [-1, 1] in, features, logits or probabilities out.

    Images may have any size and 1, 3 or 4 channels; `prepare` brings them to the network's own input, and `rule` says
    how. They are read on the network's device, in float32, a part at a time, without gradient.
    """

    name = "untrained"
    digest = ""  # of the weights
    rule = ""  # how images are brought to the input, in words: part of a number's protocol
    chunk = 128  # images that are read at a time, fewer where they are large; more are slower on a CPU
    head: nn.Module  # features -> logits

    def prepare(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def penultimate(self, prepared: Tensor) -> Tensor:
        """What `prepare` gives -> features (n, d), with gradient."""
        raise NotImplementedError

    def forward(self, prepared: Tensor) -> Tensor:
        """What `prepare` gives -> logits (n, k), with gradient."""
        logits: Tensor = self.head(self.penultimate(prepared))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> float32 (n, d), each at least 0: what the last layer reads."""
        return self._read(images, self.penultimate)

    def logits(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> float32 (n, k). Where the features are there already, `head(features)` is the same."""
        return self._read(images, self)

    def probabilities(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> float32 (n, k) from 0 to 1; every row sums to 1."""
        return self.logits(images).softmax(1)

    @torch.no_grad()
    def _read(self, images: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        if images.dim() != 4 or not images.is_floating_point() or images.numel() == 0:
            raise UserError(
                f"{self.name} reads floating-point images (n, c, h, w) in [-1, 1], at least one, "
                f"not {str(images.dtype).removeprefix('torch.')} of shape {tuple(images.shape)}."
            )
        assert not self.training, "call eval() first: batch statistics would make each image depend on the others"
        device = next(self.parameters()).device
        count = max(1, min(self.chunk, PIXELS // images[0].numel()))
        with torch.autocast(device.type, enabled=False):
            return torch.cat([function(self.prepare(part.to(device))) for part in images.split(count)])


class Judge(FeatureNetwork):
    """A small residual network (He et al. 2016): seven convolutions, then the mean over all places.

    These d = `widths[-1]` means, 64 or 96, are the features, and one linear layer makes the k logits of them. There are
    so few because their covariance, in the Frechet distance, is singular for fewer images than that. `facts` says what
    it was trained on and how well it reads.
    """

    def __init__(self, channels: int, num_classes: int, widths: tuple[int, int, int], *, padded: bool = False) -> None:
        super().__init__()
        first, second, third = widths
        self.channels, self.num_classes, self.widths, self.padded = channels, num_classes, widths, padded
        self.facts: dict[str, Any] = {}
        padding = "28x28 padded with black, else " if padded else ""
        self.rule = f"32x32 {'grey' if channels == 1 else 'RGB'}: {padding}centre square, bilinear with antialiasing"
        self.body = nn.Sequential(
            _convolution(channels, first, half=True),  # (n, first, 16, 16)
            _convolution(first, second, half=True),  # (n, second, 8, 8)
            _Residual(second),
            _convolution(second, third, half=True),  # (n, third, 4, 4)
            _Residual(third),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(third, num_classes)

    @property
    def classes(self) -> list[str]:
        """The names of the k classes, in the order of the logits."""
        return list(self.facts.get("classes", map(str, range(self.num_classes))))

    def penultimate(self, prepared: Tensor) -> Tensor:
        """(n, channels, 32, 32) -> (n, d)."""
        features: Tensor = self.body(prepared)
        return features

    def prepare(self, images: Tensor) -> Tensor:
        """(n, c, h, w) in [-1, 1] -> (n, channels, 32, 32), by `rule`; 32x32 is left as it is.

        Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), RGB from grey is three times the same, alpha is laid on
        white. Judges of digits and of clothes pad 28x28 with black, as the data sets do; what is not square is cropped
        at the centre, where the data sets have the picture; all else is resized, bilinearly with antialiasing.
        """
        images = with_channels(images.float(), self.channels)
        height, width = images.shape[2:]
        if self.padded and (height, width) == (28, 28):
            return F.pad(images, (2, 2, 2, 2), value=-1.0)
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        images = images[:, :, top : top + side, left : left + side]
        if side == SIDE:
            return images
        return F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)


def _convolution(fan_in: int, fan_out: int, *, half: bool = False) -> nn.Sequential:
    """3x3, batch norm, ReLU; `half` takes the largest of each 2x2. That comes first, for it is cheaper there."""
    pool = [nn.MaxPool2d(2)] if half else []
    return nn.Sequential(nn.Conv2d(fan_in, fan_out, 3, 1, 1, bias=False), *pool, nn.BatchNorm2d(fan_out), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_convolution(width, width), _convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Grey, RGB or RGBA (n, 1, 3 or 4, h, w) in [-1, 1] -> grey or RGB. The floating form of the data sets' rule."""
    given = images.shape[1]
    if given == channels:
        return images
    if given not in (1, 3, 4):
        raise UserError(f"images must have 1, 3 or 4 channels, not {given}: hand in some of them at a time.")
    if given == 4:
        alpha = (images[:, 3:] + 1) / 2
        images = images[:, :3] * alpha + (1 - alpha)
    if channels == 1 and given != 1:
        weight = torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
        return (images * weight).sum(1, keepdim=True)
    return images.expand(-1, channels, -1, -1)


def accuracy(judge: Judge, test: Dataset) -> float:
    """Share of a labelled set that is read right, from 0 to 1."""
    assert test.labels is not None
    parts = zip(test.images.split(judge.chunk), test.labels.split(judge.chunk), strict=True)
    right = sum(int((judge.logits(decode(images)).argmax(1).cpu() == labels).sum()) for images, labels in parts)
    return right / len(test)


def confidence(judge: Judge, images: Tensor) -> Tensor:
    """The judge's probability for the class it reads in each image (n, c, h, w) in [-1, 1]: (n,) from 0 to 1."""
    return judge.probabilities(images).amax(1)


def digest_of(tensors: dict[str, Tensor]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 over the names, types, shapes and bytes of some weights."""
    total = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        total.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]


def save_judge(judge: Judge, path: Path, facts: dict[str, Any]) -> None:
    """Weights in half precision (for their size); the facts, the form and the digest in the file's metadata."""
    state = judge.state_dict()
    tensors = {key: value.half().contiguous() for key, value in state.items() if value.is_floating_point()}
    form = {"channels": judge.channels, "widths": judge.widths, "padded": judge.padded, "input": judge.rule}
    form["digest"] = digest_of(tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors, {key: json.dumps(value) for key, value in (facts | form).items()}))


def list_judges() -> list[str]:
    """The names of the judges that are in the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def load_judge(name: str, device: torch.device | str = "cpu", *, folder: Path = WEIGHTS) -> Judge:
    """A committed judge, in evaluation mode. Raises `UserError` when there is none of this name, or it is damaged."""
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise UserError(f"there is no judge {name!r}: {nearest(name, list_judges())}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = {key: json.loads(value) for key, value in file.metadata().items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        if digest_of(tensors) != facts["digest"]:
            raise ValueError("its digest is another")
        judge = Judge(facts["channels"], len(facts["classes"]), tuple(facts["widths"]), padded=facts["padded"])
        judge.load_state_dict(tensors, strict=False)  # copies, and so takes half precision to float
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{path} is not a whole judge ({error}): install ganarium again.") from error
    judge.facts, judge.name, judge.digest = facts, facts["name"], facts["digest"]
    return judge.eval().to(memory_format=torch.channels_last).to(device)  # these strides: twice as fast on a CPU


def judge_for(data: str) -> str | None:
    """The judge for a data set of this name (or path); None if there is none.

    The judge `mnist` reads the variants of MNIST too: 0.99 of `mnist_binarised` and `mnist_stochastic` right, 0.83 of
    `mnist_tinted` (of the first 1,000 test images), and `stacked_mnist` one channel at a time, as
    `images.reshape(-1, 1, h, w)`. It does not read `mnist_m` (0.48) and `mnist_negative` (0.14), which have no judge.
    """
    stem = Path(data).stem
    if stem in ("glyphs", "fashion_mnist", "cifar10_subset", "mnist"):
        return stem
    unread = stem in ("mnist_m", "mnist_negative")
    return "mnist" if stem == "stacked_mnist" or (stem.startswith("mnist_") and not unread) else None
