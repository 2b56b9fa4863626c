"""GAN: with a well trained D the non-saturating loss still learns, where the saturating one stands still."""

from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.parzen import parzen
from ganzoo.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="gan",
    text="While D tells samples from data with ease, -log D(G(z)) still teaches G, and log(1 - D(G(z))) does not.",
    source="Goodfellow et al. 2014, section 3, the paragraph under algorithm 1",
    control="the minimax loss log(1 - D(G(z))), all else alike",
    measure="Frechet distance on a judge's features and the share of the judge's rarest class; parzen_nats: Parzen-"
    "window log-likelihood of 1,000 held-out images (10,000 samples, 28x28 in [0, 1], sigma chosen on 1,000 others)",
    paper="MNIST Parzen window: 225 +- 2 nats, trained for far longer",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits"},
            steps=800,
            batch_size=64,
            options={"recipe": "modern", "width": 256, "num_discriminator_steps": 2, "lr": 5e-4},
            numbers={"samples": 2000},
            bounds=(Bound(value="parzen_nats", at_least=-300.0),),
        ),
        "cpu": Scale(
            data="mnist",
            steps=2600,
            batch_size=64,
            options={"recipe": "modern", "width": 512, "num_discriminator_steps": 2, "lr": 5e-4},
            numbers={"samples": 5000},
            bounds=(Bound(value="parzen_nats", at_least=-30.0), Bound(value="frechet_distance", at_most=41.0)),
        ),
        "gpu": Scale(
            data="mnist",
            steps=100_000,
            options={"recipe": "modern", "num_discriminator_steps": 2},
            numbers={"samples": 10_000},
            bounds=(Bound(value="parzen_nats", at_least=150.0), Bound(value="rarest_class", at_least=0.05)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    loss = "minimax" if trial.control else "non_saturating"
    model = trained(trial, "gan", train, options={"loss": loss})
    count = trial.scale.numbers["samples"]
    images = model.sample(max(count, 10_000), seed=trial.seed)
    values = Reader(train, count, trial.seed, trial.device).read(images[:count])
    return Measured(values | {"parzen_nats": parzen(images[:10_000], test, trial.seed)}, images[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    count = trial.scale.numbers["samples"]
    reader = Reader(train, count, trial.seed, trial.device)
    start = untrained(trial, "gan", train).sample(10_000, seed=trial.seed)
    real = drawn(test, min(count, len(test)), trial.seed, trial.device)
    blank = mean_image_and_noise(train, 10_000, trial.seed)
    return {
        "real_images": reader.read(real) | {"parzen_nats": parzen(drawn(train, 10_000, 1, trial.device), test, 1)},
        "mean_and_noise": reader.read(blank[:count]) | {"parzen_nats": parzen(blank, test, trial.seed)},
        "untrained": reader.read(start[:count]) | {"parzen_nats": parzen(start, test, trial.seed)},
    }
