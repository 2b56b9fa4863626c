from ganarium.proofs.changes import ShuffledLabels
from ganarium.proofs.claim import Claim, Scale, at_least
from ganarium.proofs.measures.label_fidelity import LabelFidelity

CLAIMS = (
    Claim(
        id="cls_gan_labels",
        model="cls_gan",
        text="G draws the class that it is asked for.",
        source="Mao et al. 2016, the experiment on handwritten Chinese characters",
        control=ShuffledLabels(),
        measure=LabelFidelity(),
        cpu=Scale(
            "mnist",
            8000,
            {"size": 16, "width": 16, "lr": 3e-4},
            held_to={"fidelity": at_least(0.9), "diversity": at_least(0.6)},
        ),
    ),
)
