from ganarium.proofs.claim import Claim, WeighTerms, at_least, at_most, scale
from ganarium.proofs.measures.discogan_modes import MatchedModes, MatchedRings

discogan_modes = Claim(
    text="Eight modes of one domain are mapped to eight different modes of the other, and back to themselves.",
    source="Kim et al. 2017, section 4.1 and figure 4, the toy experiment",
    paper="all modes covered, where a plain GAN maps several modes of the first domain to one (figure 4)",
    control=WeighTerms("G", {"reconstruction": 0}),
    control_text="nothing asks that a point comes back: two plain GANs between the domains",
    measure=MatchedModes(),
    quick=scale("ring", 600, batch_size=100, width=64).requires(at_least(modes=8, near=0.9), at_most(cycle_error=0.1)),
)

discogan_toy = Claim(
    text="Eight modes far apart are mapped to eight different modes of a ring six times as large, and back.",
    source="Kim et al. 2017, section 4.1 and figure 4, the toy experiment",
    control=WeighTerms("G", {"reconstruction": 0}),
    control_text="nothing asks that a point comes back: two plain GANs between the domains",
    measure=MatchedRings(),
    cpu=scale("ring", 2000, batch_size=200, width=128, lr=5e-4).requires(
        at_least(modes=8, near=0.9), at_most(cycle_error=0.15)
    ),
)
