from ganarium.proofs.claim import ChangeOptions, Claim, Scale, at_least
from ganarium.proofs.measures.points import ModeCoverage

CLAIMS = {
    "lsgan_modes": Claim(
        text="Squared distances of a raw score from its targets lead G to the modes of a mixture.",
        source="Mao et al. 2016, section 3.2 and the mixture experiment of section 4.3",
        control=ChangeOptions({"generator_target": 0.0}),
        control_text="G aims at the target of fakes, c = a, as if the codes were swapped",
        measure=ModeCoverage(),
        quick=Scale("ring", 2500).requires(at_least(modes=3)),
        cpu=Scale("grid", 6000).requires(at_least(modes=15)),
    ),
}
