from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.enlargement import Enlargement

srgan_detail = Claim(
    text="SRResNet enlarges better than bicubic; D makes its pictures sharper, at the price of PSNR.",
    source="Ledig et al. 2017, sections 2.1, 2.2 and 3.4",
    paper="Set5, x4, full size: bicubic 28.43 dB, SRResNet 32.05, SRGAN 29.40",
    control=ChangeOptions({"adversarial_weight": 0.0}),
    control_text="the second phase has the content loss alone",
    measure=Enlargement(),
    cpu=scale(
        "bsds500/images",
        1600,
        size=48,
        layout="patches",
        batch_size=8,
        generator="basicsr",
        num_blocks=4,
        width=32,
        discriminator_width=16,
        num_pretraining_steps=1300,
        lr=5e-4,
        num_controls=1,
    ).requires(at_least(psnr_above_bicubic=1.0, fall=0.3, sharper=1.15)),
)
