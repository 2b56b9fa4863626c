from ganarium.proofs.claim import Claim, ShuffledLabels, at_least, scale
from ganarium.proofs.measures.labels import LabelFidelity

cls_gan_labels = Claim(
    text="G draws the class that it is asked for.",
    source="Mao et al. 2016, the experiment on handwritten Chinese characters",
    control=ShuffledLabels(),
    measure=LabelFidelity(),
    cpu=scale("mnist", 8000, size=16, width=16, lr=3e-4).requires(at_least(fidelity=0.9, diversity=0.6)),
)
