"""Minibatch discrimination (Salimans et al. 2016, section 3.2): how near samples of a batch are to one another."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full


class MinibatchDiscrimination(nn.Module):
    """(b, f) -> (b, f + num_kernels): each row, followed by its nearness to the other rows under each kernel.

    A kernel maps row i to `kernel_dim` numbers M_i; the nearness is the sum of exp(-|M_i - M_j|_1) over the others j,
    plus a bias. As released, a row is not its own neighbour, and the scales of the maps are parameters of their own.
    Reals and fakes must come in batches of their own, else they would influence each other.
    """

    def __init__(self, fan_in: int, num_kernels: int, kernel_dim: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(0.05 * torch.randn(num_kernels, kernel_dim, fan_in))
        self.log_scale = nn.Parameter(torch.zeros(num_kernels, kernel_dim))
        self.bias = nn.Parameter(torch.zeros(num_kernels))

    def distances(self, x: Tensor) -> Tensor:
        """(b, f) -> (num_kernels, b, b): the L1 distance of any two rows for every kernel."""
        weight = F.normalize(self.direction, dim=2) * self.log_scale.exp()[:, :, None]
        with torch.autocast(x.device.type, enabled=False):  # half precision would round small differences away
            mapped = F.linear(full(x), weight.flatten(0, 1))
        mapped = mapped.unflatten(1, self.log_scale.shape).transpose(0, 1)  # (num_kernels, b, kernel_dim)
        return torch.cdist(mapped, mapped, p=1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.distances(x).neg().exp().sum(2) - 1  # without the row itself
        return torch.cat([full(x), near.T + self.bias], 1)

    @torch.no_grad()
    def begin(self, x: Tensor) -> Tensor:
        """Sets the scales and the bias from a first batch (released), and returns the outputs.

        The nearest other row is then at a mean distance of 2, and the mean nearness is 0. Two rows must differ.
        """
        distances = self.distances(x)
        distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        self.log_scale.sub_((distances.amin(2).mean(1) / 2).log()[:, None])
        self.bias.sub_(self(x)[:, x.shape[1] :].mean(0))
        output: Tensor = self(x)
        return output
