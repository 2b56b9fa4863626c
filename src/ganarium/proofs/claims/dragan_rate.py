"""DRAGAN: with D's slope held around the data G learns at a rate at which the same networks fail as a GAN."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import without_terms
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="dragan",
    text="At ten times the released rate, perceptrons learn to draw digits if D's slope is held low around the data.",
    source="Kodali et al. 2017: stable where the same networks are not with the losses of GAN alone",
    control="the same networks at the same rate without the penalty, that is GAN",
    measure="frechet_distance and coverage on a judge's features, 2,000 samples. Shown beside them: the shares of its "
    "rarest and commonest class; as a baseline, the paper's slope of 1",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=3000,
            options={"network": "mlp", "width": 256, "lr": 1e-3, "slope": 0.1},
            bounds=(Bound(value="coverage", at_least=0.03), Bound(value="frechet_distance", at_most=45.0)),
        ),
    },
)
WITHOUT_PENALTY = without_terms("D", lambda term: term != "penalty")


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    model = trained(trial, "dragan", train, alter=WITHOUT_PENALTY if trial.control else None)
    images = model.sample(2000, seed=trial.seed)
    return Measured(Reader(train, 2000, trial.seed, trial.device).read(images), images[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 2000, trial.seed, trial.device)
    things = {
        "held_out_images": drawn(test, 2000, trial.seed, trial.device),
        "mean_and_noise": mean_image_and_noise(train, 2000, trial.seed),
        "untrained": untrained(trial, "dragan", train).sample(2000, seed=trial.seed),
        "slope_of_1": trained(trial, "dragan", train, options={"slope": 1.0}).sample(2000, seed=trial.seed),
    }
    return {name: reader.read(images) for name, images in things.items()}
