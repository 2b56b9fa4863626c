from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.domain_classifier import SOURCE_ALONE, FlatBackgrounds, OneDomain, by_private_layer

pixelda_gain = Claim(
    text="A classifier that learns from repainted images knows the target, whose labels are not told.",
    source="Bousmalis et al. 2016, section 4.1 and table 1",
    paper="MNIST to MNIST-M at 32x32: 98.2 %, source only 63.6 %, target only 96.4 %",
    control=OneDomain("DT", by_private_layer),
    control_text=SOURCE_ALONE,
    measure=FlatBackgrounds(),
    runs_beside={
        "target_alone": OneDomain("DT", by_private_layer, target=True),
        "style_unseen": ChangeOptions({"style_weight": 0.0}),
    },
    beside_text="style_unseen: a run in which G learns nothing of the target.",
    cpu=scale("mnist", 700, size=16, width=16, num_blocks=2, classifier_width=16).requires(
        at_least(accuracy=0.5), gain="accuracy", least_gain=0.15
    ),
)
