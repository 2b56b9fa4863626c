"""Virtual batch norm (Salimans et al. 2016, section 3.5): a sample is normalised with a fixed batch."""

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full


class VirtualBatchNorm(nn.Module):
    """(r + b, c, ...) -> the same, normalised per channel. The first r rows are the reference batch and have its
    statistics; each other row has those of the reference batch and itself, r + 1 samples.

    It takes the place of a batch norm, with its gain and shift.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, num_reference: int) -> None:
        super().__init__()
        self.weight, self.bias, self.eps, self.num_reference = norm.weight, norm.bias, norm.eps, num_reference

    def forward(self, x: Tensor) -> Tensor:
        r = self.num_reference
        rows = full(x if x.dim() > 2 else x[:, :, None]).flatten(2)  # (r + b, c, pixels)
        variance, mean = torch.var_mean(rows[:r], (0, 2), correction=0)  # (c,)
        own_variance, own_mean = torch.var_mean(rows[r:], 2, correction=0)  # (b, c)
        share = 1 / (r + 1)
        both = share * own_mean + (1 - share) * mean
        spread = share * (own_variance + (own_mean - both).square())
        spread = spread + (1 - share) * (variance + (mean - both).square())
        means, variances = torch.cat([mean.expand(r, -1), both]), torch.cat([variance.expand(r, -1), spread])
        gain = self.weight * (variances + self.eps).rsqrt()
        return (gain[:, :, None] * (rows - means[:, :, None]) + self.bias[:, None]).view(x.shape)


class VirtuallyNormed(nn.Module):
    """(b, latent_dim) -> the generator's samples, with virtual batch norm in place of batch norm.

    The fixed codes `reference` (r, latent_dim) go through it with every batch, so that a sample depends on its own code
    alone; they are a buffer.
    """

    reference: Tensor

    def __init__(self, generator: nn.Module, reference: Tensor) -> None:
        super().__init__()
        for name, layer in list(generator.named_modules()):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                generator.set_submodule(name, VirtualBatchNorm(layer, len(reference)))
        self.generator = generator
        self.register_buffer("reference", reference)

    def forward(self, z: Tensor) -> Tensor:
        samples: Tensor = self.generator(torch.cat([self.reference, z]))[len(self.reference) :]
        return samples
