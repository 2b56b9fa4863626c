"""VGG-19 (Simonyan and Zisserman 2014) as a frozen network of features, for losses that compare content.

Its ImageNet weights are not in the package: `load_vgg` reads torchvision's file from the disk, or downloads it once.
Nothing takes its place without being asked for by name.
"""

import hashlib
import os
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

import torch
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.runtime.cache import cache_dir
from ganarium.runtime.files import atomic_write

FILE = "vgg19-dcbb9e9d.pth"  # torchvision's, of 2017; the end of the name is the start of its SHA-256
URL = f"https://download.pytorch.org/models/{FILE}"
TIMEOUT = 20  # seconds that the server may be silent
NUM_PARAMETERS = 20_024_384  # of the convolutions
BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # (channels, convolutions) between two poolings
LAYERS = {"relu2_2": 9, "conv5_4": 35, "relu5_4": 36}  # name -> layers to run
Layer = Literal["relu2_2", "conv5_4", "relu5_4"]


class VGG19(nn.Module):
    """Images (b, 3 or 1, h, w) in [-1, 1] -> the features of one layer, (b, channels, h', w'). Its weights never move;
    a gradient goes through it to the image. conv5_4 is before its ReLU, relu2_2 and relu5_4 are behind theirs."""

    mean: Tensor
    std: Tensor

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels, count in BLOCKS:
            for _ in range(count):
                layers += [nn.Conv2d(before, channels, 3, 1, 1), nn.ReLU()]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.layers, self.length = nn.Sequential(*layers), LAYERS[layer]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = ((image[:, :3].expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.std
        for layer in self.layers[: self.length]:
            x = layer(x)
        return x

    def train(self, mode: bool = True) -> "VGG19":
        """Stays in evaluation, whatever the model does."""
        return super().train(False)


def load_vgg(layer: Layer) -> VGG19:
    """VGG-19 with ImageNet weights, up to a layer. Reads the file that $GANARIUM_VGG names, or `vgg19-dcbb9e9d.pth` in
    $GANARIUM_DATA or the cache, into which it is downloaded (548 MiB) where it is nowhere. Raises `UserError` when it
    cannot be had, or is another file."""
    own = os.environ.get("GANARIUM_VGG")
    places = [Path(folder) for folder in (os.environ.get("GANARIUM_DATA"), cache_dir()) if folder]
    files = [Path(own)] if own else [place / FILE for place in places]
    path = next((file for file in files if file.is_file()), None)
    if path is None and own:
        raise UserError(f"the weights of VGG-19 are not here: there is no file {own}, which GANARIUM_VGG names.")
    path = path or download(cache_dir() / FILE)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        features = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        network = VGG19(layer)
        network.layers.load_state_dict(features)
    except Exception as error:
        raise UserError(f"{path} is not torchvision's VGG-19: get {FILE} from {URL}.") from error
    return network


def download(path: Path) -> Path:
    """Downloads torchvision's file to a path, where it stands once its SHA-256 has been checked."""
    print(f"downloading the weights of VGG-19 (548 MiB) from {URL}", file=sys.stderr, flush=True)
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            urlopen(URL, timeout=TIMEOUT) as answer,
            atomic_write(path, concurrent=True) as temporary,
            temporary.open("wb") as file,
        ):
            while part := answer.read(2**20):
                digest.update(part)
                file.write(part)
            if digest.hexdigest()[:8] != Path(FILE).stem.split("-")[1]:
                raise OSError("what came is another file, or a part of it")
    except (OSError, ValueError, HTTPException) as error:
        raise UserError(
            f"the weights of VGG-19 are not here and could not be downloaded ({error}): put {FILE} (548 MiB) from {URL}"
            f" in {path.parent}, or choose another --content."
        ) from error
    return path
