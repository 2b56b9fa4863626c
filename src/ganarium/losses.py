"""Mathematics used by three or more models."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.layers.penalized import inputs_only


def as_real(score: Tensor) -> Tensor:
    """E[-log p], p = sigmoid(score): cross-entropy of raw scores with the label "real"."""
    return F.softplus(-score).mean()


def as_fake(score: Tensor) -> Tensor:
    """E[-log(1 - p)], p = sigmoid(score): cross-entropy of raw scores with the label "fake"."""
    return F.softplus(score).mean()


def gradient_norm(D: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """||grad D(x)||_2 of each sample, (b,), over all its axes.

    Built with `create_graph`, so it can be minimised; computed in full precision under autocast. x is taken as given:
    no gradient goes on to what made it.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.detach().requires_grad_()
        score = D(x).sum()
        with inputs_only():
            (gradient,) = torch.autograd.grad(score, x, create_graph=True)
        norm: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return norm
