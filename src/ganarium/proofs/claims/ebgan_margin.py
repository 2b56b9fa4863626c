"""EBGAN: the margin gives fakes an energy of their own to fall from; without one G has nothing to learn."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="ebgan",
    text="D holds the energy of fakes at a margin above that of data, and this teaches G what data look like.",
    source="Zhao et al. 2016, section 2.1, equation 1",
    control="margin 0: D is a plain auto-encoder, and G seeks what it rebuilds best",
    measure="frechet_distance and coverage on a judge's features, 2,000 samples. Shown beside them: the shares of its "
    "rarest and commonest class",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits", "size": (16, 16)},
            steps=500,
            options={"width": 16, "pull_away_weight": 0.1, "num_measuring_steps": 300},
            bounds=(Bound(value="coverage", at_least=0.15),),
        ),
        "gpu": Scale(
            data="fashion_mnist",
            steps=20_000,
            bounds=(Bound(value="coverage", at_least=0.3), Bound(value="frechet_distance", at_most=10.0)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    model = trained(trial, "ebgan", train, options={"margin": 0.0} if trial.control else None)
    images = model.sample(2000, seed=trial.seed)
    return Measured(Reader(train, 2000, trial.seed, trial.device).read(images), images[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 2000, trial.seed, trial.device)
    things = {
        "held_out_images": drawn(test, 1000, trial.seed, trial.device),
        "mean_and_noise": mean_image_and_noise(train, 2000, trial.seed),
        "untrained": untrained(trial, "ebgan", train).sample(2000, seed=trial.seed),
    }
    return {name: reader.read(images) for name, images in things.items()}
