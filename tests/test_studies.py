"""The studies in benchmarks/: runs are kept and not done twice, and no winner is named where ranges overlap."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import few_labels
import gpu_plan
import objectives
import own_photos
import stop_now
import studies
import synthetic_images
import wgan_ablation
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.proofs.claim import Scale, at_least, load_claim
from ganarium.proofs.experiment import Measure, Measured
from ganarium.trainer import Trainer
from ganarium.training.outlook import COEFFICIENTS

ENVIRONMENT = {"processor": "a processor", "versions": {"torch": "2.9.0+cpu"}}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "RESULTS", tmp_path)
    return tmp_path


def test_runs_that_are_done_are_not_done_again(results, capsys):
    asked = []

    def run(task):
        asked.append(task["seed"])
        if task["seed"] == 2:
            raise KeyboardInterrupt
        return {"value": float(task["seed"])}

    tasks = [{"seed": seed} for seed in range(4)]
    with pytest.raises(KeyboardInterrupt):
        studies.run_all("made_up", tasks, run, "meta")
    assert [row["values"]["value"] for row in studies.rows("made_up")] == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        studies.run_all("made_up", tasks, run, "meta")
    assert asked == [0, 1, 2, 2]
    assert "1/4  0: value 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("runs", "more", "best", "rivals"),
    [
        ({"a": [1, 2, 3], "b": [4, 5, 6]}, True, ["b"], []),
        ({"a": [1, 2, 3], "b": [4, 5, 6]}, False, ["a"], []),
        ({"a": [1, 2, 4], "b": [4, 5, 6]}, True, ["b"], ["a"]),  # one value in common is enough
        ({"a": [0, 5, 9], "b": [4, 4, 4], "c": [10, 1, 2]}, True, ["a"], ["b", "c"]),  # the median, not the best run
        ({"a": [7, 8, 8], "b": [1, 2, 3], "c": [8, 8, 8]}, True, ["a", "c"], []),  # a tie
    ],
)
def test_no_winner_where_ranges_overlap(runs, more, best, rivals):
    assert objectives.winners(runs, more) == (best, rivals)


def rows_of(values):
    """Made-up runs of two objectives: {objective: Frechet distances of three seeds}."""
    return [
        {
            "task": {
                "objective": name,
                "data": "mnist",
                "seed": seed,
                "minutes": 3.0,
                "device": "cpu",
                "network": "mlp",
            },
            "values": {"steps": 100.0, "frechet_distance": distance, "coverage": 0.5, "rarest_class": 0.1},
            "environment": ENVIRONMENT,
        }
        for name, distances in values.items()
        for seed, distance in enumerate(distances)
    ]


def test_page_of_the_objectives():
    text = objectives.page(rows_of({"GAN": [3.0, 4.0, 5.0], "LSGAN": [1.0, 1.5, 2.0]}))
    assert "## mnist, 3 minutes of one core of a processor a run" in text  # the budget is in the title
    assert "| GAN | 100 | 3 to 5 | 0.5 | 0.1 |" in text
    assert "- Frechet distance: LSGAN, whose range overlaps with no other." in text
    assert "- coverage: no winner: GAN; LSGAN share the best median." in text
    assert "ring" not in text
    text = objectives.page(rows_of({"GAN": [3.0, 4.0, 5.0], "LSGAN": [1.0, 1.5, 3.0]}))
    assert "no winner: LSGAN has the best median, and its range overlaps with those of GAN." in text


def test_objectives_that_ran_on_another_machine_are_shown_and_not_compared():
    runs = rows_of({"GAN": [3.0, 4.0, 5.0], "LSGAN": [1.0, 1.5, 3.0]})
    runs[-1]["environment"] = ENVIRONMENT | {"processor": "another"}
    text = objectives.page(runs)
    assert "| LSGAN (on one core of another) | 100 | 1 to 3 |" in text
    assert "| GAN | 100 |" in text
    assert "- Frechet distance: GAN, whose range overlaps with no other." in text


def test_every_objective_can_be_made_on_the_common_networks():
    for name, options in objectives.OBJECTIVES.values():
        for shape, common in (
            *[((1, 16, 16), images) for images in objectives.IMAGES.values()],
            ((2,), objectives.POINTS),
        ):
            made = registry.create(name, shape, None, **{**common, "width": 4}, **options)
            assert len(made.players) == 2


@pytest.mark.parametrize("variant", wgan_ablation.VARIANTS)
@pytest.mark.parametrize("name", wgan_ablation.MODELS)
def test_a_variant_of_the_ablation_changes_its_one_thing_and_trains(name, variant, monkeypatch):
    short = {"wgan": {"num_long_critic_steps": 1}}.get(name, {})
    monkeypatch.setitem(wgan_ablation.MODELS, name, wgan_ablation.MODELS[name] | short | {"num_critic_steps": 1})
    images = torch.randint(0, 256, (16, 16, 16, 1), dtype=torch.uint8)
    data = Dataset(name="random", images=images)
    model = wgan_ablation.make(name, variant, data.shape)
    layers = list(model.critic.modules())
    assert any(isinstance(layer, nn.Conv2d) for layer in layers) == (variant != "linear layers")
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in layers) == (variant == "batch norm")
    before = [weight.detach().clone() for weight in model.critic.parameters()]
    for _ in Trainer(model, Batches(data, model.batch_type, 8), 1):
        pass
    moved = [not weight.equal(old) for weight, old in zip(model.critic.parameters(), before, strict=True)]
    assert sum(moved) >= len(moved) - 1  # WGAN's last bias has a gradient of 0
    far = model.critic(1e6 * torch.randn(64, *data.shape))
    assert (far.min() >= 0 and far.max() <= 1) == (variant == "sigmoid output")


def test_page_of_the_ablation():
    actual = [
        {
            "task": {"model": model, "variant": variant, "seed": seed, "steps": 400, "device": "cpu"},
            "values": {"frechet_distance": 10.0 + seed, "coverage": 0.25, "rarest_class": 0.01},
            "environment": ENVIRONMENT,
        }
        for model in wgan_ablation.MODELS
        for variant in wgan_ablation.VARIANTS
        for seed in range(3)
    ]
    text = wgan_ablation.page(actual)
    assert text.count("| 10 to 12 | 0.25 | 0.01 |") == 8
    assert "Budget: 400 updates of G" in text


def test_page_of_few_labels():
    actual = [
        {
            "task": {
                "model": "sgan",
                "labels_per_class": count,
                "alone": alone,
                "seed": seed,
                "steps": 1000,
                "scale": "cpu",
            },
            "values": {"accuracy": 0.9 - 0.1 * alone - 0.01 * seed},
            "environment": ENVIRONMENT,
        }
        for count in (10, 100)
        for alone in (False, True)
        for seed in range(3)
    ]
    lines = few_labels.page(actual).splitlines()
    assert "| model | budget | learns from | 10 labels | 100 labels | 1,000 labels |" in lines
    assert "| sgan | 1,000 steps at 28x28 | all images |  | 10 to 12 | 10 to 12 |" in lines
    assert "| sgan | 1,000 steps at 28x28 | the labelled images |  | 20 to 22 | 20 to 22 |" in lines
    assert "With the same labels, all images made for fewer errors in 6 of 6 pairs of runs." in lines
    actual[0]["values"] = {"accuracy": 0.5}
    assert "fewer errors in 5 of 6 pairs" in few_labels.page(actual[::-1])  # pairs are those of a seed


def test_runs_of_the_proofs_are_taken_once_and_each_by_its_own_seed(results, monkeypatch):
    monkeypatch.setattr(few_labels, "RESULTS", results)
    (results / "proofs").mkdir()
    proof = {
        "seeds": [1, 2],
        "values": [{"accuracy": 0.91}, {"accuracy": 0.92}],
        "control": [{"accuracy": 0.81}, {"accuracy": 0.82}],
        "environment": ENVIRONMENT,
    }
    path = results / "proofs" / "sgan_few_labels-cpu.json"
    tasks = [
        {"model": model, "labels_per_class": count, "alone": alone, "seed": seed, "scale": "cpu"}
        for model in ("sgan", "catgan")
        for count in (1, 10)
        for alone in (False, True)
        for seed in range(3)
    ]
    claim = load_claim("sgan_few_labels")
    other = replace(claim, cpu=replace(claim.cpu, steps=claim.cpu.steps + 1))  # the control: a proof of another budget
    for made, count in ((other, 0), (claim, 4), (claim, 4)):
        path.write_text(json.dumps(proof | {"digest": made.digest("cpu")}))
        few_labels.take_proven(tasks)
        assert len(studies.rows(few_labels.NAME)) == count
    taken = [(row["task"], row["values"]["accuracy"]) for row in studies.rows(few_labels.NAME)]
    own = {"model": "sgan", "labels_per_class": 10, "scale": "cpu"}
    assert taken == [
        (own | {"alone": alone, "seed": seed}, pytest.approx(0.9 + 0.01 * seed - 0.1 * alone))
        for seed in (1, 2)
        for alone in (False, True)
    ]


@pytest.mark.parametrize(
    "study", [few_labels, objectives, own_photos, synthetic_images, wgan_ablation], ids=lambda study: study.NAME
)
def test_committed_pages_are_those_of_the_committed_runs(study):
    path = Path(study.__file__).parents[1] / "docs" / f"{study.NAME}.md"
    if not path.exists():
        pytest.skip(f"{study.NAME} has no committed page yet")
    kept = Path(study.__file__).parent / "results" / f"{study.NAME}.jsonl"
    assert path.read_text() == study.page([json.loads(line) for line in kept.read_text().splitlines()])


def photo_row(contender, imagenet, own, seed=0, count=100, **task):
    """A run of own_photos.py, with evaluations that end at 4.0, or at twice that for seed 1."""
    task = {"contender": contender, "set": "faces", "count": count, "seed": seed, "steps": 1000} | task
    values = {"frechet lite": imagenet, "frechet cifar10_subset": own}
    values |= {f"{name}, held out": 0.5 for name in values}
    values |= {"metric": "kernel_distance" if count else "frechet_distance"}
    values["evaluations"] = [[500, 6.0], [1000, 4.0 * (1 + (seed == 1))]]
    return {"task": {"minutes": 5.0, "device": "cpu"} | task, "values": values, "environment": ENVIRONMENT}


def test_page_of_own_photos():
    """A model is called better only where both judges put it far below the baseline, over the seeds of each."""
    row = photo_row
    actual = [row("dcgan", 100, 2.0), row("sngan", 69, 1.3), row("fastgan", 71, 0.2), row("stylegan2", 10, 1.39)]
    actual += [row("projected_gan", value, 1.5, seed) for seed, value in enumerate((12, 10, 500))]
    actual.append(row("sngan", 20, 1.0, count=None))
    page = own_photos.page(actual)
    lines = page.splitlines()
    models = [line.split(" | ")[0] for line in lines[lines.index("## Faces, 100 photos, 5 minutes of one core") :]]
    headed = ["| model", "| ---"]
    few = ["| stylegan2", "| projected_gan", "| sngan", "| fastgan", "| dcgan"]
    assert [name for name in models if name.startswith("| ")] == [
        *(*headed, *few, "| *photos that no model saw*"),
        *(*headed, "| sngan", "| *photos that no model saw*"),
    ]
    assert "| projected_gan | 1,000 | 3 | 10 to 500 | 1.50 |" in lines
    better = "At least 30 % below `dcgan` by both judges: `sngan`, `stylegan2`."
    assert f"{better} By one judge alone: `fastgan`, `projected_gan`. Ahead of" in page
    assert "dcgan has not been run here, so nothing is said of the others." in lines
    assert "It is reached, of 1 table below: `sngan` on faces (100); `stylegan2` on faces (100)." in page
    assert "| fastgan | `width=16` | 8 |" in lines
    assert "getting nearer when time was up: `dcgan` in 1 of 1, `fastgan` in 1 of 1, `projected_gan` in 2 of 3," in page


def test_page_of_own_photos_names_who_is_ahead_of_the_default():
    row = photo_row
    fastgan = [row("fastgan", imagenet, own, seed) for seed, (imagenet, own) in enumerate(((70, 2.0), (80, 3.0)))]
    page = own_photos.page([*fastgan, row("dcgan", 90, 1.0), row("sngan", 72, 4.0), row("projected_gan", 10, 5.0)])
    told = "by lite `projected_gan`, `sngan` (ranges overlap: `sngan`); by cifar10_subset `dcgan`; by both none."
    assert f"Ahead of the default, `fastgan`: {told}" in page
    assert "by the features of ImageNet, of 1 table: `projected_gan` on faces (100); `sngan` on faces (100)." in page
    assert "By both judges at once a model is ahead of it in none of 1." in page
    page = own_photos.page([*fastgan, row("dcgan", 60, 1.0)])
    assert "by both `dcgan`." in page
    assert "By both judges at once a model is ahead of it in 1 of 1." in page


def test_own_photos_on_two_machines_keep_pages_and_pictures_apart(tmp_path, monkeypatch, capsys):
    (tmp_path / "images").mkdir()
    monkeypatch.setattr(own_photos, "DOCS", tmp_path)
    monkeypatch.setattr(own_photos, "RUNS", tmp_path)
    gpu = [photo_row(name, 50, 1.0, device="cuda", minutes=30.0) for name in ("fastgan", "r3gan", "projected_gan")]
    for row in gpu:
        row["environment"] = ENVIRONMENT | {"gpu": "a GPU of that name"}
        del row["values"]["frechet lite, held out"]
    actual = [photo_row("fastgan", 70, 2.0), *gpu]
    grid = own_photos.grid_of(actual[0]["task"])
    Image.new("RGB", (530, 66), "red").save(grid)
    kept = tmp_path / "images" / "own-photos-faces-100-cuda-30min.jpg"
    kept.write_bytes(b"committed")
    own_photos.draw(actual)
    assert kept.read_bytes() == b"committed"
    assert (
        "own-photos-faces-100-cuda-30min.jpg is not drawn: fastgan-faces-100-0-1000-cuda.png" in capsys.readouterr().out
    )
    page = own_photos.page(actual)
    for name in ("100-cpu-5min.jpg", "100-cuda-30min.jpg", "cpu-5min-curves.png", "cuda-30min-curves.png"):
        assert f"(images/own-photos-faces-{name})" in page
        assert (tmp_path / "images" / f"own-photos-faces-{name}").exists()
    assert "on one core (a processor) and a GPU (a GPU of that name)" in page
    assert "## Faces, 100 photos, 30 minutes of a GPU" in page
    assert "| *photos that no model saw* | | | too few | 0.50 |" in page
    panels = own_photos.curve_panels([gpu])
    assert [(title, [row["task"]["contender"] for row in runs]) for title, _, runs in panels] == [
        ("100 photos, judged by lite", ["fastgan", "r3gan"]),
        ("100 photos, judged by cifar10_subset", ["projected_gan"]),
    ]


def test_own_photos_takes_the_sets_that_are_here(tmp_path, monkeypatch):
    monkeypatch.setattr(own_photos, "SETS", {name: tmp_path / name for name in own_photos.SETS})
    for name in ("faces", "zebras"):
        (tmp_path / name).mkdir()
    assert own_photos.sets_here(None, "cpu") == ["faces"]
    assert own_photos.sets_here(None, "cuda") == ["faces", "zebras"]
    with pytest.raises(SystemExit, match="flowers is not here: set GANARIUM_DATA"):
        own_photos.sets_here(["faces", "flowers"], "cuda")


def test_synthetic_images_of_few(monkeypatch):
    """A classifier of few images has them alone, and its accuracy is that on the test images."""
    images = torch.zeros(60, 16, 16, 1, dtype=torch.uint8)
    labels = torch.arange(60) % 10
    for k in range(10):
        images[labels == k, k : k + 4] = 255
    data = Dataset("stripes", images, labels, tuple("abcdefghij"))
    twenty = synthetic_images.few_of(data, 2, 0)
    assert len(twenty) == 20
    assert torch.equal(twenty.labels.bincount(), torch.full((10,), 2))
    monkeypatch.setattr(synthetic_images, "STEPS", 60)
    assert synthetic_images.accuracy(twenty, data, None, False, 0) > 0.9
    mislabelled = decode(twenty.images), (twenty.labels + 1) % 10
    assert synthetic_images.accuracy(twenty, data, mislabelled, True, 0) < 0.9, "half of each batch is wrong"
    monkeypatch.setattr(synthetic_images, "GAN_STEPS", 2)
    monkeypatch.setattr(synthetic_images, "GAN_BATCH", 10)
    monkeypatch.setattr(synthetic_images, "SAMPLES", 3)
    made, asked = synthetic_images.samples(twenty, 0)
    assert made.shape == (30, 1, 16, 16)
    assert torch.equal(asked.bincount(), torch.full((10,), 3))
    assert synthetic_images.gain([{"a": 0.5, "b": 0.4}, {"a": 0.5, "b": 0.52}], "a", "b") == "+4.0 (1 of 2)"


def test_page_of_the_plan_for_a_gpu():
    assert gpu_plan.PAGE.read_text() == gpu_plan.page(), "run `python benchmarks/gpu_plan.py --page`"
    for name, scale in gpu_plan.PLAN.items():
        claim = gpu_plan.claim_of_plan(name)
        assert claim.scales["gpu"] == scale
        registry.make_config(claim.model, scale.options)


def test_the_plan_for_a_gpu_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    scale = Scale("ring", 2, {"width": 4, "batch_size": 8}).requires(at_least(modes=9))
    monkeypatch.setattr(gpu_plan, "PLAN", {"lsgan_modes": scale, "wgan_gp_modes": replace(scale, steps=3)})
    monkeypatch.setattr(gpu_plan, "load_claim", lambda name: replace(load_claim(name), measure=Quick()))
    Quick.count = 0
    for _ in range(2):
        gpu_plan.run(["lsgan_modes", "wgan_gp_modes"], "5-6", tmp_path, "cpu")
        assert Quick.count == 2 * 4
    assert capsys.readouterr().out.count("  not passed") == 2
    result = json.loads((tmp_path / "lsgan_modes-gpu.json").read_text())
    assert result["command"] == "python benchmarks/gpu_plan.py --only lsgan_modes --seeds 5-6"
    assert (result["seeds"], len(result["values"]), len(result["control"])) == ([5, 6], 2, 2)
    gpu_plan.PLAN["lsgan_modes"] = replace(scale, steps=4)  # a plan that has changed is run again
    gpu_plan.run(["lsgan_modes"], "5-6", tmp_path, "cpu")
    assert Quick.count == 3 * 4


class Quick(Measure):
    """modes: none."""

    count = 0

    def __call__(self, experiment):
        Quick.count += 1
        return Measured({"modes": 0.0})

    def baselines(self, experiment):
        return {}


def test_the_chance_of_an_improvement_is_fitted_to_the_runs_that_are_kept() -> None:
    runs = stop_now.kept_runs()
    assert pytest.approx(stop_now.coefficients(runs), rel=0.02, abs=0.01) == COEFFICIENTS
    answers = stop_now.asked_unseen(runs)
    right, improved = sum(said == came for said, came in answers), sum(came for _, came in answers)
    assert right >= 0.8 * len(runs), "of runs that the fit never saw"
    assert right > max(improved, len(runs) - improved), "more often than one answer for all"


def test_runs_on_photographs_judge_the_chance_until_it_is_fitted_to_them(results, capsys) -> None:
    for seed, times in ((0, 12), (1, 12), (2, 6)):
        values = {"metric": "frechet_distance", "evaluations": [[step, 1.0 + seed / step] for step in range(1, times)]}
        task = {"contender": "dcgan", "set": "faces", "count": None, "seed": seed}
        studies.keep(stop_now.PHOTOS, task, values | {"frechet lite0": 3.0}, ENVIRONMENT)
    assert [row["task"]["seed"] for row in stop_now.new_photos()] == [0, 1], "six evaluations are too few"
    stop_now.take()
    stop_now.take()
    kept = stop_now.kept_runs()
    assert [row["values"].keys() for row in kept] == [{"metric", "evaluations"}] * 2
    assert stop_now.new_photos() == []
    stop_now.fit()
    said = capsys.readouterr().out
    assert "2 runs of these on photographs: right in 0; 1 improved" in said
    assert "wrong: dcgan on faces all seed 1" in said


def test_a_run_is_asked_up_to_its_middle_and_answered_by_what_came() -> None:
    fell = [[step, 100.0 / step] for step in range(1, 21)]
    signs, answers, middle = stop_now.examples(fell)
    assert len(signs) == 6, "from the fifth evaluation to the tenth"
    assert answers.all()
    assert middle.tolist() == [False] * 5 + [True]
    rests = [[step, 1.0 + 0.001 * step] for step in range(1, 21)]
    assert not stop_now.examples(rests)[1].any()
    assert len(stop_now.examples(fell[:8])[1]) == 0, "too short to be asked"
