from ganarium.proofs.claim import Claim, WeighTerms, WithoutPlayer, at_least, at_most, scale
from ganarium.proofs.measures.aae_codes import CodesLikeThePrior, NamedCategoriesAndKMeans
from ganarium.proofs.measures.labels import FewLabels, LabelsAlone

aae_prior = Claim(
    text="The codes of all images together are distributed like the prior, and still tell the images apart.",
    source="Makhzani et al. 2015, section 2 and figure 2",
    control=WithoutPlayer("E"),
    control_text="the encoder never learns to deceive D: a plain autoencoder",
    measure=CodesLikeThePrior(),
    cpu=scale("mnist", 6000, size=28, latent_dim=2, width=256, lr_adversarial=5e-4).requires(
        at_most(sliced_distance=0.2, error=0.052)
    ),
)

aae_few_labels = Claim(
    text="With ten labels of each class, images without a label make the encoder a better classifier.",
    source="Makhzani et al. 2015, section 5 and table 2",
    paper="prints errors for MNIST with 100 labels, not quoted here since we could not check them",
    control=LabelsAlone("C"),
    measure=FewLabels("encoder"),
    runs_beside={"codes_are_free": WithoutPlayer("E")},
    beside_text="codes_are_free: a run in which the encoder learns to reconstruct and classify, and ignores D.",
    cpu=scale("mnist", 5000, size=28, semi_supervised=True, width=256, lr_adversarial=1e-3).requires(
        at_least(accuracy=0.83), gain="accuracy"
    ),
)

aae_clusters = Claim(
    text="Without labels, one-hot categories that D holds to their prior become kinds of digits.",
    source="Makhzani et al. 2015, section 6 and table 3",
    paper="prints errors for MNIST with 16 and 30 clusters, not quoted here since we could not check them",
    control=WeighTerms("E", {"category": 0.0}),
    control_text="nothing holds the categories to one-hot draws: they are a part of the code like any other",
    measure=NamedCategoriesAndKMeans(),
    cpu=scale(
        "mnist", 2500, size=16, num_categories=60, latent_dim=3, width=256, lr=2e-3, lr_adversarial=5e-4
    ).requires(at_least(accuracy=0.6), at_most(entropy=1.0)),
)
