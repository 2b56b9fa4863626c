from ganarium.proofs.claim import Claim, WeighTerms, at_least, at_most, between, scale
from ganarium.proofs.measures.discriminators import CriticGradient
from ganarium.proofs.measures.points import FollowedDistance, ModeCoverage

TURNED = WeighTerms("D", {"penalty": -1})
TURNED_TEXT = "the penalty has the wrong sign, so that nothing holds the gradient"

wgan_gp_digits = Claim(
    text="The penalty holds the critic's gradient near norm 1 between data and samples, and G learns every digit.",
    source="Gulrajani et al. 2017, section 4 and figure 1b",
    control=WeighTerms("D", {"penalty": 1e-6}),
    control_text="the penalty has a millionth of its weight, so that the critic is free",
    measure=CriticGradient(count=5000, num_held_out=5000),
    cpu=scale("mnist", 400, width=16, lr=5e-4).requires(
        between(gradient_norm=(0.7, 1.5)), at_most(frechet_distance=45.0), at_least(rarest_class=0.02)
    ),
)

wgan_gp_distance = Claim(
    text="The critic's estimate follows the exact Wasserstein-1 distance of the samples, while G learns.",
    source="Gulrajani et al. 2017, section 5.3; Arjovsky et al. 2017, section 4.2",
    control=TURNED,
    control_text=TURNED_TEXT,
    measure=FollowedDistance(),
    quick=scale("ring", 480, width=128, lr=5e-4, beta1=0.5, penalty_weight=1.0).requires(
        at_least(correlation=0.8), at_most(w1_left=0.6)
    ),
)

wgan_gp_modes = Claim(
    text="A critic whose gradient is held at norm 1 leads G to all modes of a mixture.",
    source="Gulrajani et al. 2017, section 3, figure 1b and the released toy script (penalty weight 0.1)",
    control=TURNED,
    control_text=TURNED_TEXT,
    measure=ModeCoverage(),
    quick=scale("ring", 700, width=128, lr=1e-3, beta1=0.5, penalty_weight=0.1).requires(at_least(modes=4)),
    cpu=scale("grid", 2000, width=128, lr=1e-3, beta1=0.5, penalty_weight=0.1).requires(at_least(modes=18)),
)
