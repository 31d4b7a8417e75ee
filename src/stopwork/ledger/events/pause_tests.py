"""Events of pause tests."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.ledger.events.base import Event


class PauseTestBegan(Event, tag="pause_test.began"):
    """The control epoch has risen as it does with a pause, and every live guard is to confirm it. Nothing is held."""

    test: str
    workflow: str
    epoch: int


class PauseTestFinished(Event, tag="pause_test.finished"):
    """What the test found out, level by level, and which guards had confirmed by then."""

    test: str
    workflow: str
    version: int
    passed: bool
    tool: str
    levels: tuple[r.LevelTest, ...]
    epoch: int
    points: int = 0
    unconfirmed: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    confirmed_after_s: float | None = None
