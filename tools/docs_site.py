"""The hook of mkdocs (mkdocs.yml): makes the pages that are made, and leads links into the repository to the site."""

import posixpath
import re
from pathlib import Path
from typing import Any

import model_pages
import yaml
from mkdocs.structure.files import File

from ganarium import registry
from ganarium.cli.app import HELP, application
from ganarium.data import OWN_DATA, SOURCES, suitable_data
from ganarium.studio.single_file import single_file

ROOT = Path(__file__).parents[1]
LABORATORY = "src/ganarium/studio/static/lab.html"
IN_CHINESE = ROOT / "docs/zh/data_words.yaml"
RESULTS = "benchmarks/results/proofs/"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")  # to a file: `!` if a picture, words, file, anchor
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
README = {"#the-models": "models/index.md"}


def on_config(config: Any) -> Any:
    (models,) = [entry["Models"] for entry in config.nav if "Models" in entry]
    models += [f"models/{name}.md" for name in registry.list_models()]
    return config


def on_files(files: Any, config: Any) -> Any:
    for name, text in made().items():
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, "lab.html", content=single_file("lab.html")))
    for path in sorted((ROOT / RESULTS).glob("*.png")):
        files.append(File.generated(config, f"images/proofs/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    if page.file.src_uri == "data.md":
        markdown = f"{markdown.rstrip()}\n\n{data_by_name()}"
    elif page.file.src_uri == "zh/data.md":
        words = yaml.safe_load(IN_CHINESE.read_text(encoding="utf-8"))
        markdown = f"{markdown.rstrip()}\n\n{data_by_name(words)}"
    return relinked(markdown, page.file.src_uri)


def made() -> dict[str, str]:
    """The pages that are not in docs/, with links as if they were."""
    pages = {f"models/{name}.md": model_pages.page(name) for name in registry.list_models()}
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    return pages | {
        "models/index.md": model_pages.index(),
        "commands.md": commands(),
        "contributing.md": from_root(contributing),
    }


def from_root(text: str) -> str:
    """Text of a file at the root of the repository, with links as if it stood in docs/."""
    return LINK.sub(r"\1[\2](../\3\4)", text)


def data_by_name(words: dict[str, str] | None = None) -> str:
    """The end of the page on data: the sets by name, and what each kind of model learns from.

    `words` translates every text; one that it lacks is a `KeyError`.
    """
    said = words.__getitem__ if words else str
    english, full_width = (": ", ", ", ", or ", "."), ("\uff1a", "\u3001", "\uff0c\u6216\u8005 ", "\u3002")
    colon, comma, other, stop = full_width if words else english
    lines = [f"| `--data` | {said('what it is')} |", "| --- | --- |"]
    lines += [f"| `{name}` | {said(source.description)} |" for name, source in SOURCES.items()]
    lines += ["", f"## {said('What a model asks for')}", ""]
    for kind, what in OWN_DATA.items():
        names = comma.join(f"`{name}`" for name in suitable_data(kind))
        lines.append(f"- `{kind}`{colon}{said(what)}{other * bool(names)}{names}{stop}")
    return "\n".join(lines)


def commands() -> str:
    """What `ganarium VERB --help` says, for all verbs."""
    app, _ = application(["train", "--help"])
    verbs = app.generate_docs().split("\n## ")[2:]  # after the title and the table of contents
    return "\n\n".join(["# Commands", f"```text\n{HELP.rstrip()}\n```", *(f"## {verb.strip()}" for verb in verbs)])


def relinked(text: str, page: str) -> str:
    """Links to files of the repository as links to the page, or the picture, that shows them."""
    parts = FENCE.split(text)
    for place in range(0, len(parts), 2):
        parts[place] = LINK.sub(lambda link: _link(*link.groups(default=""), page), parts[place])
    return "".join(parts)


def _link(picture: str, words: str, target: str, anchor: str, page: str) -> str:
    folder = posixpath.dirname(page)
    file = posixpath.normpath(posixpath.join("docs", folder, target))
    if file == "README.md":
        shown, anchor = README.get(anchor, "index.md"), ""
    elif file == "CONTRIBUTING.md":
        shown = "contributing.md"
    elif file == LABORATORY:
        shown = "lab.html"
    elif file.startswith("src/ganarium/models/"):
        shown = f"models/{Path(file).stem}.md"
    elif file.startswith(RESULTS):
        shown = f"images/proofs/{Path(file).name}"
    elif file.startswith("docs/"):
        shown = file.removeprefix("docs/")
    else:
        return words  # a file that the site does not show
    address = posixpath.relpath(shown, folder or ".") + anchor
    link = f"{picture}[{words}]({address})"
    return f"[{link}]({address})" if file.startswith(RESULTS) else link  # wide pictures open in full
