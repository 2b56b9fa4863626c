"""InfoGAN against its paper: the information term in closed form, who it moves, that labels are never seen, the code's
prior and `sample(code=...)`, the released sizes, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.errors import UserError
from synthetic import trainer

NOISE = 4  # noise_dim of the small form


def played(**options):
    """A small trainer, and one step of it without updates: the terms of D and of G."""
    made = trainer("infogan", batch_size=6, **options)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    return made, d_terms, g_terms


def gradients(term: Tensor, module: nn.Module) -> list[Tensor | None]:
    return list(torch.autograd.grad(term, list(module.parameters()), allow_unused=True, retain_graph=True))


def reached(term: Tensor, module: nn.Module) -> bool:
    return any(gradient is not None and bool((gradient != 0).any()) for gradient in gradients(term, module))


# ---- the information term --------------------------------------------------------------------------------------


def test_values_where_every_output_is_zero():
    """ln 10 for the category; E[c^2] / 2 = 1/6 for each of the two continuous codes."""
    made = trainer("infogan")
    model = made.model
    n = 50_000
    value = model.unread(torch.zeros(n, 12), model.latent(n)).item()
    assert value == pytest.approx(math.log(10) + 2 / 6, abs=0.005)
    for layer in (model.head, model.Q[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    (_, d_terms, _), (_, g_terms) = model.step(made.batches)
    assert [d_terms[k].item() for k in ("real", "fake")] == pytest.approx([0.693147] * 2, abs=1e-6)
    assert g_terms["adversarial"].item() == pytest.approx(0.693147, abs=1e-6)


def test_gaussian_is_summed_over_the_columns_of_a_sample():
    """Known mistake: batch elements indexed in place of columns (Keras-GAN), which sees two samples only."""
    model = registry.create("infogan", (1, 16, 16), noise_dim=NOISE)
    code = torch.zeros(3, NOISE + 12)
    code[:, NOISE] = 1
    code[:, -2:] = torch.tensor([[0.5, -1.0], [0.0, 0.25], [1.0, 2.0]])
    read = torch.zeros(3, 12)
    read[:, 0] = 1000.0  # certain of the right category: no cross-entropy
    read[:, -2:] = torch.tensor([[0.0, 1.0], [0.0, 0.25], [0.0, 0.0]])
    per_sample = [0.5 * (0.25 + 4), 0.0, 0.5 * (1 + 4)]
    assert model.unread(read, code).item() == pytest.approx(sum(per_sample) / 3)
    mistaken = 0.5 * ((code[0, -2:] - read[0, -2:]) ** 2 + (code[1, -2:] - read[1, -2:]) ** 2).mean().item()
    assert mistaken != pytest.approx(sum(per_sample) / 3, rel=0.05)


def test_category_is_cross_entropy_of_logits():
    model = registry.create("infogan", (1, 16, 16), noise_dim=NOISE)
    torch.manual_seed(0)
    code, read = model.latent(20), 5 * torch.randn(20, 12)
    read[:, -2:] = code[:, -2:]
    category = code[:, NOISE : NOISE + 10].argmax(1)
    assert model.unread(read, code).item() == pytest.approx(F.cross_entropy(read[:, :10], category).item(), rel=1e-6)


def test_a_head_can_be_trained_below_a_tenth_of_a_nat():
    """Known mistake: softmax before cross-entropy; the loss then cannot fall below ln(e + 9) - 1 = 1.4612."""
    torch.manual_seed(0)
    model = registry.create("infogan", (1, 16, 16), noise_dim=NOISE)
    code, features = model.latent(100), torch.randn(100, 64)
    ends = []
    for mistaken in (False, True):
        head = nn.Linear(64, 12)
        rule = torch.optim.Adam(head.parameters(), lr=0.05)
        for _ in range(300):
            read = head(features)
            logits = read[:, :10].softmax(1) if mistaken else read[:, :10]
            loss = model.unread(torch.cat([logits, code[:, -2:]], 1), code)
            rule.zero_grad()
            loss.backward()
            rule.step()
        ends.append(loss.item())
    assert ends[0] < 0.1
    assert ends[1] > 1.46


def test_information_is_in_both_losses_with_its_weight():
    sizes = {}
    for weight in (0.0, 1.0, 3.0):
        _, d_terms, g_terms = played(information_weight=weight)
        assert set(d_terms) == {"real", "fake", "information"}
        assert set(g_terms) == {"adversarial", "information"}
        sizes[weight] = torch.stack([d_terms["information"], g_terms["information"]]).detach()
    assert (sizes[1.0] > 1).all()
    assert torch.allclose(sizes[3.0], 3 * sizes[1.0], rtol=1e-5)
    assert (sizes[0.0] == 0).all()


def test_whom_the_information_reaches():
    """In D's step trunk and Q, not D's head, and G stays out of it; in G's step all of G."""
    made, d_terms, g_terms = played()
    model = made.model
    assert reached(d_terms["information"], model.trunk)
    assert reached(d_terms["information"], model.Q)
    assert not reached(d_terms["information"], model.head)
    assert not reached(d_terms["information"], model.generator)
    assert reached(g_terms["information"], model.generator)
    assert all(g is not None for g in gradients(g_terms["information"], model.generator))


