from ganarium.proofs.claim import Claim, ShuffledLabels, at_least, scale
from ganarium.proofs.measures.labels import FidelityAndAccuracy

acgan_labels = Claim(
    text="G draws the class that it is asked for, although D never sees which class was asked for.",
    source="Odena et al. 2016, sections 3 and 4.1",
    control=ShuffledLabels(),
    measure=FidelityAndAccuracy(),
    cpu=scale("mnist", 3000, size=16, generator_width=32, dropout=0.0, lr=6e-4).requires(
        at_least(fidelity=0.9, diversity=0.6)
    ),
)
