from ganarium.proofs.claim import ChangeOptions, Claim, WeighTerms, at_least, at_most, scale
from ganarium.proofs.measures.points import ModeCoverage
from ganarium.proofs.measures.samples import SampleQuality

dragan_modes = Claim(
    text="With D's slope held around the data, and only there, G finds the modes of a mixture.",
    source="Kodali et al. 2017, sections 2.4 to 2.6",
    control=WeighTerms("D", {"penalty": 1}, others=0),
    control_text="D is trained by the penalty alone, as in a loop that is widely copied",
    measure=ModeCoverage(),
    cpu=scale("ring", 10_000).requires(at_least(modes=6)),
)

dragan_rate = Claim(
    text="With D's slope held low around the data, perceptrons learn digits at ten times the released rate.",
    source="Kodali et al. 2017: stable where the same networks are not with the losses of GAN alone",
    control=WeighTerms("D", {"penalty": 0}),
    control_text="the same networks at the same rate without the penalty, that is GAN",
    measure=SampleQuality(),
    runs_beside={"slope_of_1": ChangeOptions({"slope": 1.0})},
    beside_text="slope_of_1: a run with the paper's slope of 1.",
    cpu=scale("mnist", 3000, size=28, network="mlp", width=256, lr=1e-3, slope=0.1).requires(
        at_least(coverage=0.03), at_most(frechet_distance=45.0)
    ),
)
