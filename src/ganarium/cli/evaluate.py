"""`ganarium evaluate`: how good the samples of a run are, in numbers that say how they were measured."""

from ganarium.cli.output import output_folder
from ganarium.cli.parameters import Count, Whole
from ganarium.evaluation.result import save


def evaluate(
    run: str,
    /,
    *,
    n: Count = None,
    seed: Whole = 0,
    features: str = "auto",
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Measure the samples of a run (or one checkpoint) against its data; kept as evaluation-STEP.json in the run.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    n
        How many samples. Default: 2000; 2500 points; 26000 of stacked_mnist.
    seed
        Of the samples and of the real images they are compared with.
    features
        A judge (mnist, fashion_mnist, glyphs, cifar10_subset), inception, or auto: the data set's judge.
    raw
        Use the weights themselves where the model keeps averages.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium import api

    evaluation = api.evaluate(run, n=n, seed=seed, features=features, raw=raw, device=device)
    print(evaluation)
    name = f"evaluation-{evaluation.step:08d}-{evaluation.protocol.features}-seed{seed}{'-raw' if raw else ''}.json"
    print(f"  {save(evaluation, output_folder(run, None, 'evaluations') / name)}")
    return 0
