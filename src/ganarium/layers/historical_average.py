"""Historical averaging (Salimans et al. 2016, section 3.3) holds parameters near the mean of their past values."""

import torch
from torch import Tensor, nn


class History(nn.Module):
    """The mean of all values that the parameters of a module have had."""

    mean: Tensor  # (numbers in all parameters,)

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mean", flat(module).detach().clone())

    def forward(self, module: nn.Module, t: Tensor) -> Tensor:
        """The squared distance of the parameters to their mean over the iterations 0 to `t` ().

        `t` is the present iteration, and its parameters enter the mean first.
        """
        values = flat(module)
        self.mean.lerp_(values.detach(), (1 / (t + 1)).to(values.dtype))
        return (values - self.mean).square().sum()


def flat(module: nn.Module) -> Tensor:
    """All parameters as one row (n,)."""
    return torch.cat([parameter.flatten() for parameter in module.parameters()])
