"""Every page in every state, without a database: ``python -m stopwork.server.pages.storybook OUTDIR``.

The tests render the same stories; a person opens ``OUTDIR/index.html`` and looks.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from stopwork.server.pages.contexts import Context
from stopwork.server.pages.rendering import STATIC, Pages
from stopwork.server.pages.stories import console
from stopwork.server.pages.stories.approvals import approval_stories
from stopwork.server.pages.stories.backfills import backfill_stories
from stopwork.server.pages.stories.changes import change_stories
from stopwork.server.pages.stories.drafts import draft_stories
from stopwork.server.pages.stories.incident import incident_stories
from stopwork.server.pages.stories.log import log_stories
from stopwork.server.pages.stories.reports import report_stories
from stopwork.server.pages.stories.timeline import timeline_stories


def stories() -> Iterator[tuple[str, Context]]:
    """Answer every story: a name, and the context that its template renders."""
    yield from console.entrance_stories()
    yield from console.board_stories()
    yield from console.workflow_stories()
    yield from console.control_stories()
    yield from change_stories(console.frame)
    yield from approval_stories(console.frame)
    yield from draft_stories(console.frame)
    yield from backfill_stories(console.frame)
    yield from log_stories(console.frame)
    yield from report_stories(console.frame)
    yield from timeline_stories(console.frame)
    yield from incident_stories(
        console.frame, console.HOLD_ROW, console.PAUSING_ROW, console.STAGES, console.PREPAREDNESS
    )


INDEX = "<!doctype html><meta charset=utf-8><title>Stopwork storybook</title><h1>Storybook</h1><ul>{}</ul>"


def write(folder: Path) -> list[Path]:
    """Write every story as a file, with the stylesheet beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(STATIC, folder / "static", dirs_exist_ok=True)
    pages = Pages(address_of=lambda name: f"static/{name}")
    written = []
    for name, context in stories():
        path = folder / f"{name}.html"
        path.write_text(pages.render(context), "utf-8")
        written.append(path)
    links = "".join(f'<li><a href="{path.name}">{path.stem}</a></li>' for path in written)
    (folder / "index.html").write_text(INDEX.format(links), "utf-8")
    return written


if __name__ == "__main__":
    sys.stdout.write(f"{len(write(Path(sys.argv[1])))} pages\n")