def test_q_moves_with_d_only():
    """Known mistake: a third optimiser over G and all of D."""
    made = trainer("infogan")
    model, moved = made.model, {}
    assert set(model.players) == {"D", "G"}
    before = {key: p.clone() for key, p in model.named_parameters()}
    for update in made.updates():
        changed = [key for key, p in model.named_parameters() if not torch.equal(p, before[key])]
        moved[update.player] = {key.split(".")[0] for key in changed}
        before = {key: p.clone() for key, p in model.named_parameters()}
    assert moved == {"D": {"trunk", "head", "Q"}, "G": {"generator"}}


def test_q_shares_the_whole_trunk():
    model = trainer("infogan").model
    calls = []
    model.trunk.register_forward_hook(lambda *args: calls.append(1))
    score, read = model.D(torch.randn(5, 1, 16, 16))
    assert (len(calls), score.shape, read.shape) == (1, (5,), (5, 12))


# ---- labels are never seen ---------------------------------------------------------------------------------------


def test_information_does_not_depend_on_the_reals():
    made = trainer("infogan", batch_size=6)
    real = torch.randn(6, 1, 16, 16, requires_grad=True)
    made.batches.draw = lambda n: Images(real)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    for term in (d_terms["information"], g_terms["information"]):
        assert torch.autograd.grad(term, real, allow_unused=True, retain_graph=True)[0] is None
    assert torch.autograd.grad(d_terms["real"], real)[0].abs().sum() > 0


def test_permuting_the_labels_changes_nothing():
    ends = []
    for turn in (0, 1):
        made = trainer("infogan")
        made.batches.labels = made.batches.labels.roll(turn)
        for done in made:
            if done == 3:
                break
        ends.append(made.model.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


# ---- the code ----------------------------------------------------------------------------------------------------


def test_prior():
    torch.manual_seed(0)
    model, n = registry.create("infogan", (1, 28, 28)), 20_000
    code = model.latent(n)
    assert code.shape == (n, 62 + 10 + 2)
    category, rest = code[:, 62:72], torch.cat([code[:, :62], code[:, 72:]], 1)
    assert ((category == 0) | (category == 1)).all()
    assert (category.sum(1) == 1).all()
    assert (category.mean(0) - 0.1).abs().max() < 0.01
    assert -1 <= rest.min() < -0.99 < 0.99 < rest.max() <= 1
    assert (rest.mean(0).abs() < 0.03).all()
    assert (rest.var(0) - 1 / 3).abs().max() < 0.01


def codes(model, n: int, code) -> Tensor:
    torch.manual_seed(0)
    return model.conditions(n, code=code)["latent"]


@pytest.fixture
def model():
    return registry.create("infogan", (1, 16, 16), noise_dim=NOISE)


@pytest.mark.parametrize("code", [3, [3], (3,), torch.tensor(3), [[3]], [[3], [3], [3]]])
def test_code_as_a_category(model, code):
    latent = codes(model, 3, code)
    assert latent.shape == (3, NOISE + 12)
    assert (latent[:, NOISE : NOISE + 10] == F.one_hot(torch.tensor(3), 10)).all()
    assert len(latent[:, 0].unique()) == 3  # the noise and the codes not given are still drawn
    assert len(latent[:, -1].unique()) == 3
    assert model.sample(3, seed=0, code=code).shape == (3, 1, 16, 16)


def test_code_with_continuous_numbers(model):
    latent = codes(model, 3, [7, 0.5])
    assert (latent[:, NOISE + 7] == 1).all()
    assert (latent[:, -2] == 0.5).all()
    assert len(latent[:, -1].unique()) == 3
    latent = codes(
        model, 3, [[1, 2.0, -2.0], [0, 0.0, 0.5], [9, 1.0, 1.0]]
    )  # beyond the prior, as in the paper's figures
    assert latent[:, NOISE : NOISE + 10].argmax(1).tolist() == [1, 0, 9]
    assert latent[:, -2:].tolist() == [[2, -2], [0, 0.5], [1, 1]]


def test_code_changes_only_what_it_names(model):
    """The same seed and two codes: the noise is the same."""
    a, b = codes(model, 4, [1, 0.5]), codes(model, 4, [2, -0.5])
    assert torch.equal(a[:, :NOISE], b[:, :NOISE])
    assert torch.equal(a[:, -1], b[:, -1])
    same, other = model.sample(4, seed=3, code=1), model.sample(4, seed=3, code=2)
    assert torch.equal(same, model.sample(4, seed=3, code=1))
    assert not torch.equal(same, other)


@pytest.mark.parametrize("code", [-1, 10, 1.5, [1, 2, 3, 4], [[1], [2]], float("nan"), 10**400])
def test_wrong_codes_are_refused(model, code):
    with pytest.raises(UserError, match="code"):
        model.sample(3, seed=0, code=code)


@pytest.mark.parametrize(
    "code", [[], "a", [[1], [2, 3], [4]], torch.zeros(3, 1, 1), [1, float("nan")], [1, math.inf], [1, 1e39]]
)
def test_stranger_codes_are_refused_too(model, code):
    with pytest.raises(UserError, match="code"):
        model.sample(3, seed=0, code=code)


def test_code_and_latent_together_are_refused(model):
    with pytest.raises(UserError, match="not both"):
        model.sample(3, seed=0, code=1, latent=model.latent(3))


# ---- networks and numbers ------------------------------------------------------------------------------------------


def shapes(network: nn.Module, *kinds: type) -> list[tuple[int, ...]]:
    return [tuple(m.weight.shape) for m in network.modules() if isinstance(m, kinds)]


def test_networks_of_the_released_mnist_launcher():
    model = registry.create("infogan", (1, 28, 28))
    kernels = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    assert shapes(model.generator, *kernels) == [(1024, 74), (6272, 1024), (128, 64, 4, 4), (64, 1, 4, 4)]
    assert model.generator.start == (128, 7, 7)
    assert shapes(model.trunk, *kernels) == [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 6272)]
    assert (shapes(model.head, nn.Linear), shapes(model.Q, nn.Linear)) == ([(1, 1024)], [(128, 1024), (12, 128)])
    assert {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)} == {0.01}
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert all(m.eps == 1e-5 for m in norms)
    assert not isinstance(model.trunk[1], nn.BatchNorm2d)
    kinds = {type(m).__name__ for m in model.modules()}
    assert not kinds & {"Softmax", "LogSoftmax", "Sigmoid", "Dropout", "Upsample"}
    assert all((m.stride, m.padding) == ((2, 2), (1, 1)) for m in model.modules() if isinstance(m, kernels[1:]))


