"""Models for the tests of exports: small ones, whose pictures have contrast although they were never trained."""

import json
import math
from dataclasses import asdict, replace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from ganarium import registry
from ganarium.runs import checkpoint
from ganarium.trainer import add_averages
from ganarium.version import __version__


def lively(name, shape=(3, 32, 32), num_classes=4, seed=0, **options):
    """An untrained model of the small form whose weights are drawn so that signals keep their size on their way."""
    config = registry.module(name).Config
    small = asdict(replace(config.small(), **options)) if hasattr(config, "small") else options
    torch.manual_seed(seed)
    model = registry.create(name, shape, num_classes, **small)
    for layer in model.modules():
        for key, value in layer.named_parameters(recurse=False):
            with torch.no_grad():
                _redraw(layer, key, value)
    for layer in model.modules():
        if is_parametrized(layer, "weight"):  # by spectral norm, whose estimate of the norm belongs to other weights
            with torch.no_grad():
                for _ in range(30):
                    layer.train().weight  # noqa: B018
    return model


def _redraw(layer, key, value):
    if isinstance(layer, _BatchNorm):
        value.copy_((key == "weight") + 0.2 * torch.randn_like(value))
        layer.running_mean.normal_(0, 0.2)
        layer.running_var.uniform_(0.5, 2)
    elif value.dim() > 1:
        fan_in = value[0].numel()
        if isinstance(layer, nn.ConvTranspose2d):
            fan_in = len(value) * math.prod(layer.kernel_size) / math.prod(layer.stride)
        value.normal_(0, math.sqrt(2 / fan_in))
    elif key != "scale":
        value.normal_(0, 0.1)


def saved_run(model, name, folder, *, class_names=None, **options):
    """A run folder with one checkpoint of this model, such as training leaves."""
    tensors, aliases = checkpoint.state_and_aliases(model)
    config = {
        "format": 1,
        "model": name,
        "model_options": asdict(model.config),
        "precision": "fp32",
        "options": {"data": "glyphs", "size": None, "seed": 0, **options},
        "data_folder": None,
        "data": {
            "name": "glyphs",
            "shape": list(model.shape),
            "num_classes": model.num_classes,
            "class_names": class_names,
            "train": 100,
        },
        "versions": {"ganarium": __version__},
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    files = {"model": {key: value.clone() for key, value in tensors.items()}}
    add_averages(model)
    averages = {
        f"{name}.{key}": value for name, each in model.averages.items() for key, value in each.state_dict().items()
    }
    files |= {"averages": averages} if averages else {}
    checkpoint.write(folder / "checkpoints", files, {"step": 7, "aliases": aliases, "config": config}, keep=1)
    return folder
