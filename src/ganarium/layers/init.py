"""How weights are drawn before training, where a paper says it."""

from torch import Tensor, nn


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """Weights N(0, std), batch norm gain N(1, std), biases 0: the initialisation of DCGAN, pix2pix and CycleGAN."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, std)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, std)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def mean_logit(images: Tensor) -> Tensor:
    """(n, *shape) in [-1, 1] -> (prod(shape),): of what a sigmoid makes their mean on [0, 1]. The bias with which the
    last layer of G begins in the released GAN."""
    return images.mean(0).flatten().add(1).div(2).clamp(1e-3, 1 - 1e-3).logit()


def init_uniform(module: nn.Module, bound: float) -> nn.Module:
    """Dense weights uniform on [-bound, bound], biases 0: the initialisation of the released GAN. Gives the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)
    return module
