from ganarium.proofs.claim import ChangeOptions, Claim, WithoutPlayer, at_least, scale
from ganarium.proofs.measures.labels import STILL, FewLabels, LabelsAlone

sgan_few_labels = Claim(
    text="With ten labels of each class, generated images and those without a label make D a better classifier.",
    source="Odena 2016, section 3.2 and table 1",
    paper="prints accuracies for MNIST with 25 to 1,000 labels, not quoted here since we could not check them",
    control=LabelsAlone(),
    measure=FewLabels("discriminator"),
    runs_beside={"G_never_learns": WithoutPlayer("G"), "without_unlabelled": ChangeOptions({"unlabelled": False})},
    beside_text=f"{STILL} without_unlabelled: a run in which D sees no unlabelled image; the paper does not say "
    "whether its D does.",
    cpu=scale("mnist", 1000, size=28, width=32).requires(at_least(accuracy=0.82), gain="accuracy"),
)
