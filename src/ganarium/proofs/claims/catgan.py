from ganarium.proofs.claim import ChangeOptions, Claim, WeighTerms, WithoutPlayer, at_least, scale
from ganarium.proofs.measures.categories import NamedCategories
from ganarium.proofs.measures.labels import STILL, FewLabels, LabelsAlone

catgan_clusters = Claim(
    text="Without labels, D finds categories that are kinds of digits.",
    source="Springenberg 2015, section 3: D is a clustering, and its objective has three entropies",
    paper="prints errors for MNIST without labels, not quoted here since we could not check them",
    control=ChangeOptions({"marginal_weight": 0.0}),
    control_text="the loss lacks the entropies of mean predictions, which ask that all categories are used alike",
    measure=NamedCategories(),
    runs_beside={"certain_of_fakes": WeighTerms("D", {"fake": -1})},
    beside_text="certain_of_fakes: the sign of the entropy of fakes is wrong, so that D is to be certain of them.",
    cpu=scale("mnist", 1500, size=16, width=16, lr=6e-4).requires(at_least(accuracy=0.65)),
)

catgan_few_labels = Claim(
    text="With ten labels of each class, images without a label make D a better classifier.",
    source="Springenberg 2015, section 4 and table 1",
    paper="prints errors for MNIST with 100 labels, not quoted here since we could not check them",
    control=LabelsAlone(),
    measure=FewLabels("discriminator"),
    runs_beside={"G_never_learns": WithoutPlayer("G")},
    beside_text=STILL,
    cpu=scale("mnist", 2000, size=16, semi_supervised=True, width=16, lr=6e-4).requires(
        at_least(accuracy=0.88), gain="accuracy"
    ),
)
