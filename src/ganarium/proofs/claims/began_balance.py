"""BEGAN: the control variable holds the two losses at the ratio gamma, and the convergence measure falls."""

from statistics import mean

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, training, untrained

CLAIM = Claim(
    model="began",
    text="k holds E[L(G(z))] / E[L(x)] at gamma, while the convergence measure M falls.",
    source="Berthelot et al. 2017, sections 3.3 to 3.4",
    control="k held at 0, where it starts: D is a plain auto-encoder",
    measure="off_gamma: |mean L(G(z)) / mean L(x) / gamma - 1| over the last half of the steps, which holds several "
    "swings of k's control loop; m_left: the mean of M there over its mean over the first 50. Shown beside them: "
    "Frechet distance on a judge's features, 2,000 samples",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits", "size": (16, 16)},
            steps=1000,
            batch_size=8,
            options={"width": 8, "latent_dim": 16, "lr": 1e-3, "lambda_k": 0.05},
            bounds=(Bound(value="off_gamma", at_most=0.35), Bound(value="m_left", at_most=0.6)),
        ),
        "cpu": Scale(
            data="lfw64",
            data_options={"size": (32, 32)},
            steps=1600,
            options={"width": 16, "lr": 5e-4, "lambda_k": 0.01},
            bounds=(Bound(value="off_gamma", at_most=0.2), Bound(value="m_left", at_most=0.6)),
        ),
        "gpu": Scale(
            data="lfw64",
            steps=15_000,
            options={"lambda_k": 0.002},
            bounds=(Bound(value="off_gamma", at_most=0.1), Bound(value="m_left", at_most=0.6)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    rows: list[dict[str, float]] = []
    for made, terms in training(trial, "began", train, options={"lambda_k": 1e-12} if trial.control else None):
        rows += terms
        model = made
    last, start = rows[len(rows) // 2 :], rows[:50]
    ratio = mean(row["G/reconstruction"] for row in last) / mean(row["D/real"] for row in last)
    images = model.sample(2000, seed=trial.seed)
    return Measured(
        {
            "off_gamma": abs(ratio / model.config.gamma - 1),
            "m_left": mean(row["G/convergence"] for row in last) / mean(row["G/convergence"] for row in start),
            "ratio": ratio,
            "k": model.k.item(),
            "frechet_distance": Reader(train, 2000, trial.seed, trial.device).read(images)["frechet_distance"],
        },
        images[:64],
    )


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 2000, trial.seed, trial.device)
    things = {
        "held_out_images": drawn(test, 2000, trial.seed, trial.device),
        "mean_and_noise": mean_image_and_noise(train, 2000, trial.seed),
        "untrained": untrained(trial, "began", train).sample(2000, seed=trial.seed),
    }
    return {name: {"frechet_distance": reader.read(images)["frechet_distance"]} for name, images in things.items()}
