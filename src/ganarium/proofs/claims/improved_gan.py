from ganarium.proofs.claim import ChangeOptions, Claim, WithoutPlayer, at_least, scale
from ganarium.proofs.measures.labels import STILL, FewLabels, LabelsAlone

improved_gan_few_labels = Claim(
    text="With ten labels of each class, images without a label make D a better classifier.",
    source="Salimans et al. 2016, section 6.1 and table 1",
    paper="MNIST with 100 labels, 300 epochs: 93 +- 6.5 errors in 10,000, that is 0.991",
    control=LabelsAlone(),
    measure=FewLabels("discriminator"),
    runs_beside={"G_never_learns": WithoutPlayer("G"), "non_saturating": ChangeOptions({"loss": "non_saturating"})},
    beside_text=f"{STILL} non_saturating: a run with that loss of G in place of feature matching.",
    cpu=scale("mnist", 2400, size=28, width=250).requires(at_least(accuracy=0.83), gain="accuracy"),
)
