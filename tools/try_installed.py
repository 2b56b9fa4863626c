"""Tries an installed ganarium in an empty folder: every command that a user needs, with nothing else of the repository.

`python try_installed.py` runs in the environment to be tried; `make test-wheel` and tests/test_packaging.py call it.
With `--prove` it also proves a claim, which takes a minute.
"""

import json
import sys
from pathlib import Path

import ganarium
from ganarium import cli
from ganarium.proofs.claim import list_proofs, load_claim

OPTIONS = "--data glyphs --characters digits --size 16 --width 4 --batch-size 8 --steps 4 --threads 1"


def run(line: str) -> None:
    """One command; the script ends where it fails."""
    print(f"$ ganarium {line}", flush=True)
    code = cli.main(line.split())
    assert code == 0, f"ganarium {line} ended with {code}"


def main() -> None:
    package = Path(ganarium.__file__).parent
    repository = Path(__file__).resolve().parents[1]
    assert repository / "src" not in package.parents, f"{package} is the checkout, not an installation"
    assert str(repository / "src") not in sys.path
    assert not list(Path().iterdir()), "start in an empty folder"

    run("list")
    run("show wgan_gp")
    run(f"train dcgan {OPTIONS} --out run")
    run("resume run --steps 6")
    run("sample run --n 4 --seed 1 --gif")
    run("evaluate run --n 50")
    run("report run")
    run("prove --list")
    if "--prove" in sys.argv:
        run("prove pixelrnn --seeds 100 --device cpu")
        assert json.loads(Path("proofs/pixelrnn_likelihood-quick.json").read_text())["passed"]
    for name in list_proofs():
        assert load_claim(name).model in ganarium.list_models()
    for name in ganarium.list_models():
        ganarium.registry.module(name)
    assert (ganarium.load("run").sample(2, seed=0).shape) == (2, 1, 16, 16)
    assert list(Path("run/evaluations").glob("*.json"))
    assert "<style>" in Path("run/report.html").read_text(encoding="utf-8")
    print(f"ganarium {ganarium.__version__} in {package} does without the repository")


if __name__ == "__main__":
    main()
