"""Draws the tables of proofs from benchmarks/results/proofs: `python tools/proof_table.py`.

docs/proofs.md is such a page.
"""

import json
from pathlib import Path
from typing import Any

from ganarium.proofs.claim import Bound, gain_in_words, level_in_words

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "proofs"
START, END = "<!-- proofs: drawn by tools/proof_table.py -->", "<!-- end of proofs -->"


def results() -> list[dict[str, Any]]:
    """The committed results, by model, claim and scale."""
    order = ("quick", "cpu", "gpu")
    found = [json.loads(path.read_text()) for path in RESULTS.glob("*.json")]
    return sorted(found, key=lambda result: (result["name"], order.index(result["scale"])))


def number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"


def spread(runs: list[dict[str, Any]], name: str) -> str:
    """The values of the seeds, as lowest to highest."""
    values = [run[name] for run in runs if name in run]
    if not values:
        return ""
    finite = sorted(value for value in values if value is not None)
    if not finite:
        return "not finite"
    ends = number(finite[0]) if finite[0] == finite[-1] else f"{number(finite[0])} to {number(finite[-1])}"
    return ends if len(finite) == len(values) else f"{ends}, {len(values) - len(finite)} not finite"


def missed(bound: dict[str, Any], runs: list[dict[str, Any]]) -> bool:
    """Whether no run holds a threshold."""
    return not any(Bound(**bound).holds(run[bound["value"]]) for run in runs)


def limits(bound: dict[str, Any]) -> str:
    words = [f"{sign} {bound[key]:g}" for key, sign in (("at_least", "≥"), ("at_most", "≤")) if key in bound]
    return " and ".join(words) + (" for most" if bound.get("over") == "most" else "")


def short_table(found: list[dict[str, Any]]) -> str:
    """One row a result, with the first threshold that the model misses, or else its control from every seed, if there
    is one."""
    lines = ["| proof | scale | claim | held to | model | control | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for result in found:
        every = result["threshold"]
        lost = [one for one in every if not Bound(**one).held_by([run[one["value"]] for run in result["values"]])]
        bound = (lost or [one for one in every if missed(one, result["control"])] or every)[0]
        name = bound["value"]
        words = [
            f"[{result['name']}](docs/proofs.md#{result['name']}-{result['scale']})",
            result["scale"],
            result["claim"].replace("|", "\\|"),
            f"{name} {limits(bound)}",
            spread(result["values"], name),
            spread(result["control"], name),
            "passed" if result["passed"] else "**not passed**",
        ]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def page(found: list[dict[str, Any]]) -> str:
    lines = [
        "# Proofs",
        "",
        "Each claim is held to thresholds that were chosen on other seeds, most often 100 to 102, and committed before",
        "it was judged on the seeds below it: 0 to 2, or later ones where these had been judged and the setting or the",
        "model changed. The control differs in the one thing that is claimed to matter, and must miss the same",
        "thresholds from every seed. Where a gain is named, the model must also beat the control on average by more",
        "than the spread, highest less lowest, of the seeds of either; where a margin is, it must not on average be",
        "below another value of the control by more than that. Numbers of model and control are the lowest to the",
        "highest of the seeds. A paper's own number has the paper's protocol, not ours.",
        "",
    ]
    for result in found:
        lines += section(result, "##")
    return "\n".join(lines)


def section(result: dict[str, Any], heading: str) -> list[str]:
    """One result as a section of a page in docs/: claim, control, protocol, numbers, picture."""
    title = f"{result['name']}, {result['scale']}"
    picture = f"../benchmarks/results/proofs/{result['name']}-{result['scale']}.png"
    held = {bound["value"]: limits(bound) for bound in result["threshold"]}
    kinds = list(result["baselines"])
    lines = [
        f'<a id="{result["name"]}-{result["scale"]}"></a>',
        f"{heading} {title}: {'passed' if result['passed'] else 'not passed'}",
        "",
        f"**{result['claim']}** ({result['source']})",
        "",
        f"- Control: {result['control_is']}.",
        f"- Protocol: {result['protocol']}.",
        f"- Seeds {', '.join(map(str, result['seeds']))}; {result['seconds'] / 60:.0f} minutes of one core in all, "
        f"{result['environment']['gpu'] or result['environment']['processor']}, "
        f"torch {result['environment']['versions']['torch'].split('+')[0]}: `{result['command']}`",
        *([f"- Gain in {gain['value']}: {gain_in_words(gain)}."] if (gain := result.get("gain")) else []),
        *(
            [f"- {level['value'].capitalize()} against {level['rival']} of the control: {level_in_words(level)}."]
            if (level := result.get("level"))
            else []
        ),
        *([f"- The paper: {result['paper']}."] if result["paper"] else []),
        *([f"- **{result['note']}**"] if "note" in result else []),
        "",
        "| | held to | model | control | " + " | ".join(kind.replace("_", " ") for kind in kinds) + " |",
        "| --- " * (4 + len(kinds)) + "|",
    ]
    values = list(result["values"][0] | result["control"][0])
    names = sorted(values, key=lambda name: (name not in held, values.index(name)))
    for name in names:
        baselines = [result["baselines"][kind] for kind in kinds]
        own = [number(values[name]) if name in values else "" for values in baselines]
        cells = [held.get(name, ""), spread(result["values"], name), spread(result["control"], name), *own]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return [*lines, "", f"![{title}: samples, and values against thresholds]({picture})", ""]


def drawn() -> dict[Path, str]:
    """The files with tables, as the committed results would have them."""
    return {ROOT / "docs" / "proofs.md": page(results())}


if __name__ == "__main__":
    for path, content in drawn().items():
        path.write_text(content)
