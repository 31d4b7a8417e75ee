"""The demo from its first process to its last: an agent goes wrong, and is led back to work."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from stopwork.demo.company import open_company
from stopwork.demo.keyboard import Terminal
from stopwork.demo.narrator import Narrator
from stopwork.demo.performance import perform
from stopwork.demo.results import save_what_there_is
from stopwork.demo.visit import Visit
from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.operations.installation import DATABASE

KEPT, BROKEN, INTERRUPTED = 0, 1, 130
DATA = "data"
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(*, auto: bool, json: bool = False, keep: Path | None = None, port: int = 0) -> int:
    """Tell the story and answer the exit code: 1 when a promise was broken, 130 when ``auto`` was interrupted.

    With ``auto`` the people are played too; otherwise the visitor plays them, and ends it with Ctrl-C. ``keep`` is a new or
    empty folder for database, report and bundle; without it the report and the bundle of ``auto`` lie in a temporary
    folder that is named at the end. Raises ``Conflict`` when ``keep`` holds something or the port is taken.
    """
    narrator = Narrator(sys.stderr if json else sys.stdout)
    kept = _empty_folder(keep) if keep is not None else None
    try:
        with _stopping_in_order(), ExitStack() as stack:
            # Whatever is interrupted, and when: this folder goes, and all that is made on the way lies in it.
            scratch = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="stopwork-demo-", ignore_cleanup_errors=True)
                )
            )
            narrator.tell("Starting a small CRM and the Stopwork server on this machine.")
            data = (kept or scratch) / DATA
            company = stack.enter_context(open_company(scratch / "world", data, port=port))
            if not auto:
                if kept:
                    stack.callback(save_what_there_is, company.lee, kept)
                Visit(company, narrator, Terminal(sys.stdin)).lead()
            results = kept or stack.enter_context(_folder_that_stays())
            summary = perform(company, narrator, results, database=str(data / DATABASE) if kept else "")
    except KeyboardInterrupt:
        narrator.say("\nStopped; nothing of the demo is left running.")
        return INTERRUPTED if auto else KEPT
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary)).decode() + "\n")
    else:
        narrator.summary(summary.phases, summary.promises)
        narrator.say(f"Report: {summary.report}\nEvidence: {summary.bundle}")
    return KEPT if summary.passed else BROKEN


def _empty_folder(folder: Path) -> Path:
    """Answer the folder, made if need be; ``Conflict`` when there is something in it that could be lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be used: {error.strerror}", hint="Name another folder."
        ) from error
    if taken:
        raise Conflict(f"{folder} is not empty", hint="Name a new or an empty folder.", folder=str(folder))
    return folder.absolute()


@contextlib.contextmanager
def _folder_that_stays() -> Iterator[Path]:
    """Answer a temporary folder that stays, unless the block is broken off."""
    folder = Path(tempfile.mkdtemp(prefix="stopwork-demo-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def _stopping_in_order() -> Iterator[None]:
    """Let the first Ctrl-C, SIGTERM or closed terminal end the block, and no further one disturb what is being stopped."""

    def stop(_number: int, _frame: Any) -> None:
        for number in earlier:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, stop) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
