from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.inpainting import FilledHoles

context_encoder_sharpness = Claim(
    text="D sharpens what fills a hole, which the squared error alone leaves blurred.",
    source="Pathak et al. 2016, section 3.2 and figure 6",
    control=ChangeOptions({"adversarial_weight": 0.0}),
    control_text="G is trained by the squared error alone",
    measure=FilledHoles(),
    cpu=scale("textures", 3000, size=32, batch_size=32, width=16, bottleneck=200, generator_lr=1e-3).requires(
        at_least(sharpness=0.9)
    ),
)
