"""Property tests: every model that makes or maps images takes any height, width and number of channels."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthetic import ALL, trainer

SIDE = st.integers(8, 40)
SHAPE = st.tuples(st.sampled_from([1, 3, 4]), SIDE, SIDE)
ten_examples = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", ALL)
@ten_examples
@given(shape=SHAPE)
def test_any_image_shape_trains_and_comes_out_exactly(name, shape):
    made = trainer(name, shape, batch_size=2, total=5)
    model, moved = made.model, set()
    made.total = max(5, 2 + max(model.stages, default=0))  # one that grows has a player for each size
    for _ in made:
        (row,) = made.drain().rows  # raises where a term or a parameter is not finite
        moved |= {key.split("/")[0] for key in row}
        if set(model.players) <= moved:  # models with phases need more than one iteration
            break
    assert set(model.players) <= moved
    if model.scale:
        image = torch.rand(3, *shape) * 2 - 1
        results = [model.upscale(image)[..., : shape[1], : shape[2]]]
        assert model.upscale(image).shape == (3, shape[0], model.scale * shape[1], model.scale * shape[2])
    elif model.inpaints:
        results = [model.inpaint(torch.rand(3, *shape) * 2 - 1, model.holes(1))]
    elif not model.directions:
        results = [model.sample(3, seed=0)]
    else:
        # a picture of another size than the model was trained at keeps its own
        other = (shape[0], shape[2] + 3, shape[1])
        images = [torch.rand(3, *size) * 2 - 1 for size in (shape, other)]
        results = [model.translate(images[0], direction=direction) for direction in model.directions]
        assert model.translate(images[1]).shape == (3, *other)
    for result in results:
        assert result.shape == (3, *shape)
        assert result.dtype == torch.float32
        assert result.isfinite().all()
        assert result.abs().max() <= 1


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 40), (4, 37, 11), (1, 39, 40), (3, 9, 9)])
def test_smallest_and_oddest_shapes(name, shape):
    model = trainer(name, shape, batch_size=2, prepare=False).model
    black = torch.zeros(1, *shape)
    if model.scale:
        assert model.upscale(black).shape == (1, shape[0], model.scale * shape[1], model.scale * shape[2])
        return
    if model.inpaints:
        made = model.inpaint(black, model.holes(1))
    else:
        made = model.translate(black) if model.directions else model.sample(1, seed=0)
    assert made.shape == (1, *shape)
