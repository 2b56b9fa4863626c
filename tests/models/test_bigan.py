"""BiGAN against its paper: which pairs D is shown and what it is told of them, whom each term reaches, the optimum on
four symbols, the released networks; the known mistakes: an unswapped E, pairs of strangers, a reconstruction."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.losses import as_fake, as_real
from ganarium.networks.bigan import Discriminator, Encoder, Generator
from synthetic import quadrants, refused, trainer


class Times(nn.Module):
    """An encoder that gives an image's mean, or a generator of grey images, times a factor."""

    def __init__(self, factor: float, *, image: bool) -> None:
        super().__init__()
        self.factor, self.image = nn.Parameter(torch.tensor(factor)), image

    def forward(self, x: Tensor) -> Tensor:
        if self.image:
            return self.factor * x[:, :1, None, None].expand(-1, 1, 8, 8)
        return self.factor * x.mean((1, 2, 3))[:, None]


class Weighed(nn.Module):
    """Scores 2 mean(x) + 5 z: another number for each way of pairing."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.tensor([2.0, 5.0]))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.factors[0] * x.mean((1, 2, 3)) + self.factors[1] * z[:, 0]


def stubbed():
    """x = 0.5, E(x) = 0.1; z = -0.4, G(z) = -0.12."""
    model = registry.create("bigan", (1, 8, 8), latent_dim=1, width=8)
    model.encoder, model.generator = Times(0.2, image=False), Times(0.3, image=True)
    model.discriminator = Weighed()
    model.latent = lambda n: torch.full((n, 1), -0.4)
    return model, iter([Images(torch.full((4, 1, 8, 8), 0.5))])


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# ---- the losses ----------------------------------------------------------------------------------------------------


def test_every_term_in_closed_form():
    model, batches = stubbed()
    real, fake = torch.tensor(2 * 0.5 + 5 * 0.1), torch.tensor(2 * -0.12 + 5 * -0.4)
    (_, d_terms, watched), (_, terms) = model.step(batches)
    assert d_terms["real"].item() == pytest.approx(as_real(real).item() / 2, rel=1e-5)
    assert d_terms["fake"].item() == pytest.approx(as_fake(fake).item() / 2, rel=1e-5)
    assert terms["encoder"].item() == pytest.approx(as_fake(real).item() / 2, rel=1e-5), "E's target is swapped"
    assert terms["generator"].item() == pytest.approx(as_real(fake).item() / 2, rel=1e-5)
    assert (watched["real"][0].item(), watched["fake"][0].item()) == pytest.approx((real.item(), fake.item()), rel=1e-5)
    strangers = torch.tensor(2 * -0.12 + 5 * 0.1)  # known mistake: G(z) with E(x)
    assert d_terms["fake"].item() != pytest.approx(as_fake(strangers).item() / 2, rel=0.05)


def test_values_where_d_says_nothing_and_no_other_term():
    """log 2 for D and for E and G; known mistake: a reconstruction beside it, which makes another model of it."""
    model, batches = stubbed()
    nn.init.zeros_(model.discriminator.factors)
    (_, d_terms, _), (_, terms) = model.step(batches)
    assert set(terms) == {"encoder", "generator"}
    assert sum(d_terms.values()).item() == pytest.approx(math.log(2))
    assert sum(terms.values()).item() == pytest.approx(math.log(2))


def test_swapping_the_pairs_gives_the_other_loss():
    """-D says of every pair that it is of the other kind."""
    model, batches = stubbed()
    (_, d_terms, _), (_, terms) = model.step(batches)
    mirrored, batches = stubbed()
    with torch.no_grad():
        mirrored.discriminator.factors.neg_()
    (_, d_mirrored, _), (_, other) = mirrored.step(batches)
    assert sum(d_mirrored.values()).item() == pytest.approx(sum(terms.values()).item())
    assert sum(other.values()).item() == pytest.approx(sum(d_terms.values()).item())


def test_whom_each_term_reaches():
    model, batches = stubbed()
    (_, d_terms, _), (_, terms) = model.step(batches)
    nets = [model.encoder.factor, model.generator.factor]
    for name, reached in [("encoder", [True, False]), ("generator", [False, True])]:
        gradients = torch.autograd.grad(terms[name], nets, allow_unused=True, retain_graph=True)
        assert [gradient is not None for gradient in gradients] == reached, name
    gradients = torch.autograd.grad(sum(d_terms.values()), [*nets, model.discriminator.factors], allow_unused=True)
    assert [gradient is not None for gradient in gradients] == [False, False, True]


def test_e_and_g_move_against_d_as_it_is_then():
    model, batches = stubbed()
    step = model.step(batches)
    next(step)
    with torch.no_grad():
        model.discriminator.factors.copy_(torch.tensor([1.0, 1.0]))
    _, terms = next(step)
    assert terms["encoder"].item() == pytest.approx(as_fake(torch.tensor(0.6)).item() / 2, rel=1e-5)


# ---- four symbols --------------------------------------------------------------------------------------------------


class Table(nn.Module):
    """D as a free table of scores of 4 images, told by their mean, and 4 codes."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.scores[x.mean((1, 2, 3)).long(), z[:, 0].long()]


class Permutation(nn.Module):
    def __init__(self, order: list[int], *, image: bool) -> None:
        super().__init__()
        self.order, self.image, self.unused = torch.tensor(order), image, nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        index = x[:, 0].long() if self.image is True else x.mean((1, 2, 3)).long()
        value = self.order[index].float() + 0 * self.unused
        return value[:, None, None, None].expand(-1, 1, 8, 8) if self.image else value[:, None]


