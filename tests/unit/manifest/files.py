"""Manifests to begin from: the examples that ship, and one good manifest as text to be spoiled."""

from __future__ import annotations

from pathlib import Path

from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.load import load
from stopwork.manifest.model import Manifest

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "manifests").glob("*.yaml"))

GOOD = """\
workflow: weekly-renewal-risk
title: Weekly renewal risk prep
owners:
  business: dana@acme.test
  technical: lee@acme.test
  backup: kim@acme.test
schedule:
  cron: 0 8 * * MON
  timezone: America/New_York
  finish_within: 45m
triggers: [schedule, manual]
data_classes: [customer_commitments]
sources:
  inbox: {trust: external}
budget: {run_usd: 2.50, run_calls: 200}
tools:
  mail.search: {effect: read, source: inbox}
  crm.create_task:
    effect: create
    risk: medium
    permission: crm.tasks.write
    object: {system: crm, type: task, id: result.id}
    idempotency: [run.trigger_id, args.account_id]
    undo: {tool: crm.close_task, args: {id: object.id}}
    deny_when: has(args.due) && timestamp(args.due) < now
    gate: {when: args.priority == 'urgent', approvers: [business], expires: 4h}
  crm.close_task:
    effect: update
    object: {system: crm, type: task, id: args.id}
    idempotency: [args.id]
    undo: {system: crm}
alerts:
  duplicate_action: {key: [tool, args.account_id, args.title], window: 7d, hold: tool}
downstream:
  - {name: mailer, tools: [crm.create_task]}
"""


def spoiled(old: str, new: str) -> str:
    """Answer the good manifest with one thing changed."""
    if GOOD.count(old) != 1:
        raise AssertionError(f"{old!r} stands {GOOD.count(old)} times in the good manifest")
    return GOOD.replace(old, new)


def manifest(text: str = GOOD) -> Manifest:
    """Answer the manifest that this text holds."""
    return load(text).manifest


def compiled(text: str = GOOD) -> CompiledManifest:
    """Answer the manifest that this text holds, ready for use."""
    return compile_manifest(manifest(text))
