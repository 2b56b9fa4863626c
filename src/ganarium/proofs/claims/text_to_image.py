from functools import partial

from ganarium.proofs.claim import ChangeOptions, Claim, ShuffledCaptions, at_least, scale
from ganarium.proofs.measures.scenes_by_words import KindsByWords, ScenesByWords
from ganarium.proofs.measures.several_shapes import SeveralShapes

by_words = partial(  # sentences as sums over their words, which both claims on them train with
    scale,
    "scenes_captioned",
    3000,
    size=32,
    batch_size=32,
    encoder="words",
    candidates=8,
    embedding_dim=128,
    projected=64,
    width=24,
    latent_dim=16,
    lr=5e-4,
    halvings=0,
    num_controls=1,
)

text_to_image_words = Claim(
    text="Pictures have the colour, the size and the place of shape of which a sentence speaks.",
    source="Reed et al. 2016, section 4 and figures 3 to 5, with scenes in the place of birds and flowers",
    control=ShuffledCaptions(),
    measure=ScenesByWords(),
    cpu=scale(
        "scenes_captioned",
        8000,
        size=32,
        batch_size=32,
        num_text_steps=4000,
        text_width=32,
        embedding_dim=64,
        projected=64,
        width=24,
        latent_dim=16,
        interpolation=False,
        text_lr=4e-3,
        lr=5e-4,
        halvings=0,
        num_controls=1,
    ).requires(at_least(colour=0.4, size=0.6, place=0.5)),
)

text_to_image_kinds = Claim(
    text="Pictures have the kind and the colour of shape of which a sentence speaks.",
    source="Reed et al. 2016, section 4 and figures 3 to 5, with scenes in the place of birds and flowers",
    control=ShuffledCaptions(),
    measure=KindsByWords(),
    cpu=scale(
        "scenes_captioned",
        8000,
        size=32,
        batch_size=32,
        num_text_steps=3000,
        candidates=8,
        text_width=32,
        embedding_dim=64,
        projected=64,
        width=24,
        latent_dim=16,
        interpolation=False,
        text_lr=4e-3,
        lr=5e-4,
        halvings=0,
        num_controls=1,
    ).requires(at_least(kind=0.5, colour=0.6)),
)

text_to_image_unseen = Claim(
    text="Pictures show kinds of shape in colours which they have in no image of the training.",
    source="Reed et al. 2016, section 4.3: sentences between those of the data",
    control=ShuffledCaptions(),
    measure=KindsByWords(),
    runs_beside={
        "without_interpolation": ChangeOptions({"interpolation": False}),
        "without_matching": ChangeOptions({"matching": False}),
    },
    beside_text="without_interpolation: G draws for the sentences of the data alone (no GAN-INT). without_matching: D "
    "is shown no real image with a sentence that is not about it (no GAN-CLS).",
    cpu=by_words().requires(at_least(held_out=0.5, kind=0.6, colour=0.8)),
)

text_to_image_scenes = Claim(
    text="Pictures of several shapes have the colours of which a sentence speaks, and shapes at its places.",
    source="Reed et al. 2016, section 4 and figures 3 to 5, with scenes in the place of birds and flowers",
    control=ShuffledCaptions(),
    measure=SeveralShapes(),
    cpu=by_words().requires(at_least(colours=0.35, placed=0.15, placed_one=0.4)),
)
