from ganarium.proofs.changes import ChangeOptions
from ganarium.proofs.claim import Claim, Scale, at_least
from ganarium.proofs.measures.paired_translation import PairedTranslation

L1_ALONE = ChangeOptions({"adversarial_weight": 0.0})

CLAIMS = (
    Claim(
        id="pix2pix_sharpness",
        model="pix2pix",
        text="D teaches G the fine detail that L1 alone leaves blurred, as random crops and mirrors make it uncertain.",
        source="Isola et al. 2017, section 4.2 and figure 4",
        control=L1_ALONE,
        control_text="G is trained by L1 alone",
        measure=PairedTranslation(),
        cpu=Scale(
            "scenes_paired",
            600,
            {"size": 32, "batch_size": 8, "width": 16, "lr": 1e-3},
            held_to={"sharpness": at_least(0.65)},
        ),
    ),
)
