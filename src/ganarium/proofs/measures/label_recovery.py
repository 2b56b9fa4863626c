"""Measures whether generated facades show what their maps say, by a small segmenter of photographs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.dataset import Dataset, decode
from ganarium.proofs.experiment import Experiment, Measure, Measured

PALETTE = (  # of the maps of CMP facades (Tylecek and Sara 2013)
    (0, 0, 170),  # background
    (0, 0, 255),  # facade
    (0, 85, 255),  # window
    (0, 170, 255),  # door
    (0, 255, 255),  # cornice
    (85, 255, 170),  # sill
    (170, 255, 85),  # balcony
    (255, 255, 0),  # blind
    (255, 170, 0),  # decoration
    (255, 85, 0),  # moulding
    (255, 0, 0),  # pillar
    (170, 0, 0),  # shop
)
PART = 8  # pictures at a time
STEPS, RATE, WIDTH = 400, 3e-3, 48


class LabelRecovery(Measure):
    """Of the held-out maps, twelve labels: what a small segmenter, which has learned from the photographs of the
    training pairs, reads from G(map). pixels: the share of pixels that it reads as in the map; labels: the mean over
    the labels of that share of their pixels; overlap: the mean over the labels of the pixels that are it in both,
    divided by those that are it in either."""

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        segmenter = trained_segmenter(experiment.train).to(experiment.device)
        _, maps = photographs_and_maps(experiment)
        made = torch.cat([model.translate(part, direction="b2a") for part in maps.split(PART)])
        return Measured(scores(segmenter, made, labels_of(maps)), made[:24])

    @torch.no_grad()
    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        segmenter = trained_segmenter(experiment.train).to(experiment.device)
        photographs, maps = photographs_and_maps(experiment)
        truth = labels_of(maps)
        return {
            "photographs": scores(segmenter, photographs, truth),
            "photographs_of_other_maps": scores(segmenter, photographs.roll(1, 0), truth),
        }


def photographs_and_maps(experiment: Experiment) -> tuple[Tensor, Tensor]:
    """The held-out pairs, each (n, 3, h, w) in [-1, 1]."""
    test = experiment.test
    assert test.second is not None
    return decode(test.images).to(experiment.device), decode(test.second).to(experiment.device)


def labels_of(maps: Tensor) -> Tensor:
    """Maps (n, 3, h, w) in [-1, 1] -> the index (n, h, w) of the nearest colour of the palette."""
    palette = torch.tensor(PALETTE, device=maps.device) / 127.5 - 1
    parts = [(part - palette[:, :, None, None]).square().sum(1).argmin(0) for part in maps.split(1)]
    return torch.stack(parts)


def scores(segmenter: nn.Module, images: Tensor, truth: Tensor) -> dict[str, float]:
    """`pixels`, `labels` and `overlap` of images (n, 3, h, w) with labels (n, h, w); see `LabelRecovery`."""
    read = torch.cat([segmenter(part).argmax(1) for part in images.split(PART)])
    count = len(PALETTE)
    pairs = (count * truth + read).flatten().bincount(minlength=count**2).view(count, count).double()
    right, true, either = pairs.diag(), pairs.sum(1), pairs.sum(0) + pairs.sum(1) - pairs.diag()
    present = true > 0
    return {
        "pixels": (right.sum() / pairs.sum()).item(),
        "labels": (right / true)[present].mean().item(),
        "overlap": (right / either)[present].mean().item(),
    }


def trained_segmenter(train: Dataset) -> nn.Module:
    """Photographs (n, 3, h, w) in [-1, 1] -> scores (n, 12, h, w): seven convolutions, learned from pairs, the same
    whenever it is called."""
    photographs, maps = train.images, train.second
    assert maps is not None
    truth = torch.cat([labels_of(decode(part)) for part in maps.split(PART)])
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        segmenter = new_segmenter()
        rule = torch.optim.Adam(segmenter.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.LinearLR(rule, 1.0, 0.01, STEPS)
        for _ in range(STEPS):
            chosen = torch.randint(len(photographs), (PART,))
            x, y = decode(photographs[chosen]), truth[chosen]
            if torch.rand(()) < 0.5:
                x, y = x.flip(3), y.flip(2)
            loss = F.cross_entropy(segmenter(x), y)
            rule.zero_grad()
            loss.backward()
            rule.step()
            schedule.step()
    return segmenter.eval()


def new_segmenter() -> nn.Sequential:
    """Two convolutions of stride 2, four that see ever farther, and one that gives the scores."""
    layers: list[nn.Module] = []
    forms = ((3, 2, 1), (WIDTH, 2, 1), (WIDTH, 1, 1), (WIDTH, 1, 2), (WIDTH, 1, 4), (WIDTH, 1, 8))
    for fan_in, stride, dilation in forms:
        convolution = nn.Conv2d(fan_in, WIDTH, 3, stride, dilation, dilation, bias=False)
        layers += [convolution, nn.BatchNorm2d(WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, len(PALETTE), 1), nn.Upsample(scale_factor=4, mode="bilinear"))
