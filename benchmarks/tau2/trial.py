"""One play through the guard, and what people do about it: audit, recovery, and what the world is like afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from benchmarks.tau2 import domains
from benchmarks.tau2.domains import Call, Domain, Refused, World
from benchmarks.tau2.places import PLACES
from benchmarks.tau2.plays import Arm, Play
from benchmarks.tau2.score import Copy, Judged, Result
from benchmarks.tau2.truth import Deed, deeds, projection, without
from benchmarks.worlds import truth
from benchmarks.worlds.ground import Ground, QuietDesk
from benchmarks.worlds.places import system_over
from benchmarks.worlds.response import Response, operation_seen
from benchmarks.worlds.score import Audited
from benchmarks.worlds.truth import Change, Key, changes
from stopwork import Stopwork
from stopwork.detect.registry import DETECTORS
from stopwork.incidents.undone import partly_undone
from stopwork.ledger.records import Call as Record
from stopwork.ledger.records import Item, ObjectRef, Signal
from stopwork.ledger.words import IncidentType, ItemState, Remedy
from stopwork.sdk.errors import CallDenied
from stopwork.worker.detection import Detection

_NOT_DONE: Final = (ItemState.CONFLICT, ItemState.FAILED)


class Lost(Exception):
    """The call has been made, and its answer has not arrived."""


class State:
    """What a world is like at one moment: all its objects, and what the package makes of it."""

    def __init__(self, world: World) -> None:
        self.objects = projection(world.environment)
        self.hashes = world.hashes


@dataclass
class Made:
    """One call that was made, and what it changed in truth."""

    call: Call
    id: str = ""
    changed: set[Change] = field(default_factory=set)
    deeds: set[Deed] = field(default_factory=set)
    failed: bool = False


class Trial:
    """One play under one manifest."""

    def __init__(self, domain: Domain, play: Play, ground: Ground) -> None:
        self._domain = domain
        self._play = play
        self._ground = ground
        self._places = PLACES[domain.name]
        self._world = domain.world(*play.tasks)

    def run(self, folder: Path) -> Result:
        """Answer how the product did, with an installation of its own in ``folder``."""
        scans = self._ground.variant.scans
        systems = {"env": system_over(lambda: self._world.environment, self._places, scans=scans)}
        desk = self._ground.desk(folder, systems)
        with Stopwork.at(desk, systems=systems) as guard:
            match self._play.arm:
                case Arm.ONCE | Arm.ANSWERS_LOST:
                    return self._once(guard, desk)
                case Arm.ROGUE_AFTER | Arm.ROGUE_BEFORE:
                    return self._rogue(guard, desk)
                case Arm.TWICE:
                    return self._twice(guard, desk)

    def _once(self, guard: Stopwork, desk: QuietDesk) -> Result:
        """Every call of one task; then all of them are undone."""
        before = State(self._world)
        calls = domains.calls(self._play.tasks[0])
        if not self._play.all_calls:
            calls = filter(self._world.writes, calls)
        made, run = self._act(guard, desk, calls)
        response = Response(desk.installation, self._domain.workflow, run)
        alarms = len(self._duplicates(desk))
        response.seal_and_audit()
        items = response.recover({call.id for call in response.case.calls})
        undone = self._compared(before, items)
        return self._result(
            made,
            response,
            undone_all=undone,
            false_conflicts=undone.conflicts,
            alarms=alarms,
        )

    def _rogue(self, guard: Stopwork, desk: QuietDesk) -> Result:
        """Two tasks in one world, of which the second was not wanted and is undone."""
        wanted, rogue = (list(filter(self._world.writes, domains.calls(task))) for task in self._play.tasks)
        if self._play.arm is Arm.ROGUE_BEFORE:
            unwanted, run = self._act(guard, desk, rogue)
            others, _ = self._act(guard, desk, wanted)
        else:
            others, _ = self._act(guard, desk, wanted)
            unwanted, run = self._act(guard, desk, rogue)
        alone = self._domain.world(*self._play.tasks)
        others_alone = _made(alone, wanted)

        response = Response(desk.installation, self._domain.workflow, run)
        later = {*response.seal_and_audit(followed=True), *response.drifted()}
        items = response.recover({call.id for call in response.case.calls})
        theirs = {key for each in others for key, _ in each.changed}
        clashed = {self._key(item.object) for item in items if item.state in _NOT_DONE}
        undone = self._compared(
            State(alone),
            items,
            later=later,
            hindered=[each.deeds for each in others] != [each.deeds for each in others_alone],
        )
        return self._result(
            unwanted,
            response,
            undone=undone,
            false_conflicts=len(clashed - theirs),
        )

    def _twice(self, guard: Stopwork, desk: QuietDesk) -> Result:
        """Each write of one task is made a second time at once; what the second one did is undone before the task goes on."""
        copies: list[Copy] = []
        everything: list[Made] = []
        with guard.run(self._domain.workflow) as run:
            for call in domains.calls(self._play.tasks[0]):
                if not self._world.writes(call):
                    continue
                everything.append(self._make(guard, desk, call))
                if everything[-1].failed:
                    continue
                once = State(self._world)
                second = self._make(guard, desk, replace(call, again=True))
                everything.append(second)
                copies.append(self._second(desk, run.id, second, once))
            response = Response(desk.installation, self._domain.workflow, run.id)
        return self._result(everything, response, copies=tuple(copies))

    def _second(self, desk: QuietDesk, run: str, second: Made, once: State) -> Copy:
        named = {copy for signal in self._duplicates(desk) for copy in signal.facts.get("copies", ())}
        found = Copy(tool=second.call.tool, took_effect=bool(second.changed), noticed=second.id in named)
        if not found.took_effect:
            return found
        response = Response(desk.installation, self._domain.workflow, run)
        response.seal_and_audit()
        items = response.recover({second.id})
        return Copy(
            tool=found.tool,
            took_effect=True,
            noticed=found.noticed,
            undone=self._compared(once, items),
        )

    def _act(self, guard: Stopwork, desk: QuietDesk, calls: Iterable[Call]) -> tuple[list[Made], str]:
        """Let the agent make these calls; what each one changes is seen from outside, call by call."""
        with guard.run(self._domain.workflow) as run:
            return [self._make(guard, desk, call) for call in calls], run.id

    def _make(self, guard: Stopwork, desk: QuietDesk, call: Call) -> Made:
        loses = self._play.arm is Arm.ANSWERS_LOST

        def tool(**_args: Any) -> Any:
            result = self._world.make(call)
            if loses:
                raise Lost(call.tool)
            return result

        made = Made(call)
        before = projection(self._world.environment)
        # What got no answer may have happened: the guard does not let it be done again before somebody has found out.
        with suppress(Lost, CallDenied):
            try:
                # The package's tools raise it over their arguments; anything else is the product's, and ends the bench.
                guard.call(call.tool, tool, call.args, failed=(Refused,))
            except Refused:
                made.failed = True
        _told(made, before, self._world)
        [latest] = desk.installation.store.read(
            lambda view: view.find(Record, order="-requested_at", limit=1)
        )
        made.id = latest.id
        return made

    def _duplicates(self, desk: QuietDesk) -> list[Signal]:
        """Answer the signals of duplicates, once the detectors have read all that is on record."""
        Detection(desk.installation, DETECTORS).follow()
        signals = desk.installation.store.read(lambda view: list(view.each(Signal)))
        return [signal for signal in signals if signal.type is IncidentType.DUPLICATE_WORK]

    def _result(self, made: Sequence[Made], response: Response, **found: Any) -> Result:
        variant = self._ground.variant
        number = {each.id: index for index, each in enumerate(made)}
        audit = Audited(
            true=frozenset((index, change) for index, each in enumerate(made) for change in each.changed),
            found=frozenset(
                (number[effect.call], (self._key(effect.object), operation_seen(effect)))
                for effect in response.effects()
            ),
            listed=frozenset(self._key(each.object) for each in response.affected()),
        )
        return Result(
            suite=self._domain.name,
            manifest=variant,
            arm=self._play.arm,
            pair=str(self._play),
            calls=len(made),
            failed_calls=sum(each.failed for each in made),
            scanned=variant.scans,
            audit=audit,
            **found,
        )

    def _compared(
        self,
        wanted: State,
        items: Sequence[Item],
        *,
        later: Iterable[ObjectRef] = (),
        hindered: bool = False,
    ) -> Judged:
        found = State(self._world)
        clashed = [item for item in items if item.state in _NOT_DONE]
        by_hand = [item for item in items if item.remedy is Remedy.TELL]
        differences = tuple(sorted({key for key, _ in changes(wanted.objects, found.objects)}))
        new = domains.new_ids()
        return Judged(
            differences=differences,
            equal_but_for_ids=not differences or without(wanted.objects, new) == without(found.objects, new),
            hashes_agree=wanted.hashes == found.hashes,
            named=tuple(sorted({self._key(item.object) for item in (*clashed, *by_hand)})),
            told=tuple(sorted({self._key(ref) for ref in (*later, *_left(items))})),
            hindered=hindered,
            conflicts=len(clashed),
            by_hand=len(by_hand),
        )

    def _key(self, ref: ObjectRef) -> Key:
        return self._places[ref.type].path, ref.id


def _left(items: Sequence[Item]) -> Iterable[ObjectRef]:
    """Answer the objects of the calls that the plan says are undone in part."""
    for each in partly_undone(items):
        yield from (*each.back, *each.partly, *each.left)


def _made(world: World, calls: Iterable[Call]) -> list[Made]:
    """Make these calls without anybody watching but the truth."""
    found: list[Made] = []
    for call in calls:
        found.append(Made(call))
        before = projection(world.environment)
        try:
            world.make(call)
        except Refused:
            found[-1].failed = True
        _told(found[-1], before, world)
    return found


def _told(made: Made, before: truth.World, world: World) -> None:
    after = projection(world.environment)
    made.changed, made.deeds = changes(before, after), deeds(before, after)
