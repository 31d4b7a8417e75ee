"""What followed from an audited case: later calls, of any workflow, that had to do with the objects it changed.

From each object to the later calls that changed or read it, from a call to what it changed itself, from a call that read to what
its run changed after that, and so on until nothing new is found. What a call read is told by the ``object`` that the manifest declares for
its tool; nothing else is recorded for it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from stopwork.incidents.affected import affected_objects
from stopwork.incidents.case import Case
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import AuditFollowed, AuditLink, Call, Effect, ObjectRef, Workflow
from stopwork.ledger.words import AuditLinkKind, EffectKind, Outcome, Verdict
from stopwork.operations.manifests import Manifests
from stopwork.storage.view import View

#: How many later calls are listed, and how many later reads of one tool are looked through for the objects they read.
MAX_LINKS: Final = 1_000
MAX_READS: Final = 20_000
MAX_WORKFLOWS: Final = 1_000


class _Reached(Struct, frozen=True):
    """An object that something is known to have changed, since when, and the path to it."""

    object: ObjectRef
    since: datetime
    path: tuple[str, ...]


def followed(view: View, manifests: Manifests, case: Case) -> AuditFollowed:
    """Answer the later calls that changed or read what the case's calls changed, and so on; at most :data:`MAX_LINKS`."""
    return _Search(view, manifests, case).run()


class _Search:
    def __init__(self, view: View, manifests: Manifests, case: Case) -> None:
        self._view = view
        self._manifests = manifests
        self._case = case
        self._own = {call.id for call in case.calls}
        self._links: dict[str, AuditLink] = {}
        self._read: dict[tuple[str, str], dict[ObjectRef, list[Call]]] = {}
        self._cut: dict[str, None] = {}
        self._rules = {
            each.id: manifests.version(view, each.id, each.version).manifest
            for each in view.find(Workflow, limit=MAX_WORKFLOWS)
        }

    def run(self) -> AuditFollowed:
        began: dict[ObjectRef, datetime] = {}
        for effect in self._case.effects:
            began.setdefault(effect.object, effect.at)
        waiting = deque(
            _Reached(each.object, began[each.object], (str(each.object),))
            for each in affected_objects(self._case)
        )
        known = dict(began)
        while waiting and len(self._links) < MAX_LINKS:
            for reached in self._step(waiting.popleft()):
                before = known.get(reached.object)
                if (
                    before is None or reached.since < before
                ):  # found again, and changed earlier than was known
                    known[reached.object] = reached.since
                    waiting.append(reached)
        if waiting:
            self._cut[
                f"Only {MAX_LINKS:,} later calls are listed; {len(waiting)} objects were not followed."
            ] = None
        links = tuple(sorted(self._links.values(), key=lambda link: (link.at, link.call)))
        return AuditFollowed(
            links=links,
            automations=tuple(self._automations(links)),
            cut=" ".join(self._cut),
            missing=tuple(self._missing()),
        )

    def _step(self, here: _Reached) -> Iterator[_Reached]:
        later = self._view.each(Effect, object_key=str(here.object), at_from=here.since, order="at")
        for effect in itertools.islice(later, MAX_LINKS):
            yield from self._linked(here, effect.call, AuditLinkKind.CHANGED)
        for call in self._readers(here):
            yield from self._linked(here, call.id, AuditLinkKind.READ)
            path = (*here.path, call.id)
            written = self._view.each(Effect, run=call.run, at_from=call.requested_at, order="at")
            for effect in itertools.islice(written, MAX_LINKS):
                yield from self._linked(
                    _Reached(here.object, here.since, path), effect.call, AuditLinkKind.AFTER
                )

    def _linked(self, here: _Reached, call_id: str, kind: AuditLinkKind) -> Iterator[_Reached]:
        """List a call once, by the path that was found first, and answer what it changed."""
        if call_id in self._own or call_id in self._links or len(self._links) >= MAX_LINKS:
            return
        call = self._view.get(Call, call_id)
        if call is None:
            return
        effects = list(self._view.each(Effect, call=call_id))
        path = (*here.path, call_id)
        self._links[call_id] = AuditLink(
            call=call_id,
            run=call.run,
            workflow=call.workflow,
            tool=call.tool,
            at=call.requested_at,
            kind=kind,
            object=here.object,
            path=path,
            changed=tuple(effect.object for effect in effects),
        )
        for effect in effects:
            yield _Reached(effect.object, effect.at, (*path, str(effect.object)))

    def _readers(self, here: _Reached) -> list[Call]:
        """Answer the calls that read the object since, oldest first."""
        place = (here.object.system, here.object.type)
        if place not in self._read:
            self._read[place] = self._reads(place)
        return [call for call in self._read[place].get(here.object, ()) if call.requested_at >= here.since]

    def _reads(self, place: tuple[str, str]) -> dict[ObjectRef, list[Call]]:
        """Answer which calls read which objects of this kind since the case began."""
        first = min((effect.at for effect in self._case.effects), default=None)
        found: dict[ObjectRef, list[Call]] = {}
        tools = {
            name
            for manifest in self._rules.values()
            for name, tool in manifest.tools.items()
            if tool.effect is EffectKind.READ
            and tool.object is not None
            and (tool.object.system, tool.object.type) == place
        }
        for tool in sorted(tools):
            asked: dict[str, Any] = {"tool": tool, "requested_at_from": first}
            later = self._view.each(Call, order="requested_at", **asked)
            calls = list(itertools.islice(later, MAX_READS + 1))
            if len(calls) > MAX_READS:
                calls.pop()
                self._cut[f"Of the later calls of {tool}, only the first {MAX_READS:,} are looked at."] = None
            for call in calls:
                for ref in self._objects_read(call):
                    found.setdefault(ref, []).append(call)
        return found

    def _objects_read(self, call: Call) -> tuple[ObjectRef, ...]:
        if call.verdict is not Verdict.ALLOW or call.outcome is Outcome.FAILED or not call.version:
            return ()
        rules = self._manifests.version(self._view, call.workflow, call.version)
        return rules.objects_read(call.tool, call.args, call.result)

    def _automations(self, links: Iterable[AuditLink]) -> Iterator[str]:
        """Answer the declared automations that react to what the case's calls or the later ones changed."""
        case = self._case
        tools = {(effect.workflow, effect.tool) for effect in case.effects}
        tools |= {(link.workflow, link.tool) for link in links if link.changed}
        for workflow in sorted({workflow for workflow, _tool in tools}):
            manifest = self._rules.get(workflow)
            for each in manifest.downstream if manifest else ():
                by = [tool for tool in each.tools if (workflow, tool) in tools]
                if by:
                    does = f" ({each.does})" if each.does else ""
                    yield f"{each.name} of {workflow}, after {listed(by)}{does}"

    def _missing(self) -> Iterator[str]:
        silent = sorted(
            {
                f"{name} of {workflow}"
                for workflow, manifest in self._rules.items()
                for name, tool in manifest.tools.items()
                if tool.effect is EffectKind.READ and tool.object is None
            }
        )
        if silent:
            yield f"What these tools read is not known, since they declare no object: {listed(silent)}."
        if len(self._rules) == MAX_WORKFLOWS:
            yield f"Only the read tools of {MAX_WORKFLOWS:,} workflows are looked at."
