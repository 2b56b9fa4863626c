from typing import Any

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.model import Step
from ganarium.proofs.claim import Claim, ReplaceStep, at_least, scale
from ganarium.proofs.measures.enlargement import MixedEnlargement


def begin_anew(model: Any, batches: Batches) -> Step:
    """The step of esrgan, but the second phase begins from first weights of its own."""
    if model.iteration == model.config.num_pretraining_steps:
        new: Any = registry.create("esrgan", model.shape, **vars(model.config))
        model.generator.load_state_dict(new.generator.state_dict())
    yield from type(model).step(model, batches)


esrgan_interpolation = Claim(
    text="Between the weights of the two phases, exactness turns into sharpness step by step.",
    source="Wang et al. 2018, section 3.4",
    control=ReplaceStep(begin_anew),
    control_text="the second phase begins from new weights in place of those of the first",
    measure=MixedEnlargement(),
    cpu=scale(
        "bsds500/images",
        1500,
        size=48,
        layout="patches",
        batch_size=8,
        num_blocks=2,
        width=32,
        growth=16,
        discriminator_width=16,
        num_pretraining_steps=1200,
        pixel_weight=0.1,  # ten times the paper's, as there is no term of features
        lr=1e-3,
        num_controls=1,
    ).requires(at_least(steps_down=0.75, psnr_of_mixture=0.0, sharper=1.15)),
)
