from ganarium.proofs.changes import ChangeOptions
from ganarium.proofs.claim import Claim, Scale, at_least, at_most
from ganarium.proofs.measures.cogan_pairs import PairsOfDigits

CLAIMS = (
    Claim(
        id="cogan_pairs",
        model="cogan",
        text="Two generators that share their first layers draw the same digit, and learn it without a single pair.",
        source="Liu and Tuzel 2016, sections 3 and 4",
        control=ChangeOptions({"share": False}),
        control_text="nothing is shared but z: two GANs",
        measure=PairsOfDigits(),
        cpu=Scale(
            "mnist+mnist_negative",
            700,
            {"size": 28, "width": 16, "discriminator_width": 12, "lr": 1e-3, "latent_dim": 32, "batch_size": 32},
            held_to={"same_digit": at_least(0.5), "commonest_class": at_most(0.5)},
        ),
    ),
)
