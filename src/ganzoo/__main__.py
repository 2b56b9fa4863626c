"""`python -m ganzoo`, which is also what `torchrun -m ganzoo train ...` starts."""

from ganzoo.cli import run

if __name__ == "__main__":
    run()
