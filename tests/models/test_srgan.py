"""SRGAN against its paper and the numbers of its trusted ports: sizes, phases, content, the known mistakes."""

import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from torch import Tensor, nn

import ganarium
import reference
from ganarium import registry
from ganarium.data.augment import cropped, reduced
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, HighResolutionImages, Photos
from ganarium.errors import UserError
from ganarium.losses import as_fake, as_real
from ganarium.models.srgan import VGG_WEIGHT
from ganarium.networks import vgg
from ganarium.networks.srresnet import Discriminator, SRResNet
from ganarium.networks.vgg import VGG19
from ganarium.trainer import Trainer
from synthetic import refused


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def photos(side: int = 16, n: int = 8) -> Dataset:
    pixels = torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sides = torch.full((n,), side)
    return Dataset("photos", pixels, photos=Photos(pixels.flatten(), sides, sides, (side, side), 3))


def trainer(**options) -> Trainer:
    torch.manual_seed(0)
    small = {"scale": 2, "width": 4, "num_blocks": 1, "discriminator_width": 2, "num_pretraining_steps": 2}
    model = registry.create("srgan", (3, 16, 16), **small | options)
    return Trainer(model, Batches(photos(), HighResolutionImages, 2), 10)


def test_published_numbers_of_parameters():
    published = reference.load("srgan")["published_sizes"]
    assert count(SRResNet(3, 64, 16, 4)) == 1_547_350 == published["SRResNet, 16 blocks, 64 channels, x4"]
    assert count(Discriminator((3, 96, 96), 64)) == 23_563_649 == published["discriminator, 96 px, width 64"]


def test_the_generator_gives_the_ports_numbers():
    case = reference.load("srgan")["cases"]["generator"]
    net, rows = SRResNet(3, 8, 2, 4).double(), case["networks"]["G"]["parameters"]
    reference.fill(net.parameters(), rows)
    x = reference.inputs(case)["x"]
    made = net(x)
    reference.hold(made, case["outputs"]["G(x) before the clamp, training statistics"])
    loss = ((1 + 0.1 * reference.values(made.shape, 1900)) * made).sum()
    (record,) = case["gradients"].values()
    reference.hold_gradient(loss, reference.by_name(net.parameters(), rows), record)
    reference.hold(net.eval()(x), case["outputs"]["before the clamp, running statistics after that one pass"])


def test_the_discriminator_gives_the_ports_numbers():
    case = reference.load("srgan")["cases"]["discriminator"]
    net, rows = Discriminator((3, 96, 96), 4).double(), case["networks"]["D"]["parameters"]
    reference.fill(net.parameters(), rows)
    score = net(reference.inputs(case)["x"])
    reference.hold(score[:, None], case["outputs"]["D(x)"])
    assert as_real(score).item() == pytest.approx(case["losses"]["log loss, as real"], rel=1e-6)
    assert as_fake(score).item() == pytest.approx(case["losses"]["log loss, as fake"], rel=1e-6)
    reference.hold_gradient(
        as_real(score), reference.by_name(net.parameters(), rows), case["gradients"]["as real to D"]
    )


def test_three_full_steps_of_the_second_phase_give_the_ports_numbers():
    numbers = reference.load("srgan")
    case, cases = numbers["full_step"], numbers["cases"]
    options = {"width": 8, "num_blocks": 2, "discriminator_width": 4, "num_pretraining_steps": 0}
    model = registry.create("srgan", (3, 96, 96), **options).double()
    reference.fill(model.generator.parameters(), cases["generator"]["networks"]["G"]["parameters"])
    reference.fill(model.discriminator.parameters(), cases["discriminator"]["networks"]["D"]["parameters"])
    given = reference.inputs(case)
    data = Batches(photos(96, 2), HighResolutionImages, 2, dtype=torch.float64)
    made = Trainer(model, data, 1000, precision="fp64")
    made.batches = iter([HighResolutionImages(given[f"hr{i}"]) for i in range(3)])
    low = iter([given[f"lr{i}"] for i in range(3)])
    model.low_resolution = lambda image: next(low)
    for expected in case["steps"]:
        terms = {update.player: update.terms for update in made.updates()}
        losses = expected["losses"]
        assert terms["G"]["content"].item() == pytest.approx(losses["l_g_pix"], rel=1e-6)
        assert terms["G"]["adversarial"].item() == pytest.approx(losses["l_g_gan"], rel=1e-6)
        assert terms["D"]["real"].item() == pytest.approx(losses["l_d_real"], rel=1e-6)
        assert terms["D"]["fake"].item() == pytest.approx(losses["l_d_fake"], rel=1e-6)
    for name, net in (("G", model.generator), ("D", model.discriminator)):
        total = sum(parameter.sum().item() for parameter in net.parameters())
        assert total == pytest.approx(case["after_3_steps"][name]["sum"], rel=1e-6)


