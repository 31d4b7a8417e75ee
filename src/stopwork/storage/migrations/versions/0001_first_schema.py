"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "approval",
        sa.Column("id", text(256), nullable=False),
        sa.Column("state", text(256), nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=True),
        sa.Column("subject", text(256), nullable=True),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("call", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("approval_call", "approval", ["call"])
    op.create_index("approval_incident", "approval", ["incident"])
    op.create_index("approval_state_requested_at", "approval", ["state", "requested_at"])
    op.create_index("approval_subject", "approval", ["subject"])
    op.create_table(
        "audit",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_incident_at", "audit", ["incident", "at"])
    op.create_table(
        "blob",
        sa.Column("digest", text(80), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "bundle",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("bundle_incident", "bundle", ["incident"])
    op.create_table(
        "call",
        sa.Column("id", text(256), nullable=False),
        sa.Column("run", text(256), nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=True),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("in_flight", sa.Boolean(), nullable=True),
        sa.Column("tool", text(256), nullable=True),
        sa.Column("verdict", text(256), nullable=True),
        sa.Column("outcome", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("call_in_flight", "call", ["in_flight"])
    op.create_index("call_outcome", "call", ["outcome"])
    op.create_index("call_run_requested_at", "call", ["run", "requested_at"])
    op.create_index("call_tool_requested_at", "call", ["tool", "requested_at"])
    op.create_index("call_verdict", "call", ["verdict"])
    op.create_index("call_workflow_requested_at", "call", ["workflow", "requested_at"])
    op.create_table(
        "check",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("check_incident", "check", ["incident"])
    op.create_table(
        "checkpoint",
        sa.Column(
            "size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "containment_item",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("containment_item_incident", "containment_item", ["incident"])
    op.create_table(
        "control",
        sa.Column("id", text(256), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "credential",
        sa.Column("id", text(256), nullable=False),
        sa.Column("secret_digest", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("credential_secret_digest", "credential", ["secret_digest"])
    op.create_table(
        "duty",
        sa.Column("name", text(64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("succeeded_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "effect",
        sa.Column("id", text(256), nullable=False),
        sa.Column("call", text(256), nullable=True),
        sa.Column("run", text(256), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("object_key", text(256), nullable=True),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("effect_call", "effect", ["call"])
    op.create_index("effect_object_key_at", "effect", ["object_key", "at"])
    op.create_index("effect_run_at", "effect", ["run", "at"])
    op.create_index("effect_workflow_at", "effect", ["workflow", "at"])
    op.create_table(
        "heartbeat",
        sa.Column("point", text(64), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("point"),
    )
    op.create_table(
        "hold",
        sa.Column("id", text(256), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("hold_active", "hold", ["active"])
    op.create_index("hold_incident", "hold", ["incident"])
    op.create_table(
        "incident",
        sa.Column("id", text(256), nullable=False),
        sa.Column("status", text(256), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("cause", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("incident_cause", "incident", ["cause"])
    op.create_index("incident_status_opened_at", "incident", ["status", "opened_at"])
    op.create_index("incident_workflow_opened_at", "incident", ["workflow", "opened_at"])
    op.create_table(
        "item",
        sa.Column("id", text(256), nullable=False),
        sa.Column("plan", text(256), nullable=True),
        sa.Column("order", sa.Integer(), nullable=True),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("state", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("item_incident", "item", ["incident"])
    op.create_index("item_plan_order", "item", ["plan", "order"])
    op.create_index("item_state", "item", ["state"])
    op.create_table(
        "journal",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", text(48), nullable=False),
        sa.Column("workflow", text(128), nullable=True),
        sa.Column("run", text(64), nullable=True),
        sa.Column("call", text(64), nullable=True),
        sa.Column("incident", text(64), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("journal_incident", "journal", ["incident", "seq"])
    op.create_index("journal_kind", "journal", ["kind", "seq"])
    op.create_index("journal_run", "journal", ["run", "seq"])
    op.create_table(
        "key",
        sa.Column("id", text(256), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "manifest_version",
        sa.Column("id", text(256), nullable=False),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("manifest_version_workflow_version", "manifest_version", ["workflow", "version"])
    op.create_table(
        "merkle_node",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "message",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("drafted_at", sa.BigInteger(), nullable=True),
        sa.Column("state", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("message_incident_drafted_at", "message", ["incident", "drafted_at"])
    op.create_index("message_state", "message", ["state"])
    op.create_table(
        "note",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("note_incident", "note", ["incident"])
    op.create_table(
        "plan",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("proposed_at", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("plan_incident_proposed_at", "plan", ["incident", "proposed_at"])
    op.create_table(
        "point",
        sa.Column("id", text(256), nullable=False),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("point_retired_at", "point", ["retired_at"])
    op.create_index("point_workflow", "point", ["workflow"])
    op.create_table(
        "postmortem",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("postmortem_incident", "postmortem", ["incident"])
    op.create_table(
        "run",
        sa.Column("id", text(256), nullable=False),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("status", text(256), nullable=True),
        sa.Column("trigger_id", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("run_status_started_at", "run", ["status", "started_at"])
    op.create_index("run_trigger_id", "run", ["trigger_id"])
    op.create_index("run_workflow_started_at", "run", ["workflow", "started_at"])
    op.create_table(
        "signal",
        sa.Column("id", text(256), nullable=False),
        sa.Column("incident", text(256), nullable=True),
        sa.Column("workflow", text(256), nullable=True),
        sa.Column("raised_at", sa.BigInteger(), nullable=True),
        sa.Column("key", text(256), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("signal_incident", "signal", ["incident"])
    op.create_index("signal_key", "signal", ["key"])
    op.create_index("signal_workflow_raised_at", "signal", ["workflow", "raised_at"])
    op.create_table(
        "step",
        sa.Column("id", text(256), nullable=False),
        sa.Column("run", text(256), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("step_run_at", "step", ["run", "at"])
    op.create_table(
        "workflow",
        sa.Column("id", text(256), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
