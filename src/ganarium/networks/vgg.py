"""VGG-19 (Simonyan and Zisserman 2014) as a frozen network of features, for losses that compare content.

Its ImageNet weights are not in the package: `load_vgg` reads torchvision's file from the disk. Nothing takes its place
without being asked for by name.
"""

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.runtime.cache import cache_dir

FILE = "vgg19-dcbb9e9d.pth"  # torchvision's, of 2017
URL = f"https://download.pytorch.org/models/{FILE}"
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
    $GANARIUM_DATA or the cache. Raises `UserError` when it is not there, or is another file."""
    places = [Path(folder) for folder in (os.environ.get("GANARIUM_DATA"), cache_dir()) if folder]
    files = [Path(os.environ["GANARIUM_VGG"])] if os.environ.get("GANARIUM_VGG") else [p / FILE for p in places]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        raise UserError(
            f"the weights of VGG-19 are not here: get {FILE} (548 MiB) from {URL} and put it in {files[-1].parent}, or "
            "choose another --content."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        features = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        network = VGG19(layer)
        network.layers.load_state_dict(features)
    except Exception as error:
        raise UserError(f"{path} is not torchvision's VGG-19: get {FILE} from {URL}.") from error
    return network
