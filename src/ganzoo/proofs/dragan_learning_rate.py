"""DRAGAN: the penalty keeps training on its way at ten times the usual learning rate, where a GAN without is lost."""

from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.points import without_terms
from ganzoo.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="dragan",
    text="At ten times its learning rate, with the released networks, G still draws every class.",
    source="Kodali et al. 2017, section 3: fewer collapses over many settings",
    control="no penalty: the non-saturating GAN",
    measure="rarest_class: share of the rarest of a judge's classes; frechet_distance on its features; 5,000 samples",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=8000,
            options={"lr": 1e-3},
            bounds=(Bound(value="rarest_class", at_least=0.03), Bound(value="frechet_distance", at_most=60.0)),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=60_000,
            options={"lr": 1e-3},
            bounds=(Bound(value="rarest_class", at_least=0.03), Bound(value="frechet_distance", at_most=60.0)),
        ),
    },
)
NO_PENALTY = without_terms("D", lambda term: term != "penalty")


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    samples = trained(trial, "dragan", train, alter=NO_PENALTY if trial.control else None).sample(5000, seed=trial.seed)
    return Measured(Reader(train, 5000, trial.seed, trial.device).read(samples), samples[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 5000, trial.seed, trial.device)
    things = {
        "held_out_images": drawn(test, 5000, trial.seed, trial.device),
        "mean_and_noise": mean_image_and_noise(train, 5000, trial.seed),
        "untrained": untrained(trial, "dragan", train).sample(5000, seed=trial.seed),
    }
    return {name: reader.read(images) for name, images in things.items()}
