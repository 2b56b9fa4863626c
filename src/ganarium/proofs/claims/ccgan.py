from ganarium.proofs.claim import ChangeModel, Claim, OtherModel, at_least, scale
from ganarium.proofs.measures.ccgan_holes import WITHOUT, FilledHoles, without_context
from ganarium.proofs.measures.labels import LabelsAlone

ccgan_context = Claim(
    text="From what is around a hole G fills it so that the digit is read again; D is no worse a classifier.",
    source="Denton et al. 2016, sections 3.2 and 4",
    control=ChangeModel(without_context),
    control_text=WITHOUT,
    measure=FilledHoles("discriminator"),
    runs_beside={"labels_alone": LabelsAlone("D"), "sgan": OtherModel("sgan", {"width": 16, "lr": 5e-4})},
    beside_text="labels_alone: D learns from the labelled images alone. sgan: our model of that name, with "
    "DCGAN's networks.",
    cpu=scale(
        "mnist",
        1300,
        size=16,
        semi_supervised=True,
        full_image=False,
        width=16,
        noise_dim=10,
        hole=0.5,
        lr=5e-4,
        batch_size=32,
    ).requires(at_least(filled=0.5, accuracy=0.8), level=("accuracy", "accuracy", 0.03)),
)
