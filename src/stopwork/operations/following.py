"""What followed from an audited case: later calls, of any workflow, that had to do with the objects it changed.

From each object to the later calls that changed, read or named it, from a call to what it changed itself, from a call that read to what
its run changed after that, and so on until nothing new is found. What a call read, or named without a change that anybody saw, is told by
the ``object`` that the manifest declares for its tool, in the version under which the call was made.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, TypeVar

from msgspec import Struct

from stopwork.incidents.affected import affected_objects
from stopwork.incidents.case import Case
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import (
    AuditFollowed,
    AuditLink,
    Call,
    Effect,
    ManifestVersion,
    ObjectRef,
    Record,
    Workflow,
)
from stopwork.ledger.words import AuditLinkKind, EffectKind, Outcome, Verdict
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Manifest
from stopwork.operations.manifests import Manifests
from stopwork.storage.view import View

#: How many later calls are listed.
MAX_LINKS: Final = 1_000
#: How many later calls of one tool are looked through for the objects they name, and how many effects on one object or of one run.
MAX_LOOKED: Final = 20_000
MAX_WORKFLOWS: Final = 1_000
#: How many versions of one manifest are looked at for tools that have been renamed or dropped since.
MAX_VERSIONS: Final = 100
#: How long calls under a version may be told of after the next one is in force: reads on a lease, calls that were waiting.
LINGER: Final = timedelta(hours=1)

R = TypeVar("R", bound=Record)


class _Reached(Struct, frozen=True):
    """An object that something is known to have changed, since when, and the path to it."""

    object: ObjectRef
    since: datetime
    path: tuple[str, ...]


class _Touch(Struct, frozen=True):
    """A call that read an object, or named it and would have changed it."""

    call: Call
    kind: AuditLinkKind


def followed(view: View, manifests: Manifests, case: Case, *, most: int = MAX_LINKS) -> AuditFollowed:
    """Answer the later calls that changed, read or named what the case's calls changed, and so on; at most ``most``."""
    return _Search(view, manifests, case, most).run()


