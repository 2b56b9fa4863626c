from typing import Any

from torch import nn

from ganarium.proofs.claim import ChangeModel, Claim, at_least, at_most, scale
from ganarium.proofs.measures.styles import Styles


def make_the_mapping_linear(model: Any) -> None:
    layers = model.generator.mapping.layers
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.LeakyReLU):
            layers[place] = nn.Identity()


stylegan_styles = Claim(
    text="Paths between styles are shorter than paths between codes, and coarse styles own the digit.",
    source="Karras et al. 2019, sections 3.1 and 4.1, table 4",
    paper="FFHQ, with LPIPS: path length 233.3 in w, 664.9 in z (released network)",
    control=ChangeModel(make_the_mapping_linear),
    control_text="the mapping from codes to styles is linear",
    measure=Styles(),
    cpu=scale(
        "mnist",
        4000,
        size=16,
        first_size=16,
        width=24,
        latent_dim=32,
        mapping_layers=4,
        mixing=0.5,
        gamma=0.05,
        penalty_interval=4,
        lr=5e-3,
        batch_size=16,
        num_controls=1,
    ).requires(at_most(w_over_z=0.75), at_least(kept_class=0.55)),
)
