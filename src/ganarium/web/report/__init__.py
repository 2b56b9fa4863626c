"""The report of a run: one page, `report.html`, that needs nothing else.

`write` makes it from the files of the run alone, so it can be made at any moment, by any process, and goes on after a
crash by itself. What needs the data or the model is made apart, by `exhibits.make`, into `RUN/report`; the page shows
what is there.
"""

from pathlib import Path

from ganarium.web import html as pages
from ganarium.web.report import run_data as facts
from ganarium.web.report import sections

SCRIPT = Path(__file__).parent / "report.js"


def write(folder: Path) -> Path:
    """Writes `report.html` of a run, whole or not at all; gives its path. Raises `OSError` where that fails."""
    found = facts.read(folder)
    body, data = sections.of_run(found)
    script = SCRIPT.read_text(encoding="utf-8")
    return pages.save(pages.page(f"{found.name}: report", body, script=script, data=data), folder / "report.html")
