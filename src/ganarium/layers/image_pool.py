"""Keeps a history of fakes, which CycleGAN shows its discriminators (Shrivastava et al. 2017)."""

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Returns for each image either that image or an older one, without gradient.

    The first `size` images are stored and come back as they are. After that an image comes back unchanged
    with probability 1/2; otherwise a stored one, drawn evenly, comes back and the new one takes its place.
    The images of a batch go through one after the other, every decision a tensor. `size` 0 turns the pool
    off.
    """

    per_rank = True  # under torchrun every process keeps a history of its own
    images: Tensor  # (size, c, h, w)
    count: Tensor  # () int64, the number of images stored

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:  # (b, c, h, w) -> the same
        if self.size == 0:
            return image.detach()
        places = torch.randint(self.size, (len(image),), device=image.device)
        exchanged = torch.rand(len(image), device=image.device) < 0.5
        result = []
        for new, place, exchange in zip(image.to(self.images.dtype).split(1), places, exchanged, strict=True):
            filling = self.count < self.size
            place = torch.where(filling, self.count, place)[None]
            old = self.images.index_select(0, place)
            exchange = exchange & ~filling
            result.append(torch.where(exchange, old, new))
            self.images.index_copy_(0, place, torch.where(exchange | filling, new, old))
            self.count += filling
        return torch.cat(result)