class _Search:
    def __init__(self, view: View, manifests: Manifests, case: Case, most: int) -> None:
        self._view = view
        self._manifests = manifests
        self._case = case
        self._most = most
        self._own = {call.id for call in case.calls}
        self._began = min((effect.at for effect in case.effects), default=case.incident.opened_at)
        self._links: dict[str, AuditLink] = {}
        self._touched: dict[tuple[str, str], dict[ObjectRef, list[_Touch]]] = {}
        self._cut: dict[str, None] = {}
        self._more = False
        self._rules = {
            each.id: tuple(self._versions(each)) for each in view.find(Workflow, limit=MAX_WORKFLOWS)
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
        while waiting and not self._more:
            for reached in self._step(waiting.popleft()):
                before = known.get(reached.object)
                if (
                    before is None or reached.since < before
                ):  # found again, and changed earlier than was known
                    known[reached.object] = reached.since
                    waiting.append(reached)
        if self._more:
            self._cut[f"Only {self._most:,} later calls are listed; there are more."] = None
        links = tuple(sorted(self._links.values(), key=lambda link: (link.at, link.call)))
        return AuditFollowed(
            links=links,
            automations=tuple(self._automations(links)),
            cut=" ".join(self._cut),
            missing=tuple(self._missing()),
        )

    def _versions(self, workflow: Workflow) -> Iterator[Manifest]:
        """Answer what was in force for a workflow at any time since the case began, the newest first."""
        newest = self._view.each(ManifestVersion, workflow=workflow.id, order="-version")
        were = (each for each in newest if each.in_force_since or each.version == workflow.version)
        for each in self._some(were, MAX_VERSIONS, f"versions of {workflow.id}", "newest"):
            yield self._manifests.version(self._view, workflow.id, each.version).manifest
            if each.in_force_since and each.in_force_since <= self._began - LINGER:
                return

    def _some(self, found: Iterable[R], most: int, what: str, which: str = "first") -> Iterator[R]:
        """Answer at most so many of them, and say so where there are more."""
        for number, each in enumerate(found):
            if number == most:
                self._cut[f"Of the {what}, only the {which} {most:,} are looked at."] = None
                return
            yield each

    def _step(self, here: _Reached) -> Iterator[_Reached]:
        later = self._view.each(Effect, object_key=str(here.object), at_from=here.since, order="at")
        for effect in self._some(later, MAX_LOOKED, f"later changes of {here.object}"):
            yield from self._linked(here, effect.call, AuditLinkKind.CHANGED)
        for touch in self._touching(here):
            call = touch.call
            yield from self._linked(here, call.id, touch.kind)
            if touch.kind is AuditLinkKind.READ and not self._more:
                after = _Reached(here.object, here.since, (*here.path, call.id))
                written = self._view.each(Effect, run=call.run, at_from=call.requested_at, order="at")
                for effect in self._some(written, MAX_LOOKED, f"later changes of {call.run}"):
                    yield from self._linked(after, effect.call, AuditLinkKind.AFTER)

    def _linked(self, here: _Reached, call_id: str, kind: AuditLinkKind) -> Iterator[_Reached]:
        """List a call once, by the path that was found first, and answer what it changed."""
        if self._more or call_id in self._own or call_id in self._links:
            return
        call = self._view.get(Call, call_id)
        if call is None:
            return
        if len(self._links) == self._most:
            self._more = True
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

    def _touching(self, here: _Reached) -> list[_Touch]:
        """Answer the calls that read or named the object since, oldest first."""
        place = (here.object.system, here.object.type)
        if place not in self._touched:
            self._touched[place] = self._touches(place)
        since = here.since
        return [each for each in self._touched[place].get(here.object, ()) if each.call.requested_at >= since]

    def _touches(self, place: tuple[str, str]) -> dict[ObjectRef, list[_Touch]]:
        """Answer which calls read or named which objects of this kind since the case began."""
        found: dict[ObjectRef, list[_Touch]] = {}
        tools = {
            name
            for manifest in itertools.chain.from_iterable(self._rules.values())
            for name, tool in manifest.tools.items()
            if tool.object is not None and (tool.object.system, tool.object.type) == place
        }
        for tool in sorted(tools):
            later = self._view.each(Call, tool=tool, requested_at_from=self._began, order="requested_at")
            for call in self._some(later, MAX_LOOKED, f"later calls of {tool}"):
                kind = AuditLinkKind.READ if call.effect is EffectKind.READ else AuditLinkKind.NAMED
                for ref in self._objects_of(call):
                    found.setdefault(ref, []).append(_Touch(call, kind))
        for touches in found.values():
            touches.sort(key=lambda touch: touch.call.requested_at)
        return found

    def _objects_of(self, call: Call) -> tuple[ObjectRef, ...]:
        """Answer what a call that was let through read, or would have changed; a read that failed has read nothing."""
        if call.verdict is not Verdict.ALLOW or not call.version:
            return ()
        rules = self._manifests.version(self._view, call.workflow, call.version)
        if call.effect is EffectKind.READ:
            failed = call.outcome is Outcome.FAILED
            return () if failed else rules.objects_read(call.tool, call.args, call.result)
        if call.tool not in rules.manifest.tools:
            return ()
        try:
            named = rules.object_ref(call.tool, call.args)
        except ExpressionError:
            return ()  # only its effects tell what it was about
        return () if named is None else (named,)

    def _automations(self, links: Iterable[AuditLink]) -> Iterator[str]:
        """Answer the declared automations that react to what the case's calls or the later ones changed."""
        case = self._case
        tools = {(effect.workflow, effect.tool) for effect in case.effects}
        tools |= {(link.workflow, link.tool) for link in links if link.changed}
        for workflow in sorted({workflow for workflow, _tool in tools}):
            declared = {
                each.name: each for rules in self._rules.get(workflow, ())[::-1] for each in rules.downstream
            }
            for each in declared.values():
                by = [tool for tool in each.tools if (workflow, tool) in tools]
                if by:
                    does = f" ({each.does})" if each.does else ""
                    yield f"{each.name} of {workflow}, after {listed(by)}{does}"

    def _missing(self) -> Iterator[str]:
        silent = sorted(
            {
                f"{name} of {workflow}"
                for workflow, versions in self._rules.items()
                for manifest in versions
                for name, tool in manifest.tools.items()
                if tool.effect is EffectKind.READ and tool.object is None
            }
        )
        if silent:
            yield f"What these tools read is not known, since they declare no object: {listed(silent)}."
        if len(self._rules) == MAX_WORKFLOWS:
            yield f"Only the read tools of {MAX_WORKFLOWS:,} workflows are looked at."
