from ganarium.proofs.changes import ChangeOptions, WithoutPlayer
from ganarium.proofs.claim import Claim, Scale, at_least, at_most
from ganarium.proofs.measures.critic import HeldOutGap
from ganarium.proofs.measures.few_labels import STILL, FewLabels, LabelsAlone

CLAIMS = (
    Claim(
        id="ct_gan_few_labels",
        model="ct_gan",
        text="With ten labels of each class, images without a label make D a better classifier.",
        source="Wei et al. 2018, the semi-supervised experiments",
        paper="prints errors for MNIST with 100 labels, not quoted here since we could not check them",
        control=LabelsAlone(),
        measure=FewLabels("critic"),
        runs_beside={"G_never_learns": WithoutPlayer("G")},
        beside_text=STILL,
        cpu=Scale(
            "mnist",
            2400,
            {"size": 28, "semi_supervised": True, "width": 250},
            held_to={"accuracy": at_least(0.81)},
            gain="accuracy",
        ),
    ),
    Claim(
        id="ct_gan_overfitting",
        model="ct_gan",
        text="Trained on 1,000 images, the critic scores held-out images nearly as high as those 1,000.",
        source="Wei et al. 2018, section 4.1, figure 2: the critic's loss on training and on held-out images",
        control=ChangeOptions({"dropout": 0.0, "consistency_weight": 0.0}),
        control_text="the same networks without dropout and without the consistency term, that is WGAN-GP",
        measure=HeldOutGap(num_train=1000),
        runs_beside={"dropout_alone": ChangeOptions({"consistency_weight": 0.0})},
        beside_text="dropout_alone: a run with dropout and without the consistency term.",
        cpu=Scale(
            "mnist", 2000, {"size": 16, "network": "mlp", "width": 256, "lr": 1e-3}, held_to={"gap": at_most(0.1)}
        ),
    ),
)
