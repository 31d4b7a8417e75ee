"""The guard in the agent's process.

::

    sw = Stopwork("https://stopwork.example", token)


    @sw.tool("crm.create_task")
    def create_task(account_id: str, title: str) -> dict: ...


    with sw.run("weekly-renewal-risk", trigger="schedule", trigger_id="2026-W10"):
        create_task(account_id="acme", title="Call about the renewal")
"""

from stopwork.sdk.digests import prompt_digest
from stopwork.sdk.errors import CallDenied, CallDrafted, CallRefused, CallWaiting, OutcomeNotRecorded
from stopwork.sdk.guard import Stopwork
from stopwork.sdk.heartbeat import Health, PointHealth
from stopwork.sdk.released import CarriedOut, ReleasedCall
from stopwork.sdk.runs import GuardedRun

__all__ = [
    "CallDenied",
    "CallDrafted",
    "CallRefused",
    "CallWaiting",
    "CarriedOut",
    "GuardedRun",
    "Health",
    "OutcomeNotRecorded",
    "PointHealth",
    "ReleasedCall",
    "Stopwork",
    "prompt_digest",
]
