"""The report of a run: one page, `report.html`, that needs nothing else.

`write` makes it from the files of the run alone, at any moment and in any process, also after a crash. What needs the
data or the model is made apart, by `artifacts.make`, into `RUN/report`; the page shows what is there.
"""

from pathlib import Path

from ganarium.web import html
from ganarium.web.report import run_data, sections

SCRIPT = Path(__file__).parent / "report.js"


def write(folder: Path) -> Path:
    """Writes `report.html` of a run, whole or not at all; returns its path. Raises `OSError` where that fails."""
    run = run_data.read(folder)
    body, data = sections.of_run(run)
    script = SCRIPT.read_text(encoding="utf-8")
    return html.save(html.page(f"{run.name}: report", body, script=script, data=data), folder / "report.html")
