from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.dual_translation import DualTranslation

dualgan_clipping = Claim(
    text="Clipped weights bound the critics, each way undoes the other, and dropout is noise when G is used too.",
    source="Yi et al. 2017, sections 3.1 to 3.3",
    control=ChangeOptions({"clip": 1e9}),
    control_text="the critics' weights are not clipped",
    measure=DualTranslation(),
    runs_beside={
        "without_dropout": ChangeOptions({"dropout": 0.0}),
        "without_reconstruction": ChangeOptions({"a_weight": 0.0, "b_weight": 0.0}),
    },
    beside_text="without_dropout: a run whose G has no noise; without_reconstruction: one without its terms.",
    cpu=scale("scenes_unpaired", 300, size=32, batch_size=4, width=12, lr=2e-4, augment=False).requires(
        at_most(largest_weight=0.01, gap=0.1), at_least(noise=0.005), at_most(cycle_error=0.2)
    ),
)
