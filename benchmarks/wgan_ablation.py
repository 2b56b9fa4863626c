"""What linear layers, a sigmoid output and batch norm each do to WGAN and to WGAN-GP: one table and one picture.

    python benchmarks/wgan_ablation.py            about 20 minutes on two cores
    python benchmarks/wgan_ablation.py --device cuda --steps 20000

Both models have the same networks as their base: a DCGAN of 16 channels with batch norm in G and none in the critic,
MNIST at 16x16, and all else as published (WGAN: RMSProp, clipping, its schedule; WGAN-GP: Adam, its penalty), but for
the learning rate of WGAN: its own, 5e-5, has hardly left the noise after 2,000 updates. Each variant changes one thing.
Leaves benchmarks/results/wgan-ablation.jsonl, docs/wgan-ablation.md and its picture.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.networks.backbones import backbone
from ganarium.pictures import grid as pictures
from ganarium.players import Player
from ganarium.proofs import experiment
from ganarium.proofs.measures.samples import Reference
from ganarium.trainer import Trainer
from studies import RESULTS, Task, rows, run_all, seeds_of, spread

NAME = "wgan-ablation"
DOCS = Path(__file__).parents[1] / "docs"
SIZE, WIDTH, COUNT, SHOWN = (16, 16), 16, 5000, 10
MODELS: dict[str, dict[str, Any]] = {"wgan": {"lr": 5e-4}, "wgan_gp": {}}
BASE = {"generator_norm": True, "norm": "none"}
VARIANTS = {
    "base": "convolutions, a linear output, no normalisation in the critic",
    "linear layers": "three linear layers of 512 in both networks in place of convolutions",
    "sigmoid output": "a sigmoid behind the critic's score",
    "batch norm": "batch norm in the critic, reals and fakes apart where the model keeps them apart",
}


def make(name: str, variant: str, shape: tuple[int, ...]) -> Any:
    """The model, changed in one thing."""
    network = {"network": "mlp"} if variant == "linear layers" else {"network": "dcgan", "width": WIDTH}
    model: Any = registry.create(name, shape, None, **network, **BASE | MODELS[name])
    if variant == "sigmoid output":
        model.critic.register_forward_hook(lambda critic, images, score: score.sigmoid())
    elif variant == "batch norm":  # which WGAN-GP refuses to be made with
        words: Any = BASE | {"norm": "batch"}
        model.critic = backbone(name, "dcgan", shape, model.prior.dim, WIDTH, **words).discriminator
        model.players["D"] = Player(model.critic, optimizer=model.players["D"].optimizer)
    return model


def run(task: Task) -> dict[str, float]:
    """Trains one variant, and measures 5,000 samples by the judge of MNIST."""
    device = torch.device(task["device"])
    train, _ = load_data("mnist", size=SIZE)
    torch.manual_seed(task["seed"])
    model = make(task["model"], task["variant"], train.shape)
    batches = Batches(train, model.batch_type, 64, seed=task["seed"], device=device)
    trainer = Trainer(model, batches, task["steps"])
    trainer.prepare()
    for done in trainer:
        if done % 50 == 0:
            trainer.drain()
    samples = model.sample(COUNT, seed=task["seed"])
    if task["seed"] == 0:
        (RESULTS / NAME).mkdir(exist_ok=True)
        pictures.save_grid(samples[:SHOWN], picture(task), columns=SHOWN)
    values = Reference(train, experiment.draw(train, COUNT, 0).to(device)).compare(samples)
    return {key: values[key] for key in ("frechet_distance", "coverage", "rarest_class")}


def picture(task: Task) -> Path:
    return RESULTS / NAME / f"{task['model']}-{task['variant'].replace(' ', '-')}.png"


def page(results: list[dict[str, Any]]) -> str:
    """docs/wgan-ablation.md."""
    tasks = [row["task"] for row in results]
    steps, seeds = tasks[0]["steps"], sorted({task["seed"] for task in tasks})
    one = results[0]["environment"]
    lines = [
        "# What linear layers, a sigmoid and batch norm do to WGAN and WGAN-GP",
        "",
        f"Budget: {steps:,} updates of G, batches of 64, MNIST at 16x16, seeds {', '.join(map(str, seeds))}. Both "
        f"models have the same base, a DCGAN of {WIDTH} channels with batch norm in G and none in the critic. Each "
        "variant changes one thing. All else is as published, except for WGAN's learning rate of 5e-4: at its own, a "
        "tenth of that, it draws little more than noise after so many updates. We measure the Frechet distance on the "
        f"features of ganarium's MNIST judge ({COUNT:,} samples; lower is better), the coverage, and the share of the "
        "rarest of the ten digits (fair is a tenth).",
        "",
        f"`python benchmarks/wgan_ablation.py` on {one.get('gpu') or one['processor']}, torch "
        f"{one['versions']['torch'].split('+')[0]}. Cells are the lowest to the highest of the seeds.",
        "",
        "| model | variant | what it changes | Frechet distance | coverage | rarest class |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model in MODELS:
        for variant, words in VARIANTS.items():
            runs = [
                row["values"] for row in results if (row["task"]["model"], row["task"]["variant"]) == (model, variant)
            ]
            cells = [spread(run[key] for run in runs) for key in ("frechet_distance", "coverage", "rarest_class")]
            lines.append(f"| {model} | {variant} | {words} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![Ten samples of each variant, seed 0](images/wgan-ablation.png)", ""])


def draw(results: list[dict[str, Any]]) -> None:
    """docs/images/wgan-ablation.png: a row of samples for each model and variant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, model in zip(figure.subplots(len(VARIANTS), len(MODELS)).T, MODELS, strict=True):
        for axis, variant in zip(axes, VARIANTS, strict=True):
            task = {"model": model, "variant": variant}
            axis.imshow(Image.open(picture(task)), cmap="gray")
            axis.set_axis_off()
            own = [row["values"] for row in results if task.items() <= row["task"].items()]
            distance = spread(values["frechet_distance"] for values in own)
            axis.set_title(f"{model}, {variant}: Frechet distance {distance}", fontsize=8)
    figure.suptitle(f"{results[0]['task']['steps']:,} updates of G; ten samples of seed 0", fontsize=9)
    figure.savefig(DOCS / "images" / "wgan-ablation.png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    own = {"steps": arguments.steps, "device": arguments.device}
    tasks = [
        {"model": model, "variant": variant, "seed": seed} | own
        for seed in seeds_of(arguments.seeds)
        for model in MODELS
        for variant in VARIANTS
    ]
    run_all(NAME, tasks, run, arguments.device)
    results = [row for row in rows(NAME) if row["task"] in tasks]
    draw(results)
    (DOCS / "wgan-ablation.md").write_text(page(results))
    print(json.dumps({"page": "docs/wgan-ablation.md"}))


if __name__ == "__main__":
    main()
