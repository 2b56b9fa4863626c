from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.fixed_fakes import MarginHeld
from ganarium.proofs.measures.points import ModeCoverage

loss_sensitive_gan_margin = Claim(
    text="Against fixed fakes, L of a fake exceeds that of a real by the margin in nearly all pairs, and no more.",
    source="Qi 2017, section 3",
    control=ChangeOptions({"slope": 1.0}),
    control_text="there is no hinge (slope 1, WGAN's critic): pairs that are apart enough are driven further apart",
    measure=MarginHeld(),
    quick=scale("ring", 1500).requires(at_least(held=0.9), at_most(gap=200)),
)

loss_sensitive_gan_modes = Claim(
    text="A margin that grows with the distance of a fake from a real leads G to the modes of a mixture.",
    source="Qi 2017, sections 3 and 4",
    control=ChangeOptions({"margin_scale": 0.0}),
    control_text="there is no margin, so that an L that is the same everywhere is perfect",
    measure=ModeCoverage(),
    quick=scale("ring", 2500).requires(at_least(modes=5)),
)
