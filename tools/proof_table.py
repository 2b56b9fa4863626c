"""Draws docs/proofs.md from benchmarks/results/proofs: `python tools/proof_table.py`."""

import json
from pathlib import Path
from typing import Any

from ganarium.proofs.claim import all_claims
from ganarium.proofs.prove import in_words, is_current
from ganarium.proofs.thresholds import Bound, difference_in_words

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "proofs"
SCALES = ("quick", "cpu", "gpu")


def results() -> list[dict[str, Any]]:
    """The committed results by claim and scale, in the present words of their claims. One whose claim has changed since
    keeps its own words, and `verdict` says so."""
    claims, known = all_claims(), []
    for path in RESULTS.glob("*.json"):
        result = json.loads(path.read_text())
        claim = claims.get(result["name"])
        result["verdict"] = "passed" if result["passed"] else "**not passed**"
        if claim and is_current(result, claim):
            result |= in_words(claim, result["scale"])
        else:
            result["verdict"] += ", of an earlier form of the claim"
        known.append(result)
    return sorted(known, key=lambda result: (result["name"], SCALES.index(result["scale"])))


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
    return not any(bound_of(bound).holds(run[bound["value"]]) for run in runs)


def bound_of(threshold: dict[str, Any]) -> Bound:
    return Bound(**{key: value for key, value in threshold.items() if key != "value"})


def limits(bound: dict[str, Any]) -> str:
    words = [f"{sign} {bound[key]:g}" for key, sign in (("at_least", "≥"), ("at_most", "≤")) if key in bound]
    return " and ".join(words) + (" for most" if bound.get("over") == "most" else "")


def deciding(result: dict[str, Any]) -> dict[str, Any]:
    """The first threshold that the model misses, or else that its control misses from every seed, if there is one."""
    every: list[dict[str, Any]] = result["threshold"]
    lost = [one for one in every if not bound_of(one).held_by([run[one["value"]] for run in result["values"]])]
    return (lost or [one for one in every if missed(one, result["control"])] or every)[0]


def table(rows: list[dict[str, Any]]) -> str:
    """A row for each claim, with its largest scale."""
    lines = ["| claim | model | control | threshold | verdict |", "| --- | --- | --- | --- | --- |"]
    for result in {result["name"]: result for result in rows}.values():
        bound = deciding(result)
        name = bound["value"]
        cells = [
            f"[{escaped(result['claim'])}](#{result['name']}-{result['scale']})",
            f"`{result['model']}`: {spread(result['values'], name)}",
            f"{spread(result['control'], name)} ({escaped(result['control_is'])})",
            f"{name} {limits(bound)}",
            result["verdict"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def escaped(text: str) -> str:
    return text.replace("|", "\\|")


def page(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Proofs",
        "",
        "Each claim about a model is held to thresholds. The control differs from the model in the one thing that is",
        "claimed to matter, and must miss the same thresholds from every seed. Numbers are the lowest to the highest",
        "of three seeds or more." + exceptions(rows),
        "",
        table(rows),
        "",
        "Thresholds were chosen on other seeds, most often 100 to 102, and committed before the claim was judged. It",
        "is judged once, on seeds 0 to 2, or on later ones where the setting or the model changed. Where a gain is",
        "named, the model must also beat the control on average by more than the spread of the seeds, highest minus",
        "lowest. Where a margin is named, the model must on average not be below another value of the control by more",
        "than that. A paper's own number has the paper's protocol, not ours. What was tried besides is in",
        "[the log](../benchmarks/LOG.md); the same claims at the sizes of the papers are in",
        "[the plan for a GPU](../benchmarks/gpu_plan.md).",
        "",
    ]
    for result in rows:
        lines += section(result, "##")
    return "\n".join(lines)


def exceptions(rows: list[dict[str, Any]]) -> str:
    """The sentences that name the results with one seed, or with two."""
    text = ""
    for count, word in ((1, "One seed has"), (2, "Two seeds have")):
        whole = [row["name"] for row in rows if len(row["values"]) == count]
        alone = [row["name"] for row in rows if len(row["control"]) == count < len(row["values"])]
        parts = [("model and control of", whole), ("the control of", alone)]
        said = [f"{words} {', '.join(f'`{name}`' for name in names)}" for words, names in parts if names]
        text += f"\n{word}: {'; '.join(said)}." if said else ""
    return text


def section(result: dict[str, Any], heading: str) -> list[str]:
    """One result as a section of a page in docs/: the claim, and folded away protocol, numbers and picture."""
    title = f"{result['name']}, {result['scale']}"
    picture = f"../benchmarks/results/proofs/{result['name']}-{result['scale']}.png"
    held = {bound["value"]: limits(bound) for bound in result["threshold"]}
    kinds = list(result["baselines"])
    lines = [
        f'<a id="{result["name"]}-{result["scale"]}"></a>',
        f"{heading} {title}: {result['verdict'].replace('*', '')}",
        "",
        f"**{result['claim']}** ({result['source']})",
        "",
        *([result["note"], ""] if "note" in result else []),
        '<details markdown="1">',
        "<summary>Control, protocol, numbers, picture</summary>",
        "",
        f"- Control: {result['control_is']}.",
        f"- Protocol: {result['protocol']}",
        f"- Seeds {', '.join(map(str, result['seeds']))}; {result['seconds'] / 60:.0f} minutes of one core in all, "
        f"{result['environment']['gpu'] or result['environment']['processor']}, "
        f"torch {result['environment']['versions']['torch'].split('+')[0]}: `{result['command']}`",
        *([f"- Gain in {gain['value']}: {difference_in_words(gain)}."] if (gain := result.get("gain")) else []),
        *(
            [f"- {level['value'].capitalize()} against {level['rival']} of the control: {difference_in_words(level)}."]
            if (level := result.get("level"))
            else []
        ),
        *([f"- The paper: {result['paper']}."] if result["paper"] else []),
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
    return [*lines, "", f"![{title}: samples, and values against thresholds]({picture})", "", "</details>", ""]


def pages() -> dict[Path, str]:
    """The files with tables, as the committed results would have them."""
    return {ROOT / "docs" / "proofs.md": page(results())}


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content)
