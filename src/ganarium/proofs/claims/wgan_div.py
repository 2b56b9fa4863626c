from ganarium.proofs.changes import OtherModel
from ganarium.proofs.claim import Claim, Scale, at_least, at_most
from ganarium.proofs.measures.points import ModesAndGradient

RIVAL = {"num_critic_steps": 4, "width": 128, "lr": 1e-3, "beta1": 0.5, "latent_dim": 2, "penalty_weight": 10.0}

CLAIMS = (
    Claim(
        id="wgan_div_modes",
        model="wgan_div",
        text="The penalty k ||grad D||^p finds the modes of a mixture without holding the gradient at any norm.",
        source="Wu et al. 2018, section 3, equation 11 (k 2, p 6)",
        control=OtherModel("wgan_gp", RIVAL),
        control_text="WGAN-GP, whose penalty holds the gradient at norm 1, with the same networks, updates and rates",
        measure=ModesAndGradient(),
        quick=Scale("ring", 800, held_to={"modes": at_least(6), "gradient": at_most(0.7)}),
        cpu=Scale("grid", 2000, held_to={"modes": at_least(20), "gradient": at_most(0.6)}),
    ),
)
