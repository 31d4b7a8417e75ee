"""Running a recovery: begun, followed, paused, resumed and cancelled by people."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from stopwork.ledger import records as r
from stopwork.operations import recovering
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import Act, Endpoint, Read, Write

#: A request that runs a plan is answered after this long at the latest; the plan goes on by itself.
ANSWERED_WITHIN_S: Final = 20.0


class Steer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is paused, resumed or cancelled."""

    reason: Reason


ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/run",
        name="run_plan",
        summary="Run the approved items that are left, and read each back; answered after 20 seconds at the latest, while it goes on",
        does=Act(
            lambda g: recovering.run(g.installation, g.actor, plan=g.path["plan"], within_s=ANSWERED_WITHIN_S)
        ),
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}/progress",
        name="get_progress",
        summary="How far a plan has come, how fast, who is at it, and what waits for a runner",
        does=Read(
            lambda view, g: recovering.progress(
                view,
                g.installation.systems,
                plan=g.path["plan"],
                now=g.installation.store.clock.now(),
            )
        ),
        answer=recovering.Progress,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/pause",
        name="pause_plan",
        summary="Let no further attempt begin; the answer names those that have begun",
        does=Write(
            lambda tx, g: recovering.pause(tx, plan=g.path["plan"], reason=g.body.reason), urgent=True
        ),
        body=Steer,
        answer=recovering.Halted,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/resume",
        name="resume_plan",
        summary="Go on with a paused plan; answered as a run",
        does=Act(
            lambda g: recovering.run(
                g.installation,
                g.actor,
                plan=g.path["plan"],
                reason=g.body.reason,
                within_s=ANSWERED_WITHIN_S,
            )
        ),
        body=Steer,
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/cancel",
        name="cancel_plan",
        summary="Leave what has not begun as it is; what has begun is looked at, and not tried again",
        does=Write(
            lambda tx, g: recovering.cancel(tx, plan=g.path["plan"], reason=g.body.reason), urgent=True
        ),
        body=Steer,
        answer=recovering.Halted,
        tag="recovery",
    ),
)
