"""InfoGAN: the category of the code means a digit, though no label was ever seen."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from ganzoo import metrics
from ganzoo.data.batches import decode
from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.training import Reader, data_of, trained

CLAIM = Claim(
    model="infogan",
    text="Q reads the category from the image, and each category is one kind of digit, without labels.",
    source="Chen et al. 2016, section 7.2 and figure 2",
    control="lambda = 0, and a Q that is trained afterwards on the finished G",
    measure="information: log K - E[-log Q(c | G(z, c))] in nats, 2,000 samples; code_accuracy: share of samples whose "
    "judged digit is the commonest one of their category; real_accuracy: Q's category of 5,000 held-out images, up to "
    "the best renaming",
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
            data_options={"size": (28, 28)},
            steps=400,
            batch_size=64,
            bounds=(
                Bound(value="information", at_least=1.5),
                Bound(value="code_accuracy", at_least=0.45, over="most"),
            ),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=5000,
            bounds=(
                Bound(value="information", at_least=2.2),
                Bound(value="code_accuracy", at_least=0.75, over="most"),
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
    return Measured(
        {
            "information": math.log(K) - missed,
            "code_accuracy": (table.amax(1).sum() / table.sum()).item(),
            "real_accuracy": metrics.clustering_accuracy(test.labels[held], read),
            "frechet_distance": reader.read(images)["frechet_distance"],
        },
        rows,
    )


def train_reader(model: Any, trial: Trial) -> None:
    """Q alone, on samples of the finished G: half as many steps as the model had, at five times its rate of 2e-4."""
    rule = torch.optim.Adam(model.Q.parameters(), lr=1e-3)
    for _ in range(trial.scale.steps // 2):
        code = model.latent(64)
        with torch.no_grad():
            images = model.generate(64, code)
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
