"""Lists are read from an index in their order, however many calls there are: each filter that a page or the API offers, newest first.

Of two indexes that serve a query as well SQLite takes the one that was made last. So the one that tells most is made last: what a run
did is found by the run, whatever else is asked.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AT: Final = "requested_at"


def upgrade() -> None:
    for name in ("in_flight", "verdict", "outcome", "tool_requested_at", "run_requested_at"):
        op.drop_index(f"call_{name}", "call")
    for columns in (
        (_AT,),
        ("in_flight", _AT),
        ("tool", _AT),
        ("verdict", _AT),
        ("outcome", _AT),
        ("workflow", "verdict", _AT),
        ("workflow", "outcome", _AT),
        ("run", _AT),
    ):
        op.create_index(f"call_{'_'.join(columns)}", "call", list(columns))
    op.create_index("run_started_at", "run", ["started_at"])
    op.create_index("run_workflow_status_started_at", "run", ["workflow", "status", "started_at"])
    op.create_index("journal_workflow", "journal", ["workflow", "seq"])
