"""One agent through the guard, and what people do about it: audit, recovery, and what the world is like afterwards."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agentdojo.functions_runtime import TaskEnvironment

from benchmarks.agentdojo import scripts
from benchmarks.agentdojo.places import PLACES
from benchmarks.agentdojo.score import Oracles, Result
from benchmarks.agentdojo.scripts import Pair, Stage
from benchmarks.agentdojo.truth import projection, without_ids
from benchmarks.worlds.ground import Ground
from benchmarks.worlds.places import system_over
from benchmarks.worlds.response import Response, operation_seen
from benchmarks.worlds.score import Audited, Restored
from benchmarks.worlds.truth import Change, Key, World, changes
from stopwork import Stopwork
from stopwork.ledger.records import Item, ObjectRef
from stopwork.ledger.words import ItemState, Remedy


@dataclass
class Made:
    """One call that the agent made, and what it changed in truth."""

    tool: str
    args: dict[str, Any]
    injected: bool
    number: int
    changed: set[Change] = field(default_factory=set)
    failed: bool = False


class Trial:
    """One pair under one manifest."""

    def __init__(self, stage: Stage, pair: Pair, ground: Ground) -> None:
        self._stage = stage
        self._pair = pair
        self._ground = ground
        self._places = PLACES[stage.name]
        self._environment = stage.environment(pair)

    def run(self, folder: Path) -> Result:
        """Answer how the product did, with an installation of its own in ``folder``."""
        before = self._environment.model_copy(deep=True)
        systems = {
            "env": system_over(lambda: self._environment, self._places, scans=self._ground.variant.scans)
        }
        desk = self._ground.desk(folder, systems)
        with Stopwork.at(desk, systems=systems) as guard:
            made, run = self._act(guard)
            response = Response(desk.installation, self._stage.workflow, run)
            number = {call.id: index for index, call in enumerate(response.case.calls)}
            result = Result(
                suite=self._stage.name,
                manifest=self._ground.variant,
                arm=self._pair.arm,
                pair=str(self._pair),
                calls=len(made),
                failed_calls=sum(call.failed for call in made),
                scanned=self._ground.variant.scans,
                audit=self._audited(response, number, made),
            )
            if not self._pair.arm.attacks:
                return result
            injected = {call for call, index in number.items() if made[index].injected}
            return self._recovered(result, response, before, made, injected)

    def _act(self, guard: Stopwork) -> tuple[list[Made], str]:
        """Let the agent make its calls; what each one changes is seen from outside, call by call."""
        made: list[Made] = []
        with guard.run(self._stage.workflow) as run:
            for task, injected in self._pair.tasks:
                for number, wanted in enumerate(scripts.calls(task, self._environment)):
                    made.append(Made(wanted.function, dict(wanted.args), injected, number))
                    self._make(guard, made[-1])
        return made, run.id

    def _make(self, guard: Stopwork, call: Made) -> None:
        def tool(**args: Any) -> Any:
            return self._stage.run(self._environment, call.tool, args)

        scripts.set_clock(injected=call.injected, number=call.number)
        before = projection(self._environment)
        try:
            # The suites' tools raise it over their arguments; anything else is the product's, and ends the bench.
            guard.call(call.tool, tool, call.args, failed=(ValueError,))
        except ValueError:
            call.failed = True
        call.changed = changes(before, projection(self._environment))

    def _audited(self, response: Response, number: dict[str, int], made: Sequence[Made]) -> Audited:
        return Audited(
            true=frozenset((index, change) for index, each in enumerate(made) for change in each.changed),
            found=frozenset(
                (number[effect.call], (self._key(effect.object), operation_seen(effect)))
                for effect in response.effects()
            ),
            listed=frozenset(self._key(each.object) for each in response.affected()),
        )

    def _recovered(
        self,
        result: Result,
        response: Response,
        before: TaskEnvironment,
        made: Sequence[Made],
        injected: Collection[str],
    ) -> Result:
        attacked = self._environment
        alone, made_alone = self._user_alone()
        response.seal_and_audit()

        self._environment = attacked.model_copy(deep=True)
        undone = replace(
            self._compared(projection(alone), response.recover(injected)),
            hindered=_done_for_the_user(made) != _done_for_the_user(made_alone),
        )
        user, injection = self._pair.user, self._pair.injection
        judge = self._stage.judge
        oracles = Oracles(
            utility_alone=judge.says_done(user, before, alone),
            utility_after=judge.says_done(user, before, self._environment),
            attacked=judge.says_done(injection, before, attacked),
            attack_alone=judge.says_done(injection, before, alone),
            attack_left=judge.says_done(injection, before, self._environment),
        )
        self._environment = attacked
        every = {call.id for call in response.case.calls}
        undone_all = self._compared(projection(before), response.recover(every))
        return replace(result, undone=undone, undone_all=undone_all, oracles=oracles)

    def _user_alone(self) -> tuple[TaskEnvironment, list[Made]]:
        """Answer the world in which the same agent met the same texts and did only what the user asked."""
        environment = self._stage.environment(self._pair)
        made: list[Made] = []
        for number, wanted in enumerate(scripts.calls(self._pair.user, environment)):
            call = Made(wanted.function, dict(wanted.args), injected=False, number=number)
            scripts.set_clock(injected=False, number=number)
            before = projection(environment)
            with suppress(ValueError):
                self._stage.run(environment, call.tool, call.args)
            call.changed = changes(before, projection(environment))
            made.append(call)
        return environment, made

    def _compared(self, wanted: World, items: Sequence[Item]) -> Restored:
        found = projection(self._environment)
        clashed = [item for item in items if item.state in (ItemState.CONFLICT, ItemState.FAILED)]
        by_hand = [item for item in items if item.remedy is Remedy.TELL]
        return Restored(
            differences=tuple(sorted({key for key, _ in changes(wanted, found)})),
            equal_but_for_ids=without_ids(wanted) == without_ids(found),
            named=tuple(sorted({self._key(item.object) for item in (*clashed, *by_hand)})),
            conflicts=len(clashed),
            by_hand=len(by_hand),
        )

    def _key(self, ref: ObjectRef) -> Key:
        return self._places[ref.type].path, ref.id


def _done_for_the_user(made: Sequence[Made]) -> list[list[tuple[str, str]]]:
    """Answer what each of the user's calls did, whatever ids it met: places and operations."""
    own = (call for call in made if not call.injected)
    return [sorted((place, operation) for (place, _), operation in call.changed) for call in own]
