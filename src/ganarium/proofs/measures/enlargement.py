"""Measures super-resolution after each of its two phases, on pictures that no training saw."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganarium import metrics
from ganarium.data.augment import cropped, enlarged, reduced
from ganarium.data.dataset import decode
from ganarium.errors import UserError
from ganarium.proofs.experiment import Experiment, Measure, Measured
from ganarium.runtime.environment import variable

SCALE = 4


class Enlargement(Measure):
    """Enlarged four times from antialiased bicubic: Set5, in PSNR of the luma without 4 pixels at the border.
    psnr_above_bicubic: in dB, after the first phase (bicubic has 28.43 dB); fall: by how many dB the second phase lies
    below the first; sharper: the mean absolute difference of neighbouring pixels after the second phase, divided by
    that after the first; sharpness: the same divided by that of the pictures themselves, after the second."""

    def __call__(self, experiment: Experiment) -> Measured:
        exact: list[Tensor] = []
        for model, _ in self.training(experiment, self.data(experiment)):
            if model.iteration == model.config.num_pretraining_steps:  # a multiple of 100
                exact = enlargements(model.eval(), experiment.device)
                model.train()
            last = model
        return compared(exact, enlargements(last.eval(), experiment.device))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        made = enlargements(experiment.untrained(self.data(experiment)), experiment.device)
        return {"untrained": {"psnr_above_bicubic": psnr(made) - psnr(bicubic())}}


class MixedEnlargement(Enlargement):
    """psnr_of_mixture: of the generator half-way between the weights of the two phases, above bicubic; steps_down: the
    share of the steps from 0 to 1 by quarters (0 is the first phase, 1 the second) at which PSNR falls while sharpness
    rises."""

    def __call__(self, experiment: Experiment) -> Measured:
        model = self.trained(experiment, self.data(experiment))
        last, results = model.generator, []
        for quarter in range(5):
            model.generator = model.interpolated(quarter / 4)
            results.append(enlargements(model.eval(), experiment.device))
            model.generator = last
        measured = compared(results[0], results[-1])
        levels, sharpness = [psnr(made) for made in results], [sharp(made) for made in results]
        down = [levels[i + 1] < levels[i] and sharpness[i + 1] > sharpness[i] for i in range(4)]
        more = {"psnr_of_mixture": levels[2] - psnr(bicubic()), "steps_down": sum(down) / 4}
        window = [made[2][:, :, 64:192, 64:192] for made in results]  # of the butterfly
        return Measured(measured.values | more, torch.cat(window))


def compared(exact: list[Tensor], detailed: list[Tensor]) -> Measured:
    """Enlargements of Set5 after the first and after the second phase."""
    plain = bicubic()
    values = {
        "psnr_above_bicubic": psnr(exact) - psnr(plain),
        "fall": psnr(exact) - psnr(detailed),
        "sharper": sharp(detailed) / sharp(exact),
        "sharpness": sharp(detailed),
    }
    window = [made[2][:, :, 64:192, 64:192] for made in (exact, detailed)]  # of the butterfly
    return Measured(values, torch.cat(window))


def pictures() -> list[Tensor]:
    """Set5, each (1, 3, h, w) in [-1, 1]."""
    home = variable("DATA")
    files = sorted((Path(home) / "sr" / "Set5").glob("*.png")) if home else []
    if len(files) != 5:
        raise UserError("the proof needs Set5: set GANARIUM_DATA to the folder that holds sr/Set5/ with 5 PNG files.")
    images = [torch.from_numpy(np.array(Image.open(path).convert("RGB")))[None] for path in files]
    return [cropped(decode(image), SCALE) for image in images]


def lows() -> list[Tensor]:
    """Set5 reduced, on the 256 levels of a file."""
    return [(reduced(image, SCALE) * 127.5 + 127.5).round() / 127.5 - 1 for image in pictures()]


def bicubic() -> list[Tensor]:
    return [enlarged(low, SCALE) for low in lows()]


def enlargements(model: Any, device: torch.device) -> list[Tensor]:
    return [model.upscale(low.to(device)).cpu() for low in lows()]


def psnr(made: list[Tensor]) -> float:
    """The mean over Set5, in dB."""
    pairs = list(zip(made, pictures(), strict=True))
    return sum(metrics.psnr(one, other, border=SCALE) for one, other in pairs) / len(pairs)


def sharp(made: list[Tensor]) -> float:
    """The mean over Set5."""
    pairs = list(zip(made, pictures(), strict=True))
    return sum(metrics.sharpness_ratio(one, other) for one, other in pairs) / len(pairs)
