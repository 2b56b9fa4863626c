from ganarium.proofs.changes import ChangeOptions
from ganarium.proofs.claim import Claim, Scale, at_least, at_most
from ganarium.proofs.measures.loss_sensitive_gan_margin import MarginHeld
from ganarium.proofs.measures.points import ModeCoverage

CLAIMS = (
    Claim(
        id="loss_sensitive_gan_margin",
        model="loss_sensitive_gan",
        text="Against fixed fakes, L of a fake exceeds that of a real by the margin in nearly all pairs, and no more.",
        source="Qi 2017, section 3",
        control=ChangeOptions({"slope": 1.0}),
        control_text="there is no hinge (slope 1, WGAN's critic): pairs that are apart enough are driven further apart",
        measure=MarginHeld(),
        quick=Scale("ring", 1500, held_to={"held": at_least(0.9), "gap": at_most(200)}),
    ),
    Claim(
        id="loss_sensitive_gan_modes",
        model="loss_sensitive_gan",
        text="A margin that grows with the distance of a fake from a real leads G to the modes of a mixture.",
        source="Qi 2017, sections 3 and 4",
        control=ChangeOptions({"margin_scale": 0.0}),
        control_text="there is no margin, so that an L that is the same everywhere is perfect",
        measure=ModeCoverage(),
        quick=Scale("ring", 2500, held_to={"modes": at_least(5)}),
    ),
)
