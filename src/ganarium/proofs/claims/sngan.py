from ganarium.proofs.claim import ChangeOptions, Claim, at_most, scale
from ganarium.proofs.measures.discriminators import Slope

sngan_norms = Claim(
    text="Spectral norm holds every weight of D at norm 1, at a rate at which weights otherwise grow.",
    source="Miyato et al. 2018, section 2.1",
    control=ChangeOptions({"spectral": False}),
    control_text="D has no spectral norm",
    measure=Slope(),
    quick=scale(
        "glyphs", 200, size=16, generator_width=16, discriminator_width=16, num_critic_steps=1, batch_size=32, lr=1e-3
    ).requires(at_most(norm=1.1)),
)
