from ganarium.proofs.claim import Claim, OtherModel, at_least, at_most, scale
from ganarium.proofs.measures.points import FollowedEarly

wgan_distance = Claim(
    text="The critic's estimate follows the exact Wasserstein-1 distance of the samples, while G learns.",
    source="Arjovsky et al. 2017, section 4.2, figure 3",
    control=OtherModel("gan", {"num_discriminator_steps": 20, "lr": 5e-4}),
    control_text="the non-saturating GAN with the same networks and rates, whose D tells no distance",
    measure=FollowedEarly(generator_lr=5e-5),
    cpu=scale("ring", 1400, clip=0.05, num_critic_steps=20, lr=5e-4).requires(
        at_least(correlation=0.8), at_most(w1_left=0.4)
    ),
)
