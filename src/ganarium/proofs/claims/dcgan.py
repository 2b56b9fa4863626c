from typing import Any

from ganarium.layers.init import init_normal
from ganarium.networks.dcgan import Generator
from ganarium.players import Player
from ganarium.proofs.claim import ChangeModel, Claim, at_least, at_most, scale
from ganarium.proofs.measures.discriminators import FeaturesOfD


def without_batch_norm(model: Any) -> None:
    width = model.discriminator.layers[0].out_channels
    model.generator = Generator(model.shape, model.config.latent_dim, width, batch_norm=False, last_bias=False)
    init_normal(model.generator)
    model.players["G"] = Player(model.generator, optimizer=model.players["G"].optimizer)


dcgan_batch_norm = Claim(
    text="With batch norm G begins to learn: its samples come near the data, in all their variety.",
    source="Radford et al. 2015, section 3",
    control=ChangeModel(without_batch_norm),
    control_text="G has no batch norm",
    measure=FeaturesOfD(count=5000, num_held_out=5000),
    quick=scale(
        "glyphs", 400, size=16, characters="digits", batch_size=64, width=16, lr=1e-3, numbers={"labels": 200}
    ).requires(at_most(frechet_distance=21.0), at_least(coverage=0.05)),
    cpu=scale("fashion_mnist", 650, batch_size=64, numbers={"labels": 1000}).requires(
        at_most(frechet_distance=22.0), at_least(coverage=0.04)
    ),
)