def test_width_scales_every_layer():
    model = registry.create("infogan", (1, 28, 28), width=32)
    kernels = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    assert shapes(model.generator, *kernels) == [(512, 74), (3136, 512), (64, 32, 4, 4), (32, 1, 4, 4)]
    assert shapes(model.trunk, *kernels) == [(32, 1, 4, 4), (64, 32, 4, 4), (512, 3136)]
    assert (shapes(model.head, nn.Linear), shapes(model.Q, nn.Linear)) == ([(1, 512)], [(64, 512), (12, 64)])
    assert model.sample(2, seed=0).shape == (2, 1, 28, 28)
    with pytest.raises(UserError, match="width"):
        registry.create("infogan", (1, 28, 28), width=0)


def test_numbers():
    made = trainer("infogan")
    rates = {}
    for name, moved in made.players.items():
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert {group["betas"] for group in moved.optimizer.param_groups} == {(0.5, 0.999)}
        rates[name] = {group["lr"] for group in moved.optimizer.param_groups}
    assert rates == {"D": {2e-4}, "G": {1e-3}}
    assert made.model.batch_size == 128
    config = registry.create("infogan", (1, 28, 28)).config
    assert (config.noise_dim, config.num_categories, config.num_continuous) == (62, 10, 2)
    assert (config.information_weight, config.leak) == (1.0, 0.01)


def test_initial_weights_of_the_release():
    torch.manual_seed(0)
    model = registry.create("infogan", (1, 28, 28))
    for m in model.modules():
        if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert m.weight.std().item() == pytest.approx(0.02, rel=0.2)
    with torch.no_grad():
        assert (model.generate(32).abs() > 0.99).double().mean() < 0.02


# ---- learning --------------------------------------------------------------------------------------------------------


def category_loss(weight: float, seed: int, steps: int = 60) -> float:
    """What Q does not know of the category (nats) after some steps; with the term off Q is trained afterwards."""
    made = trainer(
        "infogan", (1, 8, 8), batch_size=32, total=steps, seed=seed, information_weight=weight, num_categories=4
    )
    for _ in made:
        pass
    model = made.model
    rule = torch.optim.Adam(model.Q.parameters(), lr=1e-3)
    for _ in range(steps):
        code = model.latent(64)
        loss = model.unread(model.D(model.generate(64, code).detach())[1], code)
        rule.zero_grad()
        loss.backward()
        rule.step()
    with torch.no_grad():
        code = model.latent(512)
        read = model.D(model.generate(512, code))[1]
        return F.cross_entropy(read[:, :4], code[:, NOISE : NOISE + 4]).item()


def test_the_information_term_is_what_makes_the_code_readable():
    """Nats of four categories that Q misses. Seeds 100-102: below 0.004 with the term, above 0.09 without (control)."""
    assert category_loss(1.0, seed=0) < 0.02
    assert category_loss(0.0, seed=0) > 0.04
