"""The networks of CT-GAN: a backbone whose critic has two parts, or Improved GAN's perceptrons."""

from typing import TYPE_CHECKING

from torch import nn

from ganarium.errors import UserError
from ganarium.layers.heads import SplitDiscriminator
from ganarium.layers.labels import known_classes
from ganarium.layers.shapes import image_shape
from ganarium.networks.backbones import backbone
from ganarium.networks.improved_gan import NoisyPerceptron, PerceptronGenerator

if TYPE_CHECKING:
    from ganarium.models.ct_gan import Config


def networks(
    config: "Config", shape: tuple[int, ...], latent_dim: int, num_classes: int | None
) -> tuple[nn.Module, SplitDiscriminator | NoisyPerceptron, bool]:
    """G and D of a config, and whether G has batch norm."""
    points, colour, width = len(shape) == 1, shape[0] > 1, config.width
    own = config.semi_supervised and not points and config.network == "auto"
    if config.semi_supervised:
        num_classes = known_classes(num_classes, "the semi-supervised ct_gan")
        if config.penalty_weight is not None or config.num_critic_steps != 5:
            raise UserError(
                "the semi-supervised ct_gan has no gradient penalty and one step of D for one of G: leave "
                "--penalty-weight and --num-critic-steps away."
            )
    if own and (config.norm != "none" or config.dropout != 0.5):
        raise UserError(
            "the perceptrons of the semi-supervised ct_gan have weight norm and Gaussian noise: for another "
            "--norm or --dropout choose --network mlp, dcgan or resnet."
        )
    if own:
        assert num_classes
        image, width, batch_norm = image_shape(shape, "ct_gan"), width or 500, config.generator_norm is not False
        return (
            PerceptronGenerator(latent_dim, width, image, batch_norm),
            NoisyPerceptron(image, width, num_classes),
            batch_norm,
        )
    convolutional = not points and config.network != "mlp"
    if convolutional and config.network != "resnet":
        width = width or (128 if colour else 64)
    usual = convolutional and (colour or config.network == "resnet")
    batch_norm = usual if config.generator_norm is None else config.generator_norm
    generator, critic = backbone(
        "ct_gan",
        config.network,
        shape,
        latent_dim,
        width,
        generator_norm=batch_norm,
        norm=config.norm,
        dropout=config.dropout,
    )
    return (
        generator,
        SplitDiscriminator(critic, num_classes if config.semi_supervised else None, config.norm),
        batch_norm,
    )
