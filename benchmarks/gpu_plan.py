"""The plan of proofs at the size of a GPU, and the script that runs it.

    python benchmarks/gpu_plan.py                         all of it, one run after another; stopped, it goes on later
    python benchmarks/gpu_plan.py --only gan_saturation wgan_gp_digits --seeds 100-102
    python benchmarks/gpu_plan.py --page                  writes benchmarks/gpu_plan.md

No GPU has calibrated these thresholds yet: they are what we expect. Results are JSON files with a picture each, in
benchmarks/results/gpu/SEEDS. A claim, its control and its measure are those of `ganarium prove`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ganarium.errors import UserError
from ganarium.proofs.claim import Claim, at_least, at_most, between, load_claim, scale
from ganarium.proofs.prove import is_current, prove
from studies import RESULTS, seeds_of

PAGE = Path(__file__).with_suffix(".md")
PLAN = {
    "acgan_labels": scale("mnist", 20_000, size=28).requires(at_least(fidelity=0.97, accuracy=0.98, diversity=0.6)),
    "began_balance": scale("lfw64", 15_000, lambda_k=0.002).requires(at_most(off_gamma=0.1, m_left=0.6)),
    "bgan_discrete": scale("mnist_binarised", 30_000).requires(
        at_most(frechet_distance=30.0), at_least(rarest_class=0.05)
    ),
    "catgan_clusters": scale("mnist", 20_000, size=28).requires(at_least(accuracy=0.85, over="most")),
    "catgan_few_labels": scale("mnist", 20_000, size=28, semi_supervised=True).requires(
        at_least(accuracy=0.96), gain="accuracy"
    ),
    "cgan_labels": scale("mnist", 20_000, size=28, network="dcgan", dropout=0.1).requires(
        at_least(fidelity=0.97, diversity=0.6)
    ),
    "cgan_match": scale("mnist", 20_000, size=28, design="two_networks", network="dcgan").requires(at_least(area=0.98)),
    "cgan_perceptrons": scale("mnist", 40_000, size=28).requires(at_least(fidelity=0.9, diversity=0.6)),
    "cls_gan_labels": scale("mnist", 20_000, size=28).requires(at_least(fidelity=0.95, diversity=0.6)),
    "ct_gan_few_labels": scale("mnist", 180_000, size=28, semi_supervised=True).requires(
        at_least(accuracy=0.987), gain="accuracy"
    ),
    "ct_gan_overfitting": scale("mnist", 5000).requires(at_most(gap=0.3)),
    "cyclegan_cycle": scale("scenes_unpaired", 7000, size=64, batch_size=8, augment=False).requires(
        at_most(cycle_error=0.06, map_error=0.2)
    ),
    "dcgan_batch_norm": scale("fashion_mnist", 20_000, width=128, numbers={"labels": 1000}).requires(
        at_most(frechet_distance=5.0), at_least(coverage=0.5)
    ),
    "ebgan_margin": scale("fashion_mnist", 20_000).requires(at_most(frechet_distance=10.0), at_least(coverage=0.3)),
    "ebgan_pull_away": scale("fashion_mnist", 20_000, margin=0.0, pull_away_weight=0.1).requires(
        at_most(squared_cosine=0.25), at_least(coverage=0.05)
    ),
    "gan_colours": scale("mnist", 30_000, network="dcgan").requires(
        at_most(covariance_error=0.2, hue_error=0.15), at_least(cells=60)
    ),
    "gan_saturation": scale("mnist", 100_000, recipe="modern", num_discriminator_steps=2).requires(
        at_least(parzen_nats=150.0, rarest_class=0.05)
    ),
    "improved_gan_few_labels": scale("mnist", 180_000, size=28).requires(at_least(accuracy=0.987), gain="accuracy"),
    "infogan_codes": scale("mnist", 5000, size=28).requires(
        at_least(information=2.2), at_least(code_accuracy=0.75, over="most"), at_least(slant=0.8, lean=1.0)
    ),
    "pixelrnn_likelihood": scale(
        "mnist", 8000, batch_size=256, width=64, num_blocks=10, head=64, numbers={"images": 10_000}
    ).requires(between(nats=(75.0, 88.0))),
    "sgan_few_labels": scale("mnist", 20_000, size=28).requires(at_least(accuracy=0.9), gain="accuracy"),
    "triple_gan_few_labels": scale("mnist", 36_000, size=28).requires(
        at_least(accuracy=0.97, fidelity=0.95), gain="accuracy", level=("accuracy", "regularised", 0.01)
    ),
    "wgan_gp_digits": scale("mnist", 15_000).requires(
        between(gradient_norm=(0.9, 1.15)), at_most(frechet_distance=3.0), at_least(rarest_class=0.07)
    ),
}


def claim_of_plan(name: str) -> Claim:
    """A claim with its scale of the plan, `gpu`."""
    return replace(load_claim(name), gpu=PLAN[name])


def page() -> str:
    """gpu_plan.md."""
    lines = [
        "# The GPU plan",
        "",
        "The proofs at the sizes of the papers. `python benchmarks/gpu_plan.py` runs them one by one, and goes on",
        "where it was stopped. No GPU has calibrated the thresholds: they are what we expect.",
        "",
        "| claim | data | steps | options | thresholds expected |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, plan in PLAN.items():
        options = ", ".join(f"{key} {value}" for key, value in {**plan.settings, **plan.numbers}.items())
        held_to = [f"{value} {bound}" for value, bound in plan.held_to.items()]
        held_to += [f"a gain in {plan.gain} over the control"] if plan.gain else []
        held_to += ["level with {1} of the control in {0}, within {2}".format(*plan.level)] if plan.level else []
        lines.append(f"| {name} | {plan.data} | {plan.steps:,} | {options or 'defaults'} | {'; '.join(held_to)} |")
    return "\n".join([*lines, ""])


def run(names: list[str], seeds: str, out: Path, device: str) -> None:
    """Runs what has no result yet that belongs to the plan as it stands."""
    for name in names:
        claim, path = claim_of_plan(name), out / f"{name}-gpu.json"
        result = json.loads(path.read_text()) if path.exists() else {}
        if result and is_current(result, claim):
            continue
        command = f"python benchmarks/gpu_plan.py --only {name} --seeds {seeds}"
        print(f"{name}: {claim.text}", flush=True)
        try:
            result = prove(claim, "gpu", seeds=seeds_of(seeds), out=out, device=device, command=command)
        except UserError as error:
            print(f"  {error}", flush=True)
            continue
        print("  passed" if result["passed"] else "  not passed", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", default=list(PLAN), choices=list(PLAN), metavar="CLAIM")
    parser.add_argument("--seeds", default="100-102", help="100-102 to choose thresholds, 0-2 to judge by them")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--page", action="store_true", help="only write gpu_plan.md")
    arguments = parser.parse_args()
    if arguments.page:
        PAGE.write_text(page())
    else:
        run(arguments.only, arguments.seeds, RESULTS / "gpu" / arguments.seeds, arguments.device)


if __name__ == "__main__":
    main()
