"""Storybook: the evidence log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stopwork.ledger import words as w
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import world as s
from stopwork.worker.anchoring import LogStanding, Standing
from stopwork.worker.duty import Health

KEY = "stopwork.local/9f2c41d07ab8e653+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PLACES = {
    w.AnchorKind.FILE: "/mnt/records/checkpoints.txt",
    w.AnchorKind.WEBHOOK: "webhook at siem.acme.test",
    w.AnchorKind.MAIL: "mail to sec@acme.test",
    w.AnchorKind.STORE: "s3://acme-checkpoints/stopwork",
    w.AnchorKind.TIMESTAMP: "time-stamping authority at tsa.acme.test",
    w.AnchorKind.WITNESS: "witness at witness.acme.test",
}
GONE_BACK = (
    "Tampered: witness at witness.acme.test keeps a checkpoint of 18204 entries, and there are 17990: the database was "
    "put back. If a backup was restored on purpose, begin a new place for its checkpoints."
)


def _anchor(kind: w.AnchorKind, *, error: str = "", late: bool = False, used: bool = True) -> Standing:
    return Standing(
        name=kind.value,
        kind=kind,
        place=PLACES[kind],
        every_s=600,
        size=18_190 if used else 0,
        succeeded_at=s.ago(minutes=90 if late or error else 4) if used else None,
        failed_at=s.ago(minutes=1) if error else None,
        error=error,
        late=late,
    )


def _log(*anchors: Standing, size: int = 18_204, waits_s: float = 0.0) -> LogStanding:
    return LogStanding(
        origin=KEY.partition("+")[0],
        key=KEY,
        size=size,
        entries=18_204,
        root="ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" if size else "",
        unsealed_for_s=waits_s,
        checked_at=s.NOW,
        anchors=list(anchors),
    )


def _duty(name: str, **unwell: object) -> Health:
    well: dict[str, object] = {
        "succeeded_at": s.ago(seconds=3),
        "failed_at": None,
        "error": "",
        "silent": False,
    }
    return Health(name=name, **(well | unwell))  # type: ignore[arg-type]  # fields by name


def log_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Yield the page while all is well, before anything leaves the server, and when much is wrong."""
    surrounding = frame("Evidence log", "journal", watch="none")
    duties = tuple(_duty(name) for name in ("detectors", "sealer", "housekeeping", "anchors"))
    yield "log", c.LogContext(frame=surrounding, log=_log(*map(_anchor, w.AnchorKind)), duties=duties)
    yield "log-alone", c.LogContext(frame=surrounding, log=_log(size=0, waits_s=1.0), duties=duties)
    wrong = (
        _anchor(w.AnchorKind.WITNESS, error=GONE_BACK),
        _anchor(w.AnchorKind.FILE, late=True),
        _anchor(w.AnchorKind.MAIL, used=False),
    )
    broken = _duty(
        "sealer", error="Tampered: journal entry 17991 is not what was written", behind=214, behind_s=90.0
    )
    yield (
        "log-unwell",
        c.LogContext(
            frame=surrounding,
            log=_log(*wrong, size=17_990, waits_s=90.0),
            duties=(broken, _duty("detectors", silent=True), *duties[2:]),
        ),
    )
