from ganarium.proofs.claim import ChangeOptions, Claim, WithoutPlayer, at_least, at_most, scale
from ganarium.proofs.measures.discriminators import HeldOutGap
from ganarium.proofs.measures.labels import STILL, FewLabels, LabelsAlone

ct_gan_few_labels = Claim(
    text="With ten labels of each class, images without a label make D a better classifier.",
    source="Wei et al. 2018, the semi-supervised experiments",
    paper="prints errors for MNIST with 100 labels, not quoted here since we could not check them",
    control=LabelsAlone(),
    measure=FewLabels("critic"),
    runs_beside={"G_never_learns": WithoutPlayer("G")},
    beside_text=STILL,
    cpu=scale("mnist", 2400, size=28, semi_supervised=True, width=250).requires(
        at_least(accuracy=0.81), gain="accuracy"
    ),
)

ct_gan_overfitting = Claim(
    text="Trained on 1,000 images, the critic scores held-out images nearly as high as those 1,000.",
    source="Wei et al. 2018, section 4.1, figure 2: the critic's loss on training and on held-out images",
    control=ChangeOptions({"dropout": 0.0, "consistency_weight": 0.0}),
    control_text="the same networks without dropout and without the consistency term, that is WGAN-GP",
    measure=HeldOutGap(num_train=1000),
    runs_beside={"dropout_alone": ChangeOptions({"consistency_weight": 0.0})},
    beside_text="dropout_alone: a run with dropout and without the consistency term.",
    cpu=scale("mnist", 2000, size=16, network="mlp", width=256, lr=1e-3).requires(at_most(gap=0.1)),
)
