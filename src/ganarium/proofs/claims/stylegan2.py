from typing import Any

from torch import Tensor

from ganarium.layers.pixel_norm import pixel_norm
from ganarium.layers.precision import full
from ganarium.proofs.claim import ChangeModel, Claim, at_least, at_most, scale
from ganarium.proofs.measures.styles import Styles


def make_the_mapping_linear(model: Any) -> None:
    mapping = model.generator.mapping

    def forward(z: Tensor) -> Tensor:
        w = pixel_norm(z)
        for layer in mapping.layers:
            w = layer(w)
        return full(w)

    mapping.forward = forward


stylegan2_styles = Claim(
    text="Paths between styles are shorter than paths between codes, and coarse styles own the digit.",
    source="Karras et al. 2019, sections 3.1 and 4.1, table 4, for its successor",
    paper="StyleGAN on FFHQ, with LPIPS: path length 233.3 in w, 664.9 in z (released network)",
    control=ChangeModel(make_the_mapping_linear),
    control_text="the mapping from codes to styles is linear",
    measure=Styles(),
    cpu=scale(
        "mnist",
        2500,
        size=16,
        base_width=512,
        max_width=48,
        latent_dim=32,
        mapping_layers=4,
        mixing=0.5,
        gamma=0.05,
        path_weight=0.0,
        batch_size=16,
        num_controls=1,
    ).requires(at_most(w_over_z=0.8), at_least(kept_class=0.55)),
)
