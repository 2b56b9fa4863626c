"""DiffAugment against the authors' numbers: every operator with given draws, gradients, odd sizes."""

import pytest
import torch

import reference
from ganarium.layers import diffaugment


def test_every_operator_gives_the_authors_numbers():
    numbers = reference.load("diffaugment")
    x = reference.inputs(numbers)["x"]
    for name, case in numbers["cases"].items():
        if name.startswith("policy"):
            continue
        operator = getattr(diffaugment, name.split(":")[0].split(" ")[0])
        if "rand" in case["drawn"]:
            given = [torch.tensor(case["drawn"]["rand"][0], dtype=torch.float64).view(-1, 1, 1, 1)]
        else:
            given = [torch.tensor(draw) for draw in case["drawn"]["randint"]]
        source = x.clone().requires_grad_()
        made = operator(source, *given)
        reference.hold(made, case["output"])
        (reference.values(made.shape, 1900) * made).sum().backward()
        reference.hold(source.grad, case["gradient of sum(v(shape, 1900) * output) to x"])


@pytest.mark.parametrize("name", ["translation", "cutout"])
def test_odd_sizes_give_the_authors_numbers(name):
    numbers = reference.load("diffaugment")
    case = next(case for key, case in numbers["odd sizes"].items() if key.startswith(name))
    rows, columns = (torch.tensor(draw) for draw in case["drawn"])
    made = getattr(diffaugment, name)(reference.inputs(numbers)["odd"], rows, columns)
    reference.hold(made, case["output"])


def test_the_whole_policy_in_its_order_gives_the_authors_numbers(monkeypatch):
    numbers = reference.load("diffaugment")
    case = numbers["cases"]["policy color,translation,cutout"]
    x = reference.inputs(numbers)["x"]
    uniform = iter(torch.tensor(row, dtype=torch.float64).view(-1, 1, 1, 1) for row in case["drawn"]["rand"])
    whole = iter(torch.tensor(row) for row in case["drawn"]["randint"])
    monkeypatch.setattr(torch, "rand", lambda *_, **__: next(uniform))
    monkeypatch.setattr(torch, "randint", lambda *_, **__: next(whole))
    (made,) = diffaugment.augmented(x)
    reference.hold(made, case["output"])


def test_each_image_has_draws_of_its_own_and_sizes_share_them():
    torch.manual_seed(0)
    image = torch.rand(64, 3, 16, 16) * 2 - 1
    same = image[:1].expand(64, -1, -1, -1)
    (made,) = diffaugment.augmented(same, policy=("color",))
    assert len({round(value, 5) for value in made.mean((1, 2, 3)).tolist()}) > 60
    large = torch.zeros(8, 1, 32, 32)
    large[:, :, 12:20, 12:20] = 1
    small = torch.nn.functional.avg_pool2d(large, 2)
    moved, moved_small = diffaugment.augmented(large, small, policy=("translation",))
    difference = (torch.nn.functional.avg_pool2d(moved, 2) - moved_small).abs().mean()
    assert difference < 0.02
    assert (moved - large).abs().mean() > 0.01


def test_moments_of_the_draws():
    torch.manual_seed(0)
    grey = torch.full((4000, 3, 8, 8), 0.2)
    shifts = diffaugment.augmented(grey, policy=("color",))[0].mean((1, 2, 3)) - 0.2
    assert shifts.mean().abs() < 0.02
    assert shifts.min() >= -0.5
    assert shifts.max() <= 0.5
    assert shifts.std() == pytest.approx(1 / 12**0.5, abs=0.01)
    saturated = diffaugment.saturation(grey[:2], torch.tensor([0.1, 0.9]).view(-1, 1, 1, 1))
    assert torch.allclose(saturated, grey[:2])
    image = torch.rand(2, 3, 8, 8)
    stretched = diffaugment.contrast(image, torch.tensor([0.1, 0.9]).view(-1, 1, 1, 1))
    assert torch.allclose(stretched.mean((1, 2, 3)), image.mean((1, 2, 3)), atol=1e-6)
    ones = torch.ones(500, 1, 16, 16)
    hidden = 1 - diffaugment.augmented(ones, policy=("cutout",))[0].mean((1, 2, 3))
    assert hidden.max() <= 0.25
    assert hidden.min() > 0


def test_nothing_to_do_changes_nothing():
    image = torch.rand(2, 3, 8, 8)
    (same,) = diffaugment.augmented(image, policy=())
    assert same is image
    still = torch.zeros(2, dtype=torch.long)
    assert torch.equal(diffaugment.translation(image, still, still), image)
