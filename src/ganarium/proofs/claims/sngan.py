from ganarium.proofs.changes import ChangeOptions
from ganarium.proofs.claim import Claim, Scale, at_most
from ganarium.proofs.measures.sngan_slope import Slope

CLAIMS = (
    Claim(
        id="sngan_slope",
        model="sngan",
        text="Spectral norm bounds the slope of D, at a rate at which it otherwise grows.",
        source="Miyato et al. 2018, sections 2.1 and 4.1",
        control=ChangeOptions({"spectral": False}),
        control_text="D has no spectral norm",
        measure=Slope(),
        quick=Scale(
            "glyphs",
            200,
            {
                "size": 16,
                "generator_width": 16,
                "discriminator_width": 16,
                "num_critic_steps": 1,
                "batch_size": 32,
                "lr": 1e-3,
            },
            held_to={"slope": at_most(0.4), "norm": at_most(1.1)},
        ),
    ),
)
