"""A plan promises what can be carried out: what was sent is in it, and what nobody here can do is left to people and never called undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stopwork import Stopwork
from stopwork.incidents.affected import affected_objects
from stopwork.ledger.records import Item, Plan
from stopwork.ledger.words import Audience, Operation, RecoverySituation, Remedy, Reversibility
from stopwork.operations import audits, incidents, planning, plans, recovering
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.transaction import Tx
from stopwork.systems.base import System
from stopwork.systems.http import Call, HttpSystem, Resource
from stopwork.systems.python import PythonSystem
from tests.support.undoing import DANA, LEE, reversal, sealed

MANIFEST = """
workflow: points
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  mail.send: {effect: send, external: true, undo: {none: A mail is gone.}}
  points.add:
    effect: update
    object: {system: pts, type: acct, id: args.who}
    undo: {tool: points.sub, args: {who: args.who, n: args.n}}
  points.sub: {effect: update, object: {system: pts, type: acct, id: args.who}}
"""
RESEND = """
recovery:
  bad_external_message: resend
  remedies: [{remedy: resend, tool: mail.send, args: {to: args.to, body: "'Please ignore it.'"}}]
"""


class Points:
    """Accounts of points, and adapters that can do more or less with them."""

    def __init__(self) -> None:
        self.held = {"eve": 0}

    def add(self, who: str, n: int) -> str:
        self.held[who] += n
        return "ok"

    def drop(self, who: str) -> int:
        return self.held.pop(who)

    def invoke(self, tool: str, args: Mapping[str, Any]) -> None:
        self.held[args["who"]] -= args["n"]

    def write(self, _kind: str, name: str, content: Any) -> None:
        if content is None:
            self.drop(name)
        else:
            self.held[name] = content["n"]

    def read(self, _kind: str, name: str) -> Any:
        return {"n": self.held[name]} if name in self.held else None


class WithoutCreate(PythonSystem):
    """An adapter that has no way to make an account again."""

    unable: Mapping[str, tuple[str, ...]] = {"acct": ("create",)}


def _planned(
    folder: Path,
    work: Any,
    *,
    manifest: str = MANIFEST,
    here: Mapping[str, System] | None = None,
    there: Mapping[str, System] | None = None,
) -> tuple[Installation, str, list[Item]]:
    """Let the agent work with the systems ``there``, and answer what is proposed where only those ``here`` are connected."""
    desk = LocalDesk.open(folder, systems=here)
    (folder / "manifest.yaml").write_text(manifest, "utf-8")
    desk.apply(folder / "manifest.yaml")
    sw = Stopwork.at(desk, systems=there)
    with sw.run("points"):
        work(sw)
    installation = desk.installation

    def audited(tx: Tx) -> str:
        incident = incidents.open_by_hand(tx, installation.manifests, workflow="points")
        tx.record(sealed(incident.id, "points", tx.last_seq()))
        audits.complete(tx, installation.manifests, incident=incident.id)
        return incident.id

    incident = installation.store.write(audited, actor=LEE)
    plan = planning.plan(installation, LEE, incident=incident)
    return installation, incident, list(installation.store.read(lambda view: plans.items_of(view, plan.id)))


def _sends(sw: Stopwork) -> None:
    sw.tool("mail.send")(lambda to, body: "sent")(to="x@y.example", body="wrong")


def _adds(times: int, points: Points) -> Any:
    def work(sw: Stopwork) -> None:
        add = sw.tool("points.add")(points.add)
        for _ in range(times):
            add("eve", 5)

    return work


# --- what was sent ---------------------------------------------------------------------------------


def test_what_was_sent_without_naming_an_object_is_affected_and_told_of(tmp_path: Path) -> None:
    installation, incident, [item] = _planned(tmp_path, _sends)
    assert (item.object.system, item.object.type, item.remedy) == ("mail", "sent", Remedy.TELL)
    assert "A mail is gone." in item.preview
    assert Audience.EXTERNAL_PARTIES in item.must_tell
    case = installation.store.read(lambda view: gather(view, installation.manifests, incident))
    [found] = affected_objects(case)
    assert (found.operation, found.reversible) == (Operation.SENT, False)
    assert found.after.content == {"to": "x@y.example", "body": "wrong"}


def test_a_correction_is_proposed_where_its_tool_can_be_called_and_left_to_people_elsewhere(
    tmp_path: Path,
) -> None:
    mail = PythonSystem("mail", lambda _kind, _name: None, invoke=lambda _tool, _args: None)
    for name, here, remedy in (("with", {"mail": mail}, Remedy.RESEND), ("without", None, Remedy.TELL)):
        (tmp_path / name).mkdir()
        _, _, [item] = _planned(tmp_path / name, _sends, manifest=MANIFEST + RESEND, here=here)
        assert (item.situation, item.remedy) == (RecoverySituation.BAD_EXTERNAL_MESSAGE, remedy)
        assert "mail.send(to=x@y.example, body=" in item.preview


# --- what only the agent's process can reach -------------------------------------------------------


def test_a_declared_inverse_is_called_where_the_agent_has_the_adapter(tmp_path: Path) -> None:
    points = Points()
    pts = PythonSystem("pts", points.read, points.write, invoke=points.invoke)
    _, _, [item] = _planned(tmp_path, _adds(1, points), there={"pts": pts})
    assert (item.remedy, item.undo_tool, item.undo_args) == (
        Remedy.INVERSE,
        "points.sub",
        {"who": "eve", "n": 5},
    )


@pytest.mark.parametrize(("times", "words"), [(1, "points.sub(who=eve, n=5)"), (2, "one by one")])
def test_nothing_is_promised_of_an_adapter_of_the_agent_that_only_reads(
    tmp_path: Path, times: int, words: str
) -> None:
    points = Points()
    pts = PythonSystem("pts", points.read)
    installation, incident, [item] = _planned(tmp_path, _adds(times, points), there={"pts": pts})
    assert item.remedy is Remedy.TELL
    assert words in item.preview
    case = installation.store.read(lambda view: gather(view, installation.manifests, incident))
    assert [each.reversible for each in affected_objects(case)] == [False], (
        "the audit says what the plan says"
    )


# --- what a map has no way for ---------------------------------------------------------------------


def test_what_a_map_has_no_way_for_is_never_called_undone(tmp_path: Path) -> None:
    manifest = MANIFEST + "  desk.drop: {effect: delete, object: {system: pts, type: acct, id: args.who}}\n"
    points = Points()
    way = Resource(read="/{id}", delete=Call(method="DELETE", path="/{id}"))
    adapter = PythonSystem("pts", points.read, points.write)
    unable = HttpSystem("pts", "http://127.0.0.1:9", {"acct": way})

    def work(sw: Stopwork) -> None:
        sw.tool("desk.drop")(points.drop)("eve")

    _, _, [item] = _planned(tmp_path, work, manifest=manifest, here={"pts": unable}, there={"pts": adapter})
    assert item.remedy is Remedy.TELL
    assert "pts has no way to create a acct" in item.preview


def test_taking_a_recovery_back_promises_nothing_that_a_map_has_no_way_for(tmp_path: Path) -> None:
    manifest = MANIFEST + "  desk.open: {effect: create, object: {system: pts, type: acct, id: args.who}}\n"
    points = Points()
    pts = WithoutCreate("pts", points.read, points.write)

    def work(sw: Stopwork) -> None:
        sw.tool("desk.open")(lambda who: points.write("acct", who, {"n": 3}))("ann")

    installation, _, [item] = _planned(
        tmp_path, work, manifest=manifest, here={"pts": pts}, there={"pts": pts}
    )
    assert item.remedy is Remedy.DELETE
    known = installation.store.read(lambda view: view.need(Plan, item.plan))
    approve: Callable[..., Plan] = planning.approve
    installation.store.write(lambda tx: approve(tx, plan=known.id, digest=known.digest), actor=DANA)
    back = reversal(installation, recovering.run(installation, LEE, plan=known.id))
    [again] = installation.store.read(lambda view: plans.items_of(view, back.id))
    assert (again.remedy, again.reversibility) == (Remedy.TELL, Reversibility.NOT)
    assert again.preview.startswith("cannot be taken back from here, since pts has no way to create a acct")
    assert Audience.TECHNICAL_OWNER in again.must_tell