# ---- VGG-19, with weights by the recipe --------------------------------------------------------------------


def test_vgg_gives_the_authors_features_and_content_terms():
    numbers = reference.load("vgg")
    given = reference.inputs(numbers)
    x, target = (2 * given[name] - 1 for name in ("x", "target"))
    nets = {name: VGG19(name).double() for name in ("relu2_2", "conv5_4", "relu5_4")}
    for name, net in nets.items():
        assert count(net) == 20_024_384 == numbers["published_sizes"]["features"]
        reference.fill(net.parameters(), numbers["parameters"])
        reference.hold(net(x), numbers["features of x"][name])
    keys = {"relu5_4": "SRGAN: mean squared difference at relu5_4, before its weight 0.006"}
    keys |= {"relu2_2": "SRGAN-VGG22: mean squared difference at relu2_2, before its weight"}
    model = trainer().model
    for name, key in keys.items():
        model.features = (nets[name],)
        assert model.content(x, target).item() == pytest.approx(0.006 * numbers[key], rel=1e-6)


def test_vgg_stays_as_it_is_and_lets_the_gradient_through():
    net = VGG19("relu2_2")
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    net.train()(image).sum().backward()
    assert not net.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in net.parameters())
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_a_content_network_that_is_absent_is_never_replaced(monkeypatch, tmp_path):
    for name in ("GANARIUM_VGG", "GANARIUM_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path))
    monkeypatch.setattr(vgg, "URL", "http://127.0.0.1:9/vgg19.pth")  # nobody answers there
    with pytest.raises(
        UserError, match=r"weights of VGG-19 are not here and could not be downloaded.*another --content"
    ):
        registry.create("srgan", (3, 16, 16), content="vgg54").load_features()
    assert not list(tmp_path.iterdir())


def test_vgg_is_downloaded_once_and_only_whole(monkeypatch, tmp_path, capsys):
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    asked, tiny = [], ((2, 2), (2, 2), (2, 4), (2, 4), (2, 4))
    monkeypatch.setattr(vgg, "BLOCKS", tiny)
    torch.save(
        {f"features.{key}": value for key, value in VGG19("conv5_4").layers.state_dict().items()}, tmp_path / "it"
    )
    whole = (tmp_path / "it").read_bytes()
    name = f"vgg19-{hashlib.sha256(whole).hexdigest()[:8]}.pth"
    cache = tmp_path / "cache"
    for variable, value in (("GANARIUM_CACHE", cache), ("GANARIUM_DATA", tmp_path / "none")):
        monkeypatch.setenv(variable, str(value))
    monkeypatch.delenv("GANARIUM_VGG", raising=False)
    monkeypatch.setattr(vgg, "FILE", name)
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(vgg, "URL", f"http://127.0.0.1:{server.server_port}/{name}")
    try:
        content = whole[:-1]
        with pytest.raises(UserError, match=f"another file, or a part of it.*put {name}"):
            vgg.load_vgg("conv5_4")
        assert not list(cache.iterdir())
        content = whole
        networks = [vgg.load_vgg("conv5_4") for _ in range(2)]
    finally:
        server.shutdown()
        server.server_close()
    assert asked == [f"/{name}"] * 2  # the second network is read from the cache
    assert [path.name for path in cache.iterdir()] == [name]
    assert "downloading the weights of VGG-19" in capsys.readouterr().err
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_the_content_network_is_no_part_of_the_model(monkeypatch, tmp_path):
    model = trainer().model
    without = set(model.state_dict())
    model.features = (VGG19("relu2_2"),)
    assert set(model.state_dict()) == without


# ---- phases and losses -------------------------------------------------------------------------------------


class Constant(nn.Module):
    def __init__(self, value: float, scale: int) -> None:
        super().__init__()
        self.value, self.scale = nn.Parameter(torch.tensor(value)), scale

    def forward(self, x: Tensor) -> Tensor:
        return self.value * torch.ones_like(x).repeat(1, 1, self.scale, self.scale)


class MeanScore(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.mean((1, 2, 3))


def test_every_term_in_closed_form():
    """x = 0.5, G gives 0.2: squares in [-1, 1], D of whole images, the paper's weight of 0.001."""
    model = trainer().model
    model.generator, model.discriminator = Constant(0.2, 2), MeanScore(3.0)
    batch = HighResolutionImages(torch.full((2, 3, 16, 16), 0.5))
    ((player, terms),) = model.step(iter([batch]))
    assert player == "pretrain"
    assert terms["mse"].item() == pytest.approx(0.09)
    model.iteration = 2
    step = model.step(iter([batch]))
    softplus = nn.functional.softplus
    player, terms = next(step)
    assert player == "G"
    assert terms["content"].item() == pytest.approx(0.09)
    assert terms["adversarial"].item() == pytest.approx(1e-3 * softplus(torch.tensor(-0.6)).item())
    player, terms, _ = next(step)
    assert player == "D"
    assert terms["real"].item() == pytest.approx(softplus(torch.tensor(-1.5)).item())
    assert terms["fake"].item() == pytest.approx(softplus(torch.tensor(0.6)).item())


class Times(nn.Module):
    """A generator that enlarges by repeating pixels, and multiplies."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_every_image_is_held_to_itself():
    """Flat images of 0.5 and -0.5, which are 0.75 and 0.25 in [0, 1], where a G that repeats pixels leaves them: off by
    0.25 and 0.75. Its slope through D, by hand."""
    model, value = trainer().model, torch.tensor([0.5, -0.5])
    model.generator, model.discriminator = Times(1.0), MeanScore(3.0)
    batch = HighResolutionImages(value[:, None, None, None].expand(2, 3, 16, 16))
    ((_, terms),) = model.step(iter([batch]))
    squares = (0.25**2 + 0.75**2) / 2
    assert terms["mse"].item() == pytest.approx(squares, rel=1e-4)
    model.iteration = 2
    (_, terms), (_, _, scores) = model.step(iter([batch]))
    assert terms["content"].item() == pytest.approx(squares, rel=1e-4)
    made = torch.tensor([0.75, 0.25])
    (slope,) = torch.autograd.grad(terms["adversarial"], model.generator.factor)
    assert slope.item() == pytest.approx(-1e-3 * ((-3 * made).sigmoid() * 3 * made).mean().item(), rel=1e-4)
    assert scores["real"].tolist() == pytest.approx((3 * value).tolist(), rel=1e-4)
    assert scores["fake"].tolist() == pytest.approx((3 * made).tolist(), rel=1e-4)
    model.features = (nn.Identity(),)
    (_, terms), _ = model.step(iter([batch]))
    assert terms["content"].item() == pytest.approx(VGG_WEIGHT * squares, rel=1e-4)


def test_the_first_phase_starts_the_second_and_d_waits():
    made = trainer(num_pretraining_steps=2)
    start = [parameter.clone() for parameter in made.model.discriminator.parameters()]
    moved = [[update.player for update in made.updates()] for _ in range(3)]
    assert moved == [["pretrain"], ["pretrain"], ["G", "D"]]
    assert any(not torch.equal(a, b) for a, b in zip(start, made.model.discriminator.parameters(), strict=True))
    assert made.model.players["pretrain"].parameters() == made.model.players["G"].parameters()


def test_the_rate_falls_to_a_tenth_in_the_last_half_of_the_second_phase():
    made = trainer(num_pretraining_steps=4, lr=1e-4)
    rate = made.model.players["G"].optimizer.lr
    assert [rate(step, 10) for step in (4, 6, 7, 9)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_low_resolution_is_antialiased_and_in_zero_to_one():
    """A chequer of single pixels becomes grey; every second pixel of it would be black or white."""
    model = trainer().model
    chequer = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).float().mul(2).sub(1).expand(1, 3, 16, 16)
    low = model.low_resolution(chequer)
    assert low.shape == (1, 3, 8, 8)
    assert (low[:, :, 2:-2, 2:-2] - 0.5).abs().max() < 0.05
    assert model.low_resolution(torch.ones(1, 3, 16, 16)).max().item() == pytest.approx(1.0)
    plain = nn.functional.interpolate(chequer, scale_factor=0.5, mode="nearest")
    assert plain.abs().min() == 1
    assert reduced(chequer, 4).shape == (1, 3, 4, 4)
    assert cropped(torch.zeros(1, 1, 17, 23), 4).shape == (1, 1, 16, 20)


def test_it_enlarges_any_size_with_running_statistics():
    model = trainer().model.eval()
    for h, w in ((5, 7), (16, 9)):
        assert model.enlarged(torch.zeros(1, 3, h, w)).shape == (1, 3, 2 * h, 2 * w)
    alone = model.enlarged(torch.zeros(1, 3, 4, 4))
    beside = model.enlarged(torch.cat([torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)]))[:1]
    assert torch.allclose(alone, beside, atol=1e-6)


def test_no_activation_bounds_the_last_layer_and_none_follows_a_sum():
    net = SRResNet(1, 4, 1, 2)
    with torch.no_grad():
        net.last.bias.fill_(9.0)
    assert net(torch.zeros(1, 1, 4, 4)).mean() > 5
    assert isinstance(net.blocks[0].layers[-1], nn.BatchNorm2d)
    assert sum(isinstance(layer, nn.PixelShuffle) for layer in net.modules()) == 1


def test_what_it_refuses():
    with pytest.raises(UserError, match="2-D points"):
        registry.create("srgan", (2,))
    with pytest.raises(UserError, match="scale must be 2, 4 or 8, not 3"):
        registry.create("srgan", (3, 16, 16), scale=3)


# ---- content by other features -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("srgan", {}), ("esrgan", {"growth": 2})])
def test_content_by_the_features_of_the_discriminator(name, options):
    """It is 0 for the image itself, grows with the error, and its gradient reaches neither D nor the image."""
    small = {"scale": 2, "width": 4, "num_blocks": 1, "discriminator_width": 2, "content": "discriminator"}
    torch.manual_seed(0)
    model = registry.create(name, (3, 32, 32), **small | options).eval()
    image = torch.rand(2, 3, 32, 32)
    noise = torch.randn_like(image)
    terms = [model.content(image + strength * noise, image).item() for strength in (0.0, 0.02, 0.2)]
    assert terms[0] == 0.0 < terms[1] < terms[2]
    made, image = (image + 0.1 * noise).requires_grad_(), image.clone().requires_grad_()
    gradients = torch.autograd.grad(model.content(made, image), [made, image], allow_unused=True)
    assert gradients[0].abs().sum() > 0
    assert gradients[1] is None


def test_content_by_efficientnet_is_blind_to_the_length_of_a_feature(monkeypatch):
    from ganarium.networks import content
    from ganarium.networks.efficientnet_lite import random_efficientnet_lite

    network = random_efficientnet_lite()
    monkeypatch.setattr(content, "load_efficientnet_lite", lambda variant: network)
    model = registry.create(
        "srgan", (3, 64, 64), scale=2, width=4, num_blocks=1, discriminator_width=2, content="efficientnet"
    )
    assert model.features == ()
    model.load_features()
    assert model.features == (network,)
    assert not any("features." in name and "discriminator" not in name for name, _ in model.named_parameters())
    torch.manual_seed(0)
    image = 2 * torch.rand(1, 3, 64, 64) - 1
    made = (image + 0.3 * torch.randn_like(image)).requires_grad_()
    term = model.content(made, image)
    maps = [torch.nn.functional.normalize(part, dim=1) for part in network(made)]
    wanted = [torch.nn.functional.normalize(part, dim=1) for part in network(image)]
    by_hand = sum((a - b).square().sum(1).mean() for a, b in zip(maps, wanted, strict=True)) / 4
    assert term.item() == pytest.approx(0.05 * by_hand.item(), rel=1e-4)
    assert torch.autograd.grad(term, made)[0].abs().sum() > 0
    assert model.content(image, image).item() == 0


@pytest.mark.parametrize(("name", "kind"), [("srgan", "efficientnet"), ("srgan", "vgg54"), ("esrgan", "vgg")])
def test_features_whose_weights_are_not_here_are_refused_and_not_replaced(name, kind, monkeypatch, tmp_path):
    """Before a run begins or goes on, and wherever the term is asked for; whoever enlarges needs none."""
    from ganarium.networks import content

    def missing(which):
        raise UserError("the weights are not here.")

    def hand_out(load):
        for loader in ("load_vgg", "load_efficientnet_lite"):
            monkeypatch.setattr(content, loader, load)

    options = {"size": "16", "num_blocks": 1, "width": 4, "discriminator_width": 2, "scale": 2, "quiet": True}
    begin = partial(ganarium.train, name, "textures", steps=1, content=kind, device="cpu", batch_size=2, **options)
    hand_out(missing)
    refused("not here", lambda: begin(out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    hand_out(lambda which: nn.Identity())
    begin(out=tmp_path / "run")
    hand_out(missing)
    refused("not here", lambda: ganarium.resume(tmp_path / "run", steps=2, quiet=True))
    model, image = ganarium.load(tmp_path / "run"), torch.rand(1, 3, 8, 8)
    assert model.upscale(image).shape == (1, 3, 16, 16)
    refused("not here", lambda: model.content(image, image))
