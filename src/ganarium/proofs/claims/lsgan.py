from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.points import ModeCoverage

lsgan_modes = Claim(
    text="Squared distances of a raw score from its targets lead G to the modes of a mixture.",
    source="Mao et al. 2016, section 3.2 and the mixture experiment of section 4.3",
    control=ChangeOptions({"generator_target": 0.0}),
    control_text="G aims at the target of fakes, c = a, as if the codes were swapped",
    measure=ModeCoverage(),
    quick=scale("ring", 2500).requires(at_least(modes=3)),
    cpu=scale("grid", 6000).requires(at_least(modes=15)),
)
