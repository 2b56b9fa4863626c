"""The U-Net that PyTorch-GAN calls pix2pix, for weights that were trained with it."""

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.layers.shapes import reflect_to_multiple


class PyTorchGanUNet(nn.Module):
    """(b, in_channels, h, w) -> (b, out_channels, h, w) in [-1, 1].

    It differs from the U-Net of pix2pix in four ways: what is handed across has been activated already, instance norm
    without weights takes the place of batch norm, dropout stands on the way down too, from the fourth layer on, and
    the last layer resizes and convolves. A side that is no multiple of 2^levels is padded by reflection at its end, and
    the result cropped.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, levels: int, dropout: float = 0.5) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(levels)]  # of the maps, from the outside in
        self.levels = levels
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()  # from the inside out
        for level, channels in enumerate(widths):
            convolution = nn.Conv2d(in_channels if level == 0 else widths[level - 1], channels, 4, 2, 1, bias=False)
            norm = [] if level in (0, levels - 1) else [nn.InstanceNorm2d(channels)]
            dropped = [nn.Dropout(dropout)] if level >= 3 else []
            self.down.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(0.2), *dropped))
        for level in range(levels - 1, 0, -1):
            inputs, outputs = widths[level] * (1 if level == levels - 1 else 2), widths[level - 1]
            up = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
            dropped = [nn.Dropout(dropout)] if level >= 4 else []
            self.up.append(nn.Sequential(up, nn.InstanceNorm2d(outputs), nn.ReLU(), *dropped))
        last = nn.Conv2d(2 * width, out_channels, 4, padding=1)
        self.last = nn.Sequential(nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 0, 1, 0)), last)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = reflect_to_multiple(x, 2**self.levels)
        maps = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        for up, across in zip(self.up, maps[-2::-1], strict=True):
            x = torch.cat([up(x), across], 1)
        return torch.tanh(full(self.last(x)[:, :, :height, :width]))
