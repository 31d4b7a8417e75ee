"""What a run has read from outside, looked at when it wants to change something: whether the call follows that instead of its task.

A run that has read nothing from outside costs nothing here. Of one that has, the newest things are looked at, in the transaction that decides
the call, so that what is found is on record with the decision, and detectors find the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from stopwork.control.decide import CallRequest
from stopwork.control.steering.content import Foreign
from stopwork.control.steering.judge import judge
from stopwork.control.steering.subject import Errand, Subject, names_a_link
from stopwork.ledger.records import Call, Run, Step, Suspicion, Vetted
from stopwork.ledger.words import EffectKind, StepKind
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.model import Manifest, Tool, Trust
from stopwork.storage.view import View

#: So many calls of the run are asked what it knows from inside.
MOST_VOUCHING: Final = 200


def suspect(view: View, rules: CompiledManifest | None, request: CallRequest) -> Suspicion | None:
    """Answer what makes it likely that the call follows something its run has read; ``None`` where that is less than the rule asks for."""
    run = request.run
    if rules is None or not run.foreign:
        return None
    manifest = rules.manifest
    alert = manifest.alerts.prompt_injection
    tool = manifest.tools.get(request.tool)
    if not alert.enabled or tool is None or not _can_do_harm(tool, request.args):
        return None
    found = judge(
        Subject(
            tool=request.tool,
            effect=tool.effect,
            args=request.args,
            destinations=request.destinations or (),
        ),
        tuple(_foreign(view, manifest, run)),
        Errand(task=run.task, purpose=" ".join(filter(None, (manifest.title, manifest.description)))),
        steered=run.steered,
        vouched=lambda: _vouched(view, run),
        vetted=lambda value: _is_vetted(view, request, value),
    )
    return replace(found, over=True) if found is not None and found.score >= alert.score else None


def _can_do_harm(tool: Tool, args: dict[str, Any]) -> bool:
    """Answer whether the call changes something, or can carry something away by the address that it reads."""
    return tool.effect is not EffectKind.READ or names_a_link(args)


def _foreign(view: View, manifest: Manifest, run: Run) -> Iterator[Foreign]:
    for record in run.foreign:
        call = view.get(Call, record)
        if call is not None:
            if call.result is not None and call.source is not None:
                yield Foreign(record=call.id, source=call.source, given=call.args, content=call.result)
            continue
        step = view.get(Step, record)
        if step is not None and step.source is not None:
            declared = manifest.sources.get(step.source)
            if declared is None or declared.trust is not Trust.INTERNAL:
                yield Foreign(record=step.id, source=step.source, given=step.name, content=step.facts)


def _is_vetted(view: View, request: CallRequest, value: str) -> bool:
    """Answer whether people have let another call of the tool pass with the value, in whichever run."""
    known = view.get(Vetted, Vetted.id_of(request.workflow, request.tool, value))
    return known is not None and known.call != request.id


def _vouched(view: View, run: Run) -> Iterator[Any]:
    """Yield what the run has read from inside the company, and what people have told it."""
    foreign = set(run.foreign)
    for call in view.find(Call, run=run.id, order="-requested_at", limit=MOST_VOUCHING):
        if call.effect is EffectKind.READ and call.id not in foreign:
            yield call.result
    for step in view.find(Step, run=run.id, order="-at", limit=MOST_VOUCHING):
        if step.kind is StepKind.MESSAGE and step.source is None:
            yield step.facts
