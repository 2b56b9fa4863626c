"""`ganarium evaluate`: how good the samples of a run are, in numbers that say how they were measured."""

from ganarium.cli.output import output_folder
from ganarium.cli.parameters import Count, Whole
from ganarium.evaluation.result import save
from ganarium.runs.rows import read_rows


def evaluate(
    run: str,
    /,
    *,
    n: Count = None,
    seed: Whole = 0,
    features: str = "auto",
    raw: bool = False,
    device: str = "auto",
    data: str | None = None,
) -> int:
    """Measure how near the samples of a run are to its data.

    The numbers are printed and kept in RUN/evaluations.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints.
    n
        Number of samples. Default: 2000 images, 2500 points, or 26000 images for stacked_mnist.
    seed
        Chooses the samples, and the real images that they are compared with.
    features
        The network that compares images: mnist, fashion_mnist, glyphs or cifar10_subset (small classifiers that come
        with ganarium), lite0 (for photographs), inception, or auto: the one that suits the data.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    data
        Where the data of the run are now, if they have moved. They must be the same.
    """
    from ganarium import api
    from ganarium.doctor.memory import more_images
    from ganarium.runs.loading import config_of

    evaluation = api.evaluate(run, n=n, seed=seed, features=features, raw=raw, device=device, data=data)
    print(evaluation)
    name = f"evaluation-{evaluation.step:08d}-{evaluation.protocol.features}-seed{seed}{'-raw' if raw else ''}.json"
    folder = output_folder(run, None, "evaluations")
    looks = [row["apart"] for row in read_rows(folder.parent / "memory.jsonl") if row["step"] <= evaluation.step]
    shares = [value for metric, value in evaluation.values.items() if metric.split("/")[-1] == "copied_share"]
    config, draws = config_of(run), any(metric.split("/")[-1] == "coverage" for metric in evaluation.values)
    num_held_out = config.get("data", {}).get("test") if draws else None
    augment = config.get("model_options", {}).get("augment")
    if advice := more_images(looks[-1] if looks else None, max(shares, default=None), num_held_out, augment):
        print(f"  {advice}")
    print(f"  {save(evaluation, folder / name)}")
    return 0
