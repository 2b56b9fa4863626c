"""What the README says is what the code says."""

import re
import sys
from pathlib import Path

import pytest

import ganarium

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))


def test_the_table_of_models_is_drawn_from_the_cards():
    from model_table import written

    text = (ROOT / "README.md").read_text()
    assert text == written(text), "run `python tools/model_table.py`"
    assert all(f"`{name}`" in text for name in ganarium.list_models())


def test_the_pages_have_the_rules_of_recommend() -> None:
    from which_gan import PAGES, written

    for page in PAGES:
        assert page.read_text() == written(page), "run `python tools/which_gan.py`"


def test_pictures_and_links_exist():
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{page.name}: {target}"


def test_the_step_in_the_readme_is_the_one_in_the_file():
    text = (ROOT / "README.md").read_text()
    step = text.split("```python\ndef step(")[1].split("```")[0].splitlines()[1:]
    source = (ROOT / "src/ganarium/models/wgan_gp.py").read_text()
    for line in step:
        assert line.strip() in source, line


def test_make_targets_named_in_the_docs_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"^make ([\w-]+)|`make ([\w-]+)`", (ROOT / page).read_text(), re.MULTILINE):
            assert f"\n{''.join(target)}:" in makefile, f"{page} names make {target}"


def test_the_tables_of_proofs_are_drawn_from_the_results():
    import proof_table

    for path, content in proof_table.pages().items():
        assert path.read_text() == content, f"{path.name}: run `python tools/proof_table.py`"


def parts(page: Path) -> dict[str, list[str]]:
    """What a page and its translation share: the depth of headings, the code, rows of tables, and links."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    links = [link.split("#") for link in re.findall(r"\]\(([^)]+)\)", prose)]
    targets = [
        (target if "//" in target else str((page.parent / target).resolve().relative_to(ROOT)), *anchor)
        for target, *anchor in links
    ]
    return {
        "headings": re.findall(r"^(#+) ", prose, re.MULTILINE),
        "code": re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL),
        "rows": [str(row.count(" | ")) for row in prose.splitlines() if row.startswith("| ")],
        "items": re.findall(r"^(?:- |\d\. )", prose, re.MULTILINE),
        "pictures": re.findall(r'(?:src="|!\[[^]]*\]\()[./]*([^")]+)', prose),
        "links": sorted("#".join(target).replace("docs/zh/", "docs/") for target in targets),
    }


@pytest.mark.parametrize("name", ["index.md", "which-gan.md", "data.md", "evaluation.md"])
def test_a_page_of_the_docs_in_chinese_is_in_step(name: str) -> None:
    english, chinese = parts(ROOT / "docs" / name), parts(ROOT / "docs" / "zh" / name)
    chinese["links"].remove(f"docs/{name}")  # the link to the English page
    for kind, there in english.items():
        assert chinese[kind] == there, f"{kind} of docs/zh/{name} are not those of docs/{name}"
    text = (ROOT / "docs" / "zh" / name).read_text(encoding="utf-8")
    assert len(re.findall(r"[\u4e00-\u9fff]", text)) > 400
    numbers = [
        set(re.findall(r"\d[\d.,]*\d", page.read_text(encoding="utf-8")))
        for page in (ROOT / "docs" / name, ROOT / "docs" / "zh" / name)
    ]
    assert numbers[0] == numbers[1], "the same numbers"


def test_the_chinese_page_is_in_step() -> None:
    pages = [(ROOT / name).read_text() for name in ("README.md", "README.zh.md")]
    headings, blocks, links = (
        [re.findall(pattern, page, re.MULTILINE | re.DOTALL) for page in pages]
        for pattern in (r"^(#+) [^\n]*$", r"^(```.*?^```)$", r"\]\(((?:docs/|CONT|NOT)[^)]*)\)")
    )
    assert headings[0] == headings[1], "the same headings, of the same depth"
    assert blocks[0] == blocks[1], "the same code, with its comments"
    english = [link for link in links[0] if "src/" not in link]
    chinese = [link.replace("docs/zh/", "docs/") for link in links[1]]
    assert english == chinese, "the same pages are named, in the same order"
    assert len(re.findall(r"[\u4e00-\u9fff]", pages[1])) > 500
