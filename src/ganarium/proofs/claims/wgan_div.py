from ganarium.proofs.claim import Claim, OtherModel, at_least, at_most, scale
from ganarium.proofs.measures.points import ModesAndGradient

RIVAL = {"num_critic_steps": 4, "width": 128, "lr": 1e-3, "beta1": 0.5, "latent_dim": 2, "penalty_weight": 10.0}

wgan_div_modes = Claim(
    text="The penalty k ||grad D||^p finds the modes of a mixture without holding the gradient at any norm.",
    source="Wu et al. 2018, section 3, equation 11 (k 2, p 6)",
    control=OtherModel("wgan_gp", RIVAL),
    control_text="WGAN-GP, whose penalty holds the gradient at norm 1, with the same networks, updates and rates",
    measure=ModesAndGradient(),
    quick=scale("ring", 800).requires(at_least(modes=6), at_most(gradient=0.7)),
    cpu=scale("grid", 2000).requires(at_least(modes=20), at_most(gradient=0.6)),
)
