"""InfoGAN: codes can be read from images and come to mean something, though no label was ever seen."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import decode
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, trained

CLAIM = Claim(
    model="infogan",
    text="Without labels, Q reads the category from G's image, which it cannot unless G is trained for it; of digits, "
    "at the larger scales, categories come to be the kinds.",
    source="Chen et al. 2016, section 7.2 and figure 2",
    control="lambda = 0, and a Q that is trained afterwards, for as many steps and on batches as large, on the "
    "finished G",
    measure="information: log K - E[-log Q(c | G(z, c))] in nats, 2,000 samples; code_accuracy: share of samples whose "
    "judged class is the commonest one of their category; matched_accuracy: the same, each class to one category; "
    "real_accuracy: that of Q's category of 5,000 held-out images; slant: the rank correlation of a continuous code, "
    "from -2 to 2 in 9 steps, with the slant of the images, on the average of 50 of a category, and its size on that "
    "of the categories; lean: by how much the slant changes on the way, averaged likewise, over the standard deviation "
    "of slants of training images; both of the continuous code whose lean is larger",
    paper="MNIST: 5 % error of the category read from real images, that is 0.95",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "017", "size": (16, 16)},
            steps=250,
            batch_size=32,
            options={"num_categories": 3, "num_continuous": 0},
            bounds=(Bound(value="information", at_least=0.55),),
        ),
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=5000,
            batch_size=64,
            options={"width": 32},
            bounds=(
                Bound(value="information", at_least=2.2),
                Bound(value="code_accuracy", at_least=0.75, over="most"),
                Bound(value="slant", at_least=0.8),
                Bound(value="lean", at_least=1.0),
            ),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=5000,
            bounds=(
                Bound(value="information", at_least=2.2),
                Bound(value="code_accuracy", at_least=0.75, over="most"),
                Bound(value="slant", at_least=0.8),
                Bound(value="lean", at_least=1.0),
            ),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    assert test.labels is not None
    model = trained(trial, "infogan", train, options={"information_weight": 0.0} if trial.control else None)
    if trial.control:
        train_reader(model, trial)
    K, start = model.config.num_categories, model.config.noise_dim
    torch.manual_seed(trial.seed)
    with torch.no_grad():
        code = model.latent(2000)
        images = model.generate(2000, code)
        category = code[:, start : start + K].argmax(1)
        missed = F.cross_entropy(model.D(images)[1][:, :K], category).item()
        held = torch.randperm(len(test), generator=torch.Generator().manual_seed(trial.seed))[:5000]
        read = model.D(decode(test.images[held]).to(trial.device))[1][:, :K].argmax(1).cpu()
    reader = Reader(train, 2000, trial.seed, trial.device)
    digit = reader.judge.head(reader.judge.features(images)).argmax(1)
    table = torch.stack([digit[category == c].bincount(minlength=reader.judge.num_classes) for c in range(K)])
    rows = model.sample(10 * K, seed=trial.seed, code=torch.arange(K).repeat_interleave(10)[:, None])
    values = {
        "information": math.log(K) - missed,
        "code_accuracy": (table.amax(1).sum() / table.sum()).item(),
        "matched_accuracy": metrics.clustering_accuracy(digit, category),
        "real_accuracy": metrics.clustering_accuracy(test.labels[held], read),
        "frechet_distance": reader.read(images)["frechet_distance"],
    }
    if model.config.num_continuous:
        usual = slant(drawn(train, 2000, trial.seed, trial.device)).std().item()
        found = [slant_by_code(model, place) for place in range(model.config.num_continuous)]
        values["slant"], lean = max(found, key=lambda pair: pair[1])
        values["lean"] = lean / usual
    return Measured(values, rows)


@torch.no_grad()
def slant_by_code(model: Any, place: int, each: int = 50) -> tuple[float, float]:
    """Of what G makes as a continuous code goes from -2 to 2: the rank correlation of code and slant, and the change of
    slant. Both are averaged over `each` images of a category, and then their sizes over the categories, since a code
    may lean one kind to the left and another to the right: nothing in the loss says that it means the same for all."""
    K, start = model.config.num_categories, model.config.noise_dim
    steps = torch.linspace(-2, 2, 9, device=model.device)
    code = model.latent(K * each)
    code[:, start : start + K] = torch.eye(K, device=model.device).repeat_interleave(each, 0)
    code = code.repeat_interleave(len(steps), 0)
    code[:, code.shape[1] - model.config.num_continuous + place] = steps.repeat(K * each)
    slants = slant(model.generate(len(code), code))
    rank = rank_correlation(slants.view(-1, len(steps))).view(K, each).mean(1)
    slants = slants.view(K, each, len(steps)).mean(1)
    return rank.abs().mean().item(), (slants[:, -1] - slants[:, 0]).abs().mean().item()


def rank_correlation(values: Tensor) -> Tensor:
    """(n, k) -> (n,): Spearman's, of every row with its places; 0 for a row of one value."""
    higher, same = (compare(values[:, :, None], values[:, None]).sum(2).double() for compare in (torch.gt, torch.eq))
    ranks = higher + (same - 1) / 2
    ranks = ranks - ranks.mean(1, keepdim=True)
    order = torch.arange(values.shape[1], device=values.device).double()
    order -= order.mean()
    return (ranks @ order) / (ranks.square().sum(1) * order.square().sum()).sqrt().clamp(min=1e-9)


def slant(images: Tensor) -> Tensor:
    """(n, c, h, w) in [-1, 1] -> (n,): columns by which the ink moves for a row, its covariance of row and column over
    its variance of rows."""
    ink = (images.double() + 1).sum(1)
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-9)
    height, width = ink.shape[1:]
    row = torch.arange(height, device=ink.device).double()[:, None]
    column = torch.arange(width, device=ink.device).double()
    from_row = row - (ink * row).sum((1, 2))[:, None, None]
    from_column = column - (ink * column).sum((1, 2))[:, None, None]
    spread = (ink * from_row.square()).sum((1, 2)).clamp(min=1e-9)
    return (ink * from_row * from_column).sum((1, 2)) / spread


def train_reader(model: Any, trial: Trial) -> None:
    """Q alone, on samples of the finished G, at five times the model's rate of 2e-4."""
    rule = torch.optim.Adam(model.Q.parameters(), lr=1e-3)
    size = trial.scale.batch_size or model.batch_size
    for _ in range(trial.scale.steps):
        code = model.latent(size)
        with torch.no_grad():
            images = model.generate(size, code)
            seen = model.trunk(images)
        loss = model.unread(model.Q(seen), code)
        rule.zero_grad()
        loss.backward()
        rule.step()


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    _, test = data_of(trial.scale)
    assert test.labels is not None
    counts = test.labels.bincount()
    return {"one_category_for_all": {"information": 0.0, "code_accuracy": (counts.max() / counts.sum()).item()}}
