from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.labels import FewLabelsAndFidelity, LabelsAlone

triple_gan_few_labels = Claim(
    text="With ten labels of each class, images without a label make C better, and G draws the class asked for.",
    source="Li et al. 2017, sections 5.1 and 5.2, table 1",
    paper="MNIST with 100 labels, 1,000 epochs: 0.91 +- 0.58 % error, that is 0.991",
    control=LabelsAlone("C"),
    measure=FewLabelsAndFidelity("classifier"),
    runs_beside={"released_noise": ChangeOptions({"noise": 1.0})},
    beside_text="released_noise: a run with the released noise in D.",
    cpu=scale("mnist", 5000, size=16, width=256, classifier_width=16, noise=0.0, pseudo_start=2000).requires(
        at_least(accuracy=0.915, fidelity=0.8), gain="accuracy", level=("accuracy", "regularised", 0.01)
    ),
)
