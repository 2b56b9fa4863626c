"""`ganarium prove`: the evidence that a model is what its paper says, with a control that must fail."""

from typing import Annotated

from cyclopts import Parameter

from ganarium.errors import UserError
from ganarium.proofs.thresholds import difference_in_words
from ganarium.registry import checked


def prove(
    model: str | None = None,
    /,
    *,
    scale: str = "quick",
    claim: str | None = None,
    seeds: str = "0-2",
    out: str = "proofs",
    device: str = "auto",
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
) -> int:
    """Test a paper's claims: train the model and a control that must fail, and measure both alike.

    Writes a JSON file and a picture for each claim. The exit code is 1 if a claim is not passed.

    Parameters
    ----------
    model
        The model whose claims are tested.
    scale
        How large the runs are: quick (drawn data, a minute or two) or cpu (real data, about 15 minutes on two cores;
        half an hour for triple_gan).
    claim
        Test only this claim of the model.
    seeds
        Seeds of the runs, such as 0-2 or 5,7. The thresholds were chosen with the seeds 100 to 102.
    out
        Folder of the results. A proof that was stopped goes on from there.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    list_
        Only print the claims, of the model or of all models.
    """
    from ganarium.proofs.claim import list_proofs, load_claim

    if list_:
        for name in list_proofs(checked(model) if model else None):
            known = load_claim(name)
            print(f"{name} ({known.model}; {', '.join(known.scales)})\n  {known.text}")
        return 0
    if model is None:
        raise UserError("name a model, as in `ganarium prove wgan_gp`; `ganarium prove --list` names all claims.")
    from ganarium.proofs.prove import proofs_of
    from ganarium.proofs.prove import prove as run

    numbers = _numbers(seeds)
    passed = True
    for name in proofs_of(model, claim, scale):
        known = load_claim(name)
        print(f"{name}, {scale}: {known.text}\n  control: {known.control_text}", flush=True)
        result = run(name, scale, seeds=numbers, out=out, device=device, say=lambda line: print(line, flush=True))
        for value, bound in known.scales[scale].held_to.items():
            print(f"  must be: {value} {bound}")
        if gain := result.get("gain"):
            words = difference_in_words(gain)
            print(f"  must be: the gain in {gain['value']} on average more than the seeds' spread: {words}")
        if level := result.get("level"):
            rival, words = level["rival"].replace("_", " "), difference_in_words(level)
            print(f"  must be: {level['value']} on average level with {rival} of the control: {words}")
        verdict = {True: "holds", False: "fails"}
        said = f"model {verdict[result['model_holds']]}, control {verdict[result['control_holds']]}"
        print(f"  {'PASSED' if result['passed'] else 'NOT PASSED'}: {said}; {out}/{name}-{scale}.json and .png")
        passed &= result["passed"]
    return 0 if passed else 1


def _numbers(text: str) -> list[int]:
    """The seeds that a word names: "0-2" -> [0, 1, 2], "5,7" -> [5, 7]."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"seeds are whole numbers such as 0-2 or 5,7, not {text!r}.")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
