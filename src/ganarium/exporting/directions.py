"""The directions in the space of codes along which pictures change most."""

import torch
from torch import Tensor

from ganarium.exporting.network import Network

STEP = 0.05  # of the codes' spread, on either side of a code
CHUNK = 64


@torch.no_grad()
def principal_directions(network: Network, count: int = 8, *, codes: int = 8, seed: int = 0) -> Tensor:
    """At most `count` directions (k, latent_dim) of length 1, at right angles, those that change most first.

    They are the first eigenvectors of the mean of J' J over random codes, where J is the derivative of the picture by
    the code, by central differences: a step along the first one moves more pixels further than any other step of its
    length. A part of the code that a user sets (infogan's category and numbers) is left out.
    """
    code = network.inputs[0].shape[0]
    free = torch.ones(code, dtype=torch.bool)
    part = network.model.code
    if part is not None:
        free[part.start : part.start + part.categories + part.continuous] = False
    places = free.nonzero()[:, 0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        step = STEP * float(network.model.latent(256)[:, places].float().std())
        product = torch.zeros(len(places), len(places), dtype=torch.float64)
        for _ in range(codes if len(places) <= 256 else 2):
            rows = _derivatives(network, network.draw(1), places, step)
            product += rows @ rows.T
    vectors = torch.linalg.eigh(product).eigenvectors.flip(1).T[: min(count, len(places))]
    signs = vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()  # which of the two ways is plus
    directions = torch.zeros(len(vectors), code)
    directions[:, places] = (vectors * signs).float()
    return directions


def _derivatives(network: Network, inputs: list[Tensor], places: Tensor, step: float) -> Tensor:
    """(latent_dim, pixels) in float64: how the picture of one code changes with each number of it."""
    moved = []
    for part in places.split(CHUNK // 2):
        codes = inputs[0].repeat(2 * len(part), 1)
        rows = torch.arange(len(part))
        codes[rows, part] += step
        codes[len(part) + rows, part] -= step
        others = [each.expand(len(codes), *each.shape[1:]) for each in inputs[1:]]
        higher, lower = network(codes, *others).double().flatten(1).chunk(2)
        moved.append((higher - lower) / (2 * step))
    return torch.cat(moved)
