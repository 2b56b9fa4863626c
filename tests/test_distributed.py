"""Two gloo processes against one process that averages the gradients of the same two batches under the same draws."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ganarium
from ganarium.data.batches import Batches
from ganarium.runtime import distributed
from ganarium.trainer import Trainer
from synthetic import dataset, small_options

STEPS = 3
# Under two processes and in one, in float64: biases before an instance norm have no true gradient, and Adam turns
# float32's rounding noise in their place into moves of the learning rate's size.
MODELS = ["wgan_gp", "began", "cyclegan"]


def build(name, rank, world):
    torch.manual_seed(3)
    model = ganarium.create(name, (1, 16, 16), None, **small_options(name))
    data = dataset(model, (1, 16, 16))
    batches = Batches(data, model.batch_type, 2, seed=3, dtype=torch.float64, rank=rank, world=world)
    return Trainer(model, batches, STEPS, precision="fp64")


def run_rank(folder):
    """What each process of the tests runs: every model, one after another."""
    torch.set_num_threads(1)
    rank, world = distributed.start(torch.device("cpu"))
    for name in MODELS:
        made = build(name, rank, world)
        made.prepare()
        torch.manual_seed(100 + rank)
        for _ in made:
            pass
        terms = made.drain().rows
        torch.save({"state": made.model.state_dict(), "terms": terms}, Path(folder) / f"{name}-{rank}.pt")
    distributed.wait()
    distributed.stop()
    distributed.leave(0)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder with what each of two processes has after its steps of each model."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"import sys; sys.path[:0] = {sys.path!r}\n"
    code += f"from test_distributed import run_rank; run_rank({str(folder)!r})"
    processes = []
    for rank in (0, 1):
        here = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "PATH": ""}
        processes.append(subprocess.Popen([sys.executable, "-c", code], env=here | where))
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    return folder


def reference(name):
    """One process, two replicas with batches and draws of their own; gradients and buffers are averaged."""
    replicas = [build(name, rank, 2) for rank in (0, 1)]
    for made in replicas:
        made.prepare()
    replicas[1].model.load_state_dict(replicas[0].model.state_dict())
    draws = []
    for rank in (0, 1):
        torch.manual_seed(100 + rank)
        draws.append(torch.get_rng_state())
    own = distributed.per_rank_buffers(replicas[0].model)
    for iteration in range(STEPS):
        for made in replicas:
            made.model.clock.fill_(iteration)
        steps = [made.model.step(made.batches) for made in replicas]
        while True:
            items = []
            for rank in (0, 1):
                torch.set_rng_state(draws[rank])
                items.append(next(steps[rank], None))
                draws[rank] = torch.get_rng_state()
            if items[0] is None:
                break
            for made, item in zip(replicas, items, strict=True):
                made.players[item[0]].optimizer.zero_grad()
                sum(item[1].values()).backward(inputs=made.players[item[0]].parameters)
            movers = [made.players[items[0][0]] for made in replicas]
            for left, right in zip(movers[0].parameters, movers[1].parameters, strict=True):
                mean = (left.grad + right.grad) / 2
                left.grad, right.grad = mean, mean.clone()
            for moved in movers:
                moved.set_numbers(iteration, STEPS)
                moved.optimizer.step()
        for (key, left), right in zip(replicas[0].model.named_buffers(), replicas[1].model.buffers(), strict=True):
            if left.is_floating_point() and key not in own:
                mean = (left + right) / 2
                left.copy_(mean)
                right.copy_(mean)
        for made in replicas:
            made.model.iteration += 1
    return [made.model.state_dict() for made in replicas]


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_equal_averaged_gradients(name, two_processes):
    expected = reference(name)
    actual = [torch.load(two_processes / f"{name}-{rank}.pt") for rank in (0, 1)]
    own = distributed.per_rank_buffers(build(name, 0, 1).model)
    for rank in (0, 1):
        for key, value in expected[rank].items():
            torch.testing.assert_close(
                actual[rank]["state"][key], value, rtol=1e-6, atol=1e-12, msg=lambda m, k=key: f"{k}: {m}"
            )
    for key, value in actual[0]["state"].items():
        if key in own:
            continue
        assert torch.equal(value, actual[1]["state"][key]), f"{key} differs between the processes"
    assert actual[0]["terms"] != actual[1]["terms"], "the processes must see different data and noise"


def test_without_averaging_the_processes_part():
    """The control: the same two replicas, each moving by its own gradient, end apart."""
    replicas = [build("wgan_gp", rank, 2) for rank in (0, 1)]
    for rank, made in enumerate(replicas):
        torch.manual_seed(100 + rank)
        for _ in made:
            pass
    assert not torch.allclose(*(made.model.state_dict()["critic.score.weight"] for made in replicas), rtol=1e-6)


def test_per_rank_buffers_are_the_image_pools():
    names = distributed.per_rank_buffers(build("cyclegan", 0, 1).model)
    assert names == {f"pool_{domain}.{buffer}" for domain in "ab" for buffer in ("images", "count")}


def test_torchrun_trains_one_run(tmp_path):
    """Two processes of the command line leave one run, which one process can sample."""
    words = "train gan --data ring --steps 12 --batch-size 8 --log-every 4 --threads 1 --device cpu --out run"
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "ganarium",
    ]
    env = os.environ | {"PYTHONPATH": str(Path(ganarium.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, *words.split()], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done: 12 steps") == 1
    assert "Traceback" not in done.stderr
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert names == ["step-00000000", "step-00000012"]
    assert ganarium.load(tmp_path / "run").sample(5, seed=0).shape == (5, 2)
