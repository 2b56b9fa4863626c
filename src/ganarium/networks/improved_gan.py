"""The networks of Improved GAN: the perceptrons of its MNIST script, or a backbone, with its layers where asked for."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.minibatch_discrimination import MinibatchDiscrimination
from ganarium.layers.normalization import normalise_spectrally
from ganarium.layers.shapes import image_shape
from ganarium.networks.backbones import backbone
from ganarium.networks.ct_gan import Critic, NoisyPerceptron, PerceptronGenerator, WeightNormed

if TYPE_CHECKING:
    from ganarium.models.improved_gan import Config


def networks(
    config: "Config", shape: tuple[int, ...], latent_dim: int, num_logits: int
) -> tuple[nn.Module, Critic | NoisyPerceptron, bool]:
    """G and D of a config, and whether G has batch norm."""
    own, convolutional = config.network == "auto" and len(shape) == 3, len(shape) == 3 and config.network != "mlp"
    usual = convolutional or config.virtual_batch_norm
    batch_norm = usual if config.generator_norm is None else config.generator_norm
    if own:
        if config.norm != "none" or config.dropout is not None:
            raise UserError(
                "the perceptrons of improved_gan have weight norm and Gaussian noise: for another --norm or --dropout "
                "choose --network mlp, dcgan or resnet."
            )
        image, width = image_shape(shape, "improved_gan"), config.width or 500
        generator: nn.Module = PerceptronGenerator(latent_dim, width, image, batch_norm)
        discriminator: Critic | NoisyPerceptron = NoisyPerceptron(image, width, num_logits)
    else:
        dropout = 0.5 * convolutional if config.dropout is None else config.dropout
        generator, body = backbone(
            "improved_gan",
            config.network,
            shape,
            latent_dim,
            config.width,
            generator_norm=batch_norm,
            norm=config.norm,
            dropout=dropout,
        )
        discriminator = Critic(body, num_logits, config.norm)
    if config.num_kernels:
        discriminator.set_submodule("last", compared(discriminator, config, num_logits))
    return generator, discriminator, batch_norm


class Compared(nn.Sequential):
    """(b, f) -> logits (b, num_logits): minibatch discrimination, then a last layer that reads all of it."""

    def begin(self, x: Tensor) -> None:
        """The initialisation that depends on data."""
        for layer in self:
            if not isinstance(layer, nn.Linear):
                x = layer.begin(x)  # type: ignore[operator]


def compared(discriminator: Critic | NoisyPerceptron, config: "Config", num_logits: int) -> Compared:
    """A last layer for D behind minibatch discrimination, of the kind that D has."""
    last = discriminator.last
    fan_in = last.direction.shape[1] if isinstance(last, WeightNormed) else last.in_features
    minibatch = MinibatchDiscrimination(fan_in, config.num_kernels, config.kernel_dim)
    fan_in += config.num_kernels
    if isinstance(last, WeightNormed):
        return Compared(minibatch, WeightNormed(fan_in, num_logits, last.noise, 0.1, trained_scale=True))
    linear = nn.Linear(fan_in, num_logits)
    if config.norm == "spectral":
        normalise_spectrally(linear)
    return Compared(minibatch, linear)


def begin(discriminator: Critic | NoisyPerceptron, x: Tensor) -> None:
    """The initialisation of D that depends on data, from (n, *shape)."""
    if isinstance(discriminator, NoisyPerceptron):
        discriminator.begin(x)
    elif isinstance(discriminator.last, Compared):
        discriminator.last.begin(discriminator.features(x))
