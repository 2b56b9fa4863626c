"""`python -m ganarium`, which is also what `torchrun -m ganarium train ...` starts."""

from ganarium.cli import run

if __name__ == "__main__":
    run()
