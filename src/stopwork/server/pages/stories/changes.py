"""The pages about what has changed, in every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from stopwork.incidents.change import Part, RunComparison, RunDifference
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.diff import Change
from stopwork.operations.versions import VersionView
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import aftermath as a
from stopwork.server.pages.stories import world as s

changed = msgspec.structs.replace

ROOM = Change(
    field="tools[crm.create_task].deny_when", before="timestamp(args.due) < now", after=None, loosens=True
)
ANOTHER_MODEL = Change(field="runtime.model", before="gpt-5-mini", after="gpt-5", loosens=None)
LESS = Change(field="tools[crm.update_account].risk", before="medium", after="high", loosens=False)
NEXT = s.MANIFEST.version + 1
PROPOSED = changed(
    s.MANIFEST,
    id=f"{s.WORKFLOW.id}@{NEXT}",
    version=NEXT,
    reason="The new model keeps to the dates.",
    by=s.LEE,
    at=s.ago(minutes=20),
    state=w.VersionState.PROPOSED,
    basis=s.MANIFEST.version,
    approver=w.Role.BUSINESS,
)
DECLINED = changed(
    PROPOSED,
    version=NEXT + 1,
    state=w.VersionState.DECLINED,
    decided_by=s.DANA,
    decided_at=s.ago(minutes=2),
    note="Not before the quarter ends.",
)
SUPERSEDED = changed(
    PROPOSED, state=w.VersionState.SUPERSEDED, note=f"version {NEXT + 1} came after it", decided_by=s.LEE
)
SIGNED = changed(
    s.MANIFEST,
    decided_by=s.DANA,
    decided_at=s.MANIFEST.at,
    note="Agreed on Friday.",
    in_force_since=s.MANIFEST.at,
)


def told(version: r.ManifestVersion, *changes: Change, signers: tuple[str, ...] = ()) -> VersionView:
    """Answer a version as a page looks at it."""
    return VersionView(
        version=version,
        in_force=version == SIGNED,
        basis=version.version - 1 or None,
        changes=changes,
        loosens=tuple(each.field for each in changes if each.loosens is not False),
        signers=signers,
    )


FIRST = c.VersionRow(told=told(changed(s.FIRST_MANIFEST, in_force_since=s.FIRST_MANIFEST.at)))
IN_FORCE = c.VersionRow(told=told(SIGNED, LESS))
WAITING = told(PROPOSED, ROOM, ANOTHER_MODEL, LESS, signers=("dana@acme.test",))

GOOD = changed(s.RUNS[-1], status=w.RunStatus.SUCCEEDED)
COMPARISON = RunComparison(
    workflow=s.WORKFLOW.id,
    before=GOOD,
    after=s.RUN,
    differences=(),
    manifest=(ROOM,),
)
PARTS = (
    ("The run", (RunDifference(part=Part.RUN, name="attempt", before=1, after=2),)),
    (
        "What ran",
        (
            RunDifference(
                part=Part.RUNTIME,
                name="tools.crm.create_task",
                before="sha256:5a0f2c8b9d1e",
                after="sha256:77e1c0a2b3f4",
            ),
            RunDifference(part=Part.RUNTIME, name="connectors.crm", before=None, after="2.1.0"),
        ),
    ),
    (
        "Tools, and how their calls ended",
        (
            RunDifference(
                part=Part.TOOLS,
                name="crm.create_task",
                before={"allow, succeeded": 3},
                after={"allow, succeeded": 6, "deny": 7},
            ),
        ),
    ),
    (
        "Where its input came from",
        (
            RunDifference(
                part=Part.SOURCES,
                name="crm-export, how old",
                before="less than an hour",
                after="9 days",
            ),
        ),
    ),
    (
        "How much",
        (RunDifference(part=Part.COST, name="took, in seconds", before=41.2, after=192.0),),
    ),
)


def change_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Answer the pages of versions and of differences between runs."""
    versions = c.VersionsContext(
        frame=frame("Versions", path=f"/workflows/{s.WORKFLOW.id}/versions"),
        workflow=s.WORKFLOW,
        rows=(c.VersionRow(told=WAITING), IN_FORCE, FIRST),
        paging=c.Paging(shown=3),
    )
    yield "versions-to-sign", versions
    own = c.VersionRow(told=WAITING, why_not="You wrote it; a second person has to sign.")
    yield "versions-own-proposal", changed(versions, rows=(own, IN_FORCE, FIRST))
    ended = (c.VersionRow(told=told(DECLINED, ANOTHER_MODEL)), c.VersionRow(told=told(SUPERSEDED, ROOM)))
    yield "versions-ended", changed(versions, rows=(*ended, IN_FORCE, FIRST))
    difference = c.DifferenceContext(
        frame=frame("What differs", path=f"/runs/{s.RUN.id}/difference"),
        workflow=s.WORKFLOW,
        comparison=COMPARISON,
        parts=PARTS,
        loosens=(ROOM.field,),
        last_good=True,
        incident=a.INCIDENT,
    )
    yield "difference-last-good", difference
    yield "difference-named", changed(difference, last_good=False, incident=None)
    yield (
        "difference-none",
        changed(difference, comparison=changed(COMPARISON, manifest=()), parts=(), incident=None),
    )
    yield (
        "approvals-version-to-sign",
        c.ApprovalsContext(
            frame=frame("Approvals", "approvals", path="/approvals"),
            waiting=(),
            others=(),
            decided=(),
            versions=(PROPOSED,),
        ),
    )
