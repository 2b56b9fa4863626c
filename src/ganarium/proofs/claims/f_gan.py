from typing import Any

from ganarium.models.f_gan import Divergence
from ganarium.proofs.claim import ChangeModel, Claim, at_least, scale
from ganarium.proofs.measures.points import ModeCoverage


def published_conjugate(model: Any) -> None:
    model.divergence = Divergence(lambda v: v, lambda v: v.square() / 4 + v, 0.0)


f_gan_modes = Claim(
    text="With Pearson's conjugate taken over ratios p/q >= 0, lowering the bound finds the modes of a mixture.",
    source="Nowozin et al. 2016, algorithm 1; the conjugate by its definition, section 2.2",
    control=ChangeModel(published_conjugate),
    control_text="Pearson's conjugate of the paper's table, a parabola that rises again where V is surest of fakes",
    measure=ModeCoverage(),
    # most seeds, not every one: from some the control does not run away, and then it is no worse
    cpu=scale("ring", 8000, divergence="pearson").requires(at_least(modes=6, over="most")),
)
