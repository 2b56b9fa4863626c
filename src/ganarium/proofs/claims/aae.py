from ganarium.proofs.changes import WithoutPlayer
from ganarium.proofs.claim import Claim, Scale, at_most
from ganarium.proofs.measures.aae_codes import CodesLikeThePrior

CLAIMS = (
    Claim(
        id="aae_prior",
        model="aae",
        text="The codes of all images together are distributed like the prior, and still tell the images apart.",
        source="Makhzani et al. 2015, section 2 and figure 2",
        control=WithoutPlayer("E"),
        control_text="the encoder never learns to deceive D: a plain autoencoder",
        measure=CodesLikeThePrior(),
        cpu=Scale(
            "mnist",
            1500,
            {"size": 28, "latent_dim": 2, "width": 256, "lr_adversarial": 5e-4},
            held_to={"sliced_distance": at_most(0.2), "error": at_most(0.052)},
        ),
    ),
)