@pytest.mark.parametrize(("encoder", "agreeing"), [([1, 3, 0, 2], 1.0), ([1, 3, 2, 0], 0.5), ([0, 1, 2, 3], 0.0)])
def test_ds_best_loss_is_log_2_only_where_e_inverts_g(encoder, agreeing):
    """G maps 0, 1, 2, 3 to 2, 0, 3, 1. D tells every pair apart on which E is not the inverse of G."""
    model, every = registry.create("bigan", (1, 8, 8), latent_dim=1, width=8), torch.arange(4.0)
    model.generator, model.encoder = Permutation([2, 0, 3, 1], image=True), Permutation(encoder, image=False)
    model.discriminator = Table()
    model.latent = lambda n: every[:, None]
    images = Images(every[:, None, None, None].expand(-1, 1, 8, 8))
    rule = torch.optim.Adam(model.discriminator.parameters(), lr=0.3)
    for _ in range(100):
        _, terms, _ = next(model.step(iter([images])))
        loss = sum(terms.values())
        rule.zero_grad()
        loss.backward()
        rule.step()
    assert loss.item() == pytest.approx(agreeing * math.log(2), abs=0.01)


# ---- networks ------------------------------------------------------------------------------------------------------


def test_released_numbers_of_parameters():
    model = registry.create("bigan", (1, 28, 28))
    nets = (model.generator, model.encoder, model.discriminator)
    assert [count(net) for net in nets] == [1_953_792, 1_902_592, 1_903_616]
    assert count(model.generator.skip) == 51_200
    assert not [name for name, _ in model.named_parameters() if "bias" in name or "norm" in name]


def test_pixels_are_read_and_made_in_0_1():
    """Without biases a black image is nothing to E and D, and G's grey is a score of 0."""
    black, z = torch.full((4, 1, 8, 8), -1.0), torch.randn(4, 3)
    encoder, discriminator = Encoder((1, 8, 8), 3, 8), Discriminator((1, 8, 8), 3, 8)
    assert encoder.eval()(black).abs().max() == 0
    assert torch.equal(discriminator.eval()(black, 0 * z), torch.zeros(4))
    assert Generator((1, 8, 8), 3, 8).eval()(0 * z).abs().max() == 0


def test_where_z_enters():
    """G's second layer reads z too, and D adds it before the batch norm of its second layer."""
    torch.manual_seed(0)
    generator, discriminator, z = Generator((1, 8, 8), 3, 8), Discriminator((1, 8, 8), 3, 8), torch.randn(6, 3)
    nn.init.zeros_(generator.second.weight)
    assert generator(z).std(0).max() > 0.01
    nn.init.zeros_(generator.skip.weight)
    assert generator(z).std(0).max() == 0
    x = torch.rand(6, 1, 8, 8)
    seen = []
    discriminator.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    discriminator(x, z)
    first = nn.functional.leaky_relu(discriminator.first((x.flatten(1) + 1) / 2), 0.2)
    assert torch.allclose(seen[0], discriminator.second(first) + discriminator.code(z))
    assert not torch.allclose(discriminator(x, z), discriminator(x, z.flip(0)))
    nn.init.zeros_(discriminator.code.weight)  # the control of the proof: D without codes
    assert torch.allclose(discriminator(x, z), discriminator(x, z.flip(0)))


def test_rate_stays_and_then_falls_to_a_hundredth():
    rate = registry.create("bigan", (1, 8, 8), width=8).players["EG"].optimizer.lr
    shares = [rate(place, 400) / 2e-4 for place in (0, 200, 300, 400)]
    assert shares == pytest.approx([1, 1, 0.1, 0.01])


def test_convolutions_judge_pairs_too():
    torch.manual_seed(0)
    model = registry.create("bigan", (3, 16, 16), network="dcgan", width=8, latent_dim=4)
    x, z = torch.rand(6, 3, 16, 16), torch.randn(6, 4)
    D = model.discriminator
    assert D(x, z).shape == (6,)
    assert not torch.allclose(D(x, z), D(x, z.flip(0)))
    assert not torch.allclose(D(x, z), D(x.flip(0), z))
    assert model.encode(x).shape == (6, 4)
    assert model.decode(model.encode(x)).shape == x.shape


# ---- it learns, and what it refuses --------------------------------------------------------------------------------


def inversion(*, blind: bool) -> float:
    """The distance of images to what is made of their codes, divided by that to what is made of others' codes."""
    made = quadrants(trainer("bigan", (1, 8, 8), batch_size=32, total=400, width=64, lr=1e-3, last_lr=0.1))
    if blind:  # D sees no code
        made.model.discriminator.code.register_forward_hook(lambda module, inputs, output: 0 * output)
    for _ in range(400):
        made.iterate()
    made.model.eval()
    with torch.no_grad():
        x = made.batches.draw(64).image
        again = made.model.decode(made.model.encode(x))
    own, other = (x - again).abs().mean(), (x[:, None] - again[None]).abs().mean()
    return (own / other).item()


def test_the_encoder_inverts_the_generator():
    """Control: a D that is shown no codes, so that E learns nothing of G."""
    seeing, blind = inversion(blind=False), inversion(blind=True)
    assert seeing < 0.75, (seeing, blind)
    assert blind > 0.95, (seeing, blind)


def test_what_is_refused():
    refused("2-D points", lambda: registry.create("bigan", (2,)))
    refused("last_lr", lambda: registry.create("bigan", (1, 8, 8), last_lr=0.0))
    refused("network must be one of", lambda: registry.create("bigan", (1, 8, 8), network="resnet"))
