from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.samples import BinarySampleQuality

bgan_discrete = Claim(
    text="D's odds, as weights of the likelihood of G's own samples, teach G to draw binary images.",
    source="Hjelm et al. 2017, section 2.2, algorithm 1",
    control=ChangeOptions({"form": "continuous"}),
    control_text="G learns from the gradient through grey pixels, by whose grey D knows them from binary images",
    measure=BinarySampleQuality(num_held_out=1000),
    quick=scale("glyphs", 300, size=16, characters="digits", batch_size=32, width=8, lr=1e-3, num_samples=10).requires(
        at_least(coverage=0.1)
    ),
    cpu=scale("mnist_binarised", 2000, size=16, batch_size=32, width=16, lr=5e-4, num_samples=10).requires(
        at_least(coverage=0.2), at_most(frechet_distance=1.1)
    ),
)
