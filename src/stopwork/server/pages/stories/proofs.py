"""Pause tests of the story's workflow: one that passed and one that failed, and why its stage was changed."""

from __future__ import annotations

import msgspec

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.server.pages.stories.world import LEE, ago

DEMOTED = "by itself, for a signal at SEV1: crm.create_task did the same work a second time"


def _level(kind: w.ScopeKind, name: str, after_s: float) -> r.LevelTest:
    text = "crm.create_task was refused, and no longer once the hold was lifted"
    return r.LevelTest(level=kind, name=name, state=w.CheckState.PASSED, text=text, refused_after_s=after_s)


PAUSE_TEST = r.PauseTest(
    id="ptest_1",
    version=3,
    at=ago(days=11),
    by=LEE,
    passed=True,
    tool="crm.create_task",
    levels=(
        _level(w.ScopeKind.WORKFLOW, "weekly-renewal-risk", 0.0031),
        _level(w.ScopeKind.TRIGGER, "schedule", 0.0024),
        _level(w.ScopeKind.TOOL, "crm.create_task", 0.0022),
        _level(w.ScopeKind.PERMISSION, "crm.tasks.write", 0.0025),
    ),
    epoch=12,
    points=2,
    confirmed_after_s=0.8,
)
FAILED_PAUSE_TEST = msgspec.structs.replace(
    PAUSE_TEST,
    passed=False,
    levels=(
        *PAUSE_TEST.levels[:3],
        r.LevelTest(
            level=w.ScopeKind.PERMISSION,
            name="",
            state=w.CheckState.UNKNOWN,
            text="crm.create_task uses no permission that the manifest names, so there is none to pause",
        ),
    ),
    unconfirmed=("renewals-2:4121",),
    silent=("renewals-1:4108",),
    points=3,
    confirmed_after_s=5.0,
)
