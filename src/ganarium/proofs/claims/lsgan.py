from ganarium.proofs.changes import ChangeOptions
from ganarium.proofs.claim import Claim, Scale, at_least
from ganarium.proofs.measures.points import ModeCoverage

CLAIMS = (
    Claim(
        id="lsgan_modes",
        model="lsgan",
        text="Squared distances of a raw score from its targets lead G to the modes of a mixture.",
        source="Mao et al. 2016, section 3.2 and the mixture experiment of section 4.3",
        control=ChangeOptions({"generator_target": 0.0}),
        control_text="G aims at the target of fakes, c = a, as if the codes were swapped",
        measure=ModeCoverage(),
        quick=Scale("ring", 2500, held_to={"modes": at_least(3)}),
        cpu=Scale("grid", 6000, held_to={"modes": at_least(15)}),
    ),
)
