from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.label_recovery import LabelRecovery
from ganarium.proofs.measures.paired_translation import PairedTranslation

L1_ALONE = ChangeOptions({"adversarial_weight": 0.0})
UNCONDITIONAL = ChangeOptions({"conditional_discriminator": False})

pix2pix_sharpness = Claim(
    text="D teaches G the fine detail that L1 alone leaves blurred, as random crops and mirrors make it uncertain.",
    source="Isola et al. 2017, section 4.2 and figure 4",
    control=L1_ALONE,
    control_text="G is trained by L1 alone",
    measure=PairedTranslation(),
    cpu=scale("scenes_paired", 600, size=32, batch_size=8, width=16, lr=1e-3).requires(at_least(sharpness=0.65)),
)

pix2pix_condition = Claim(
    text="D, which sees the input too, knows which input an image belongs to, and teaches it G without L1.",
    source="Isola et al. 2017, sections 3.1 and 4.2 (cGAN against GAN)",
    control=UNCONDITIONAL,
    control_text="D sees the output alone",
    measure=PairedTranslation(),
    cpu=scale("scenes_paired", 600, size=32, batch_size=8, width=16, lr=1e-3, augment=False, l1_weight=0.0).requires(
        at_least(heeded=0.9, fits=0.85)
    ),
)

pix2pix_facades = Claim(
    text="From maps of its parts G draws a facade with the detail that L1 alone leaves blurred.",
    source="Isola et al. 2017, section 4.2 and figure 4",
    control=L1_ALONE,
    control_text="G is trained by L1 alone",
    measure=PairedTranslation(),
    cpu=scale(
        "facades", 800, size=128, layout="pairs", batch_size=4, width=12, lr=1e-3, direction="b2a", num_controls=1
    ).requires(at_least(sharpness=0.5)),
)

pix2pix_labels = Claim(
    text="D makes facades like photographs, so that a segmenter of photographs finds their parts again.",
    source="Isola et al. 2017, section 4.2 and table 1",
    paper="FCN-score on Cityscapes, class accuracy: L1 and cGAN .23, L1 alone .15, photographs .26",
    control=L1_ALONE,
    control_text="G is trained by L1 alone",
    measure=LabelRecovery(),
    cpu=scale(
        "facades", 600, size=128, layout="pairs", batch_size=4, width=12, lr=1e-3, direction="b2a", num_controls=1
    ).requires(at_least(labels=0.15)),
)
