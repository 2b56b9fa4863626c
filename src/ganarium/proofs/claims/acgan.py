from ganarium.proofs.changes import ShuffledLabels
from ganarium.proofs.claim import Claim, Scale, at_least
from ganarium.proofs.measures.label_fidelity import FidelityAndAccuracy

CLAIMS = (
    Claim(
        id="acgan_labels",
        model="acgan",
        text="G draws the class that it is asked for, although D never sees which class was asked for.",
        source="Odena et al. 2016, sections 3 and 4.1",
        control=ShuffledLabels(),
        measure=FidelityAndAccuracy(),
        cpu=Scale(
            "mnist",
            3000,
            {"size": 16, "generator_width": 32, "dropout": 0.0, "lr": 6e-4},
            held_to={"fidelity": at_least(0.9), "diversity": at_least(0.6)},
        ),
    ),
)
