"""The code of an image: found again where it is known, else better than random ones, the same for the same seed."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ganarium import cli, registry
from ganarium.data import load_data
from ganarium.data.dataset import decode
from ganarium.projection import search
from ganarium.testing import small_trainer
from synthetic import ALL, quadrants, refused, trainer

FEW = {"starts": 2, "steps": 6, "num_random": 20}


def of_codes(name):
    """A small model of a name, if it makes images from codes."""
    model = small_trainer(name).model
    maps = model.directions and not model.domains
    return model if model.prior is not None and not maps and not model.scale else None


@pytest.fixture(scope="module")
def taught():
    """A GAN that has learned for some seconds, and images that it was not shown."""
    train, test = load_data("glyphs", size=(12, 12), characters="01")
    made = trainer("gan", (1, 12, 12), 2, batch_size=64, total=400, recipe="modern", width=64, latent_dim=16, lr=1e-3)
    made.batches.images = train.images
    made.batches.labels = None
    for _ in range(400):
        made.iterate()
    return made.model, decode(test.images[::20])


# ---- what is asked of every model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_of_every_model_with_codes(name):
    """Not worse than the best random code, the same twice, of the declared shapes; others refuse in a sentence."""
    model = of_codes(name)
    if model is None:
        refused("", lambda: small_trainer(name).model.project(torch.zeros(1, 16, 16)))
        return
    images = model.sample(2, seed=5)
    if model.captioned:
        refused("say by text= (--text) what the images show", lambda: model.project(images))
    cheap = FEW | ({"text": "a red circle"} if model.captioned else {})
    random, modes = torch.get_rng_state(), {module: module.training for module in model.modules()}
    state = {key: value.clone() for key, value in model.state_dict().items()}
    first, again = (model.project(images, by="optimisation", **cheap) for _ in range(2))
    assert first.code.shape == (2, model.prior.dim)
    assert first.image.shape == images.shape
    assert (first.label is not None) == model.conditional
    assert (first.error <= first.random_error * 1.001 + 1e-9).all()
    assert torch.equal(first.code, again.code)
    assert torch.equal(first.image, again.image)
    own = (first.image - images).square().flatten(1).mean(1)
    assert torch.allclose(own, first.error, rtol=1e-3, atol=1e-6), "the error is that of the reconstruction"
    assert torch.equal(random, torch.get_rng_state())
    assert modes == {module: module.training for module in model.modules()}
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


# ---- what it is for ------------------------------------------------------------------------------------------------


def test_a_sample_of_the_models_own_is_found_again(taught):
    """With at most a tenth of the error of the best of 1,000 random codes; the control stops after no update."""
    model, _ = taught
    images = model.sample(4, seed=3)
    made, idle = model.project(images), model.project(images, steps=1)
    assert (made.error <= 0.1 * made.random_error).all(), made
    assert not (idle.error <= 0.1 * idle.random_error).any()
    assert made.seconds > 0
    assert made.by == "optimisation"
    decoded = model.sample(4, latent=made.code)
    assert torch.allclose(decoded, made.image, atol=1e-4)


def test_a_held_out_image_is_nearer_than_the_best_random_one(taught):
    model, held_out = taught
    made = model.project(held_out[:4])
    assert (made.error < 0.98 * made.random_error).all(), made
    other = model.project(held_out[:4], seed=1)
    assert not torch.equal(made.code, other.code)


def test_batch_norm_does_not_let_codes_see_each_other():
    """A model that is sampled with statistics of the batch: an image alone, and among others, has the same code."""
    model = small_trainer("dcgan").model
    assert model.sample_mode == "train"
    images = model.sample(3, seed=1)
    alone, among = model.project(images[1], **FEW), model.project(images, **FEW)
    assert torch.allclose(alone.code[0], among.code[1], atol=1e-4)


def test_by_the_encoder():
    made = quadrants(trainer("aae", (1, 8, 8), batch_size=32, total=200, width=64))
    for _ in range(200):
        made.iterate()
    model, images = made.model, made.batches.draw(8).image
    by_encoder = model.project(images)
    assert by_encoder.by == "encoder"
    assert torch.equal(by_encoder.code, model.encode(images))
    better = model.project(images, by="optimisation", steps=100)
    assert (better.error <= by_encoder.error * 1.001).all(), "it begins from the encoder's code, among others"
    one_start = model.project(images, by="optimisation", steps=1, starts=1, num_random=1)
    assert (one_start.error <= by_encoder.error * 1.001).all()


def test_of_drawn_pixels_the_mean_image_is_looked_for():
    """BGAN's binary pixels have no gradient; the chance of each pixel has one."""
    model = small_trainer("bgan").model
    images = model.expected(2, model.latent(2)).clamp(-1, 1).detach()
    made = model.project(images, starts=4, steps=100, num_random=50)
    assert (made.error < made.random_error).all()
    assert set(model.generate(2, made.code).unique().tolist()) == {-1.0, 1.0}
    assert not set(made.image.unique().tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_styles_are_looked_for_too(name):
    """Of images whose styles lie where no code leads, styles come nearer than codes."""
    model, noise = small_trainer(name).model, torch.tensor([0])

    def drawn():
        torch.manual_seed(0)
        return model.generate(2, style=style, noise_seed=noise)

    with torch.no_grad():
        style = 3 * model.styles_of(model.latent(2))
        scale = 0.3 / drawn().std()
        for name, parameter in model.generator.synthesis.outputs.named_parameters():
            if "style" not in name:
                parameter *= scale  # images within [-1, 1]
        images = drawn()
    cheap = {"starts": 4, "steps": 150, "num_random": 50}
    by_styles, by_codes = (model.project(images, space=space, **cheap) for space in "wz")
    assert (by_styles.space, by_codes.space) == ("w", "z")
    assert (by_styles.error < 0.8 * by_codes.error).all()
    assert (by_styles.error < by_styles.random_error).all()
    again = model.sample(2, seed=0, style=by_styles.code, noise_seed=0)
    assert torch.allclose(again.clamp(-1, 1), by_styles.image, atol=1e-4)


# ---- labels, categories, bounds --------------------------------------------------------------------------------------


def test_a_label_is_looked_for_or_given():
    model = small_trainer("cgan").model
    for parameter in model.generator.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    image = model.sample(1, seed=2, label=2)
    assert model.project(image, starts=8, steps=60, num_random=200).label.tolist() == [2]
    assert model.project(image, label=1, **FEW).label.tolist() == [1]
    refused("label must be a class from 0 to 3", lambda: model.project(image, label=7, **FEW))


def test_categories_stay_one_hot_and_uniform_numbers_in_their_range():
    model = small_trainer("infogan").model
    code = model.project(torch.ones(1, 16, 16), **FEW | {"steps": 60}).code[0]
    start = model.code.start
    assert sorted(code[start : start + 10].tolist()) == [0.0] * 9 + [1.0]
    assert code.abs().max() <= 1


class Valley(nn.Module):
    """Images of one pixel that is |z| - 1: two codes make each."""

    def forward(self, z: Tensor) -> Tensor:
        return (z.abs() - 1).view(-1, 1, 1, 1)


def test_the_search_in_closed_form():
    image, candidates = torch.tensor([[[[0.5]]], [[[-0.5]]]]), torch.linspace(-3, 3, 13)[:, None]
    made = search(lambda code, label: Valley()(code), image, candidates + 0.1, starts=3, steps=300)
    assert made.code.abs().flatten().tolist() == pytest.approx([1.5, 0.5], abs=1e-3)
    assert made.random_error.tolist() == pytest.approx([0.01, 0.01], rel=1e-3)
    assert made.error.max() < 1e-6
    held = search(lambda code, label: Valley()(code), image, candidates + 0.1, starts=3, steps=300, bounds=(-1.0, 1.0))
    assert held.code[1].abs().item() == pytest.approx(0.5, abs=1e-3)
    still = search(lambda code, label: Valley()(code), image, candidates + 0.1, starts=3, steps=9, free=torch.zeros(1))
    assert torch.equal(still.error, still.random_error)


# ---- what is refused, and the command --------------------------------------------------------------------------------


def test_what_is_refused(taught):
    model, images = taught
    refused("encoder or by optimisation", lambda: model.project(images, by="guess"))
    refused("has no encoder", lambda: model.project(images, by="encoder"))
    refused("space must be z", lambda: model.project(images, space="v"))
    refused("has no styles w", lambda: model.project(images, space="w"))
    refused("starts must be a whole number", lambda: model.project(images, starts=0))
    refused("is told no label", lambda: model.project(images, label=0))
    refused("is told no text", lambda: model.project(images, text="a"))
    refused("no domain of this model: leave it away", lambda: model.project(images, domain="a"))
    refused("a tensor to project must be (1, 12, 12)", lambda: model.project(torch.zeros(1, 9, 9)))
    refused("a prior", lambda: registry.create("cyclegan", (1, 16, 16)).project(torch.zeros(1, 16, 16)))


def test_the_command(tmp_path, capsys, own_cache):
    run = tmp_path / "run"
    words = ["cgan", "--data", "glyphs", "--characters", "01", "--size", "8", "--width", "8", "--steps", "2"]
    assert cli.main(["train", *words, "--threads", "1", "--out", str(run)]) == 0
    Image.fromarray(np.full((30, 20, 3), 200, np.uint8)).save(tmp_path / "photo.png")
    capsys.readouterr()
    command = ["project", str(run), str(tmp_path / "photo.png"), "--steps", "3", "--starts", "2", "--label", "1"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "error" in said
    assert "as 1" in said
    assert " s" in said
    arrays = np.load(run / "projected" / "photo-projected.npz")
    model = registry.create("cgan", (1, 8, 8), 2, width=8)
    assert arrays["code"].shape == (model.prior.dim,)
    assert arrays["label"] == 1
    assert Image.open(run / "projected" / "photo-projected.png").width > 16
    assert cli.main(command) == 0
    assert (run / "projected" / "photo-projected-2.png").exists(), "nothing is overwritten"
    assert cli.main([*command[:-1], "zebra"]) == 2
    assert "no class 'zebra'" in capsys.readouterr().err
