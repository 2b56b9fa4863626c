"""Inception-v3 in the form of the Frechet Inception distance (Heusel et al. 2017, arXiv 1706.08500).

The weights are Google's of 2015-12-05 (`inception-2015-12-05.tgz`), in PyTorch's layout as published with pytorch-fid.
They are not torchvision's, and the network differs from torchvision's (Szegedy et al. 2015, arXiv 1512.00567) in
three points: average pooling does not count the padding, the last block takes the largest where the paper averages, and
there are 1,008 logits.

The weights are not in the package. Tests without them cover the wiring (with torchvision's pooling in place of ours the
outputs are torchvision's), each of the three differences, the names and shapes of all tensors, inputs and outputs. That
the published file gives the published distances is not tested.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.metrics.judges.judge import FeatureNetwork, with_channels
from ganarium.runtime.cache import cache_dir
from ganarium.runtime.environment import variable

FILE = "pt_inception-2015-12-05-6726825d.pth"  # the end of the name is the start of its SHA-256
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
NUM_CLASSES = 1008
SIDE = 299  # pixels

Pool = Callable[[Tensor], Tensor]


def average(x: Tensor) -> Tensor:
    """3x3 at stride 1; at the border the mean is over the places inside, as in TensorFlow."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def largest(x: Tensor) -> Tensor:
    """3x3 at stride 1."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


class Inception(FeatureNetwork):
    """Images in [-1, 1] -> features (n, 2048), the means of the last block, and logits (n, 1008).

    Images are stretched to 299x299 bilinearly, without antialiasing and with pixel centres at halves: the form of
    pytorch-fid, in which most distances are published. Grey becomes RGB by repeating it.
    """

    rule = "299x299 RGB: stretched, bilinear without antialiasing"
    chunk = 32

    def __init__(self) -> None:
        from torchvision.models import inception_v3

        super().__init__()
        self.name = "untrained inception"
        self.net = inception_v3(
            weights=None, num_classes=NUM_CLASSES, aux_logits=False, transform_input=False, init_weights=False
        )

    @property
    def head(self) -> nn.Module:  # type: ignore[override]
        return self.net.fc

    def prepare(self, images: Tensor) -> Tensor:
        """(n, c, h, w) in [-1, 1] -> (n, 3, 299, 299) in [-1, 1]."""
        images = with_channels(images.float(), 3)
        return F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)

    def penultimate(self, prepared: Tensor, pool: Pool = average, last: Pool = largest) -> Tensor:
        """(n, 3, 299, 299) -> (n, 2048). `pool` is in every block but the last of all, `last` in that one."""
        net = self.net
        x = net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(prepared)))
        x = net.Conv2d_4a_3x3(net.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)  # (n, 192, 35, 35)
        for block in (net.Mixed_5b, net.Mixed_5c, net.Mixed_5d):
            x = _five(block, x, pool)
        x = net.Mixed_6a(x)  # (n, 768, 17, 17)
        for block in (net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e):
            x = _seven(block, x, pool)
        x = net.Mixed_7a(x)  # (n, 1280, 8, 8)
        x = _wide(net.Mixed_7c, _wide(net.Mixed_7b, x, pool), last)  # (n, 2048, 8, 8)
        return x.mean((2, 3))


def _through(block: nn.Module, x: Tensor, *names: str) -> Tensor:
    for name in names:
        x = block.get_submodule(name)(x)
    return x


def _numbered(block: nn.Module, x: Tensor, name: str, count: int) -> Tensor:
    return _through(block, x, *(f"{name}_{number}" for number in range(1, count + 1)))


def _five(block: nn.Module, x: Tensor, pool: Pool) -> Tensor:
    """Figure 5 of the paper: 1x1, 5x5, two 3x3, pooling."""
    five, three = _numbered(block, x, "branch5x5", 2), _numbered(block, x, "branch3x3dbl", 3)
    return torch.cat([_through(block, x, "branch1x1"), five, three, _through(block, pool(x), "branch_pool")], 1)


def _seven(block: nn.Module, x: Tensor, pool: Pool) -> Tensor:
    """Figure 6: 1x1, 7x7 in two strips, twice that, pooling."""
    once, twice = _numbered(block, x, "branch7x7", 3), _numbered(block, x, "branch7x7dbl", 5)
    return torch.cat([_through(block, x, "branch1x1"), once, twice, _through(block, pool(x), "branch_pool")], 1)


def _wide(block: nn.Module, x: Tensor, pool: Pool) -> Tensor:
    """Figure 7: 1x1, 3x3 as two strips side by side, 3x3 before the same, pooling."""
    once, twice = _numbered(block, x, "branch3x3", 1), _numbered(block, x, "branch3x3dbl", 2)
    strips = [_through(block, once, f"branch3x3_2{side}") for side in "ab"]
    strips += [_through(block, twice, f"branch3x3dbl_3{side}") for side in "ab"]
    return torch.cat([_through(block, x, "branch1x1"), *strips, _through(block, pool(x), "branch_pool")], 1)


def find_inception() -> Path:
    """The weights' file: `$GANARIUM_INCEPTION` (a file, or the folder it is in), else in `$GANARIUM_DATA` or the cache.

    Raises `UserError` when it is in none of them, with where to get it and where to put it.
    """
    given = variable("INCEPTION")
    data = variable("DATA")
    folders = [Path(folder).expanduser() for folder in (given, data) if folder] + [cache_dir()]
    for place in folders:
        for path in (place, place / FILE, place / "inception" / FILE):
            if path.is_file():
                return path
    raise UserError(
        f"the weights of Inception are not here: get {FILE} (91 MiB) from {URL} and put it in {folders[-1]}, or set "
        f"GANARIUM_INCEPTION to where it is (looked in {', '.join(map(str, folders))})."
    )


def load_inception(device: torch.device | str = "cpu") -> Inception:
    """The network with the published weights. Raises `UserError` when they are not here or not these."""
    path = find_inception()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    expected = Path(FILE).stem.rsplit("-", 1)[1]
    network = Inception()
    try:
        if not digest.startswith(expected):
            raise ValueError(f"its SHA-256 starts with {digest[:8]}, not {expected}")
        network.net.load_state_dict(_complete(torch.load(path, map_location="cpu", weights_only=True), network.net))
    except (OSError, EOFError, ValueError, TypeError, AttributeError, RuntimeError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not the weights of Inception ({reason}): get the file again from {URL}.") from error
    network.name, network.digest = "inception", digest[:16]
    return network.eval().to(device)


def _complete(tensors: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Adds the counts of batches in batch norm, which the file is too old to have and evaluation does not use."""
    counts = {key: value for key, value in net.state_dict().items() if key.endswith("num_batches_tracked")}
    return counts | dict(tensors)
