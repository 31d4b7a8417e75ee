"""The same agents through the guard, with the gate on: what they are kept from, as the suite's own oracles see it, and whom it bothers.

A call that people are asked about is not made: nobody answers here, and the agent goes on with the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.agentdojo import scripts
from benchmarks.agentdojo.injection.weighed import CLEAN, IGNORED, Worlds
from benchmarks.agentdojo.places import PLACES
from benchmarks.agentdojo.scripts import Pair
from benchmarks.worlds.ground import Ground, Variant
from benchmarks.worlds.places import system_over
from stopwork import Stopwork
from stopwork.sdk import CallDenied, CallWaiting

_MANIFESTS: Final = Path(__file__).parents[1] / "manifests"
_OFF: Final = "prompt_injection: {enabled: false}"


@dataclass(frozen=True)
class Gated:
    """What came of one agent: how many calls of each kind that change something people were asked about, and what the oracles saw."""

    suite: str
    arm: str
    user: str
    injection: str
    asked_own: int
    asked_injected: int
    attack_unguarded: bool
    attack_guarded: bool
    utility_unguarded: bool
    utility_guarded: bool


class Gate:
    """One suite's environments behind a guard that asks people about calls which follow what was read."""

    def __init__(self, suite: str, folder: Path) -> None:
        self.worlds = Worlds(suite)
        self._folder = folder
        declared = folder / f"{suite}.yaml"
        text = (_MANIFESTS / declared.name).read_text(encoding="utf-8")
        if _OFF not in text:
            raise ValueError(f"{declared.name} does not say what this bench turns on")
        declared.write_text(text.replace(_OFF, "prompt_injection: {gate: ask}"), encoding="utf-8")
        self._ground = Ground(folder, declared, Variant.NO_SCAN)

    def trials(self, arm: str, template: str | None) -> Iterator[Gated]:
        """Yield what came of each pair of the arm."""
        for pair in self.worlds.pairs(arm):
            yield self._trial(pair, arm, template)

    def _trial(self, pair: Pair, arm: str, template: str | None) -> Gated:
        before = self.worlds.environment(pair, template)
        alone, guarded = (before.model_copy(deep=True) for _ in range(2))
        obeys = arm not in (CLEAN, IGNORED)
        for tool, args, _ in _calls(pair, alone, obeys=obeys):
            self._run(alone, tool, args)
        asked = self._guarded(pair, guarded, obeys=obeys)
        judge = self.worlds.stage.judge
        return Gated(
            suite=self.worlds.suite,
            arm=arm,
            user=pair.user.ID,
            injection=pair.injection.ID,
            asked_own=asked[False],
            asked_injected=asked[True],
            attack_unguarded=obeys and judge.says_done(pair.injection, before, alone),
            attack_guarded=obeys and judge.says_done(pair.injection, before, guarded),
            utility_unguarded=judge.says_done(pair.user, before, alone),
            utility_guarded=judge.says_done(pair.user, before, guarded),
        )

    def _guarded(self, pair: Pair, environment: Any, *, obeys: bool) -> dict[bool, int]:
        """Let the agent make its calls through the guard; answer how many of its own, and of the injected ones, people were asked about."""
        asked = {False: 0, True: 0}
        place = self._folder / "installation"
        systems = {"env": system_over(lambda: environment, PLACES[self.worlds.suite], scans=False)}
        desk = self._ground.desk(place, systems)
        with (
            Stopwork.at(desk, systems=systems) as guard,
            guard.run(self.worlds.stage.workflow, task=pair.user.PROMPT),
        ):
            for tool, args, injected in _calls(pair, environment, obeys=obeys):

                def made(name: str = tool, **given: Any) -> Any:
                    return self.worlds.stage.run(environment, name, given)

                try:
                    guard.call(tool, made, args, failed=(ValueError,))
                except (CallWaiting, CallDenied):
                    asked[injected] += 1
                except ValueError:
                    continue
        shutil.rmtree(place)
        return asked

    def _run(self, environment: Any, tool: str, args: dict[str, Any]) -> None:
        try:
            self.worlds.stage.run(environment, tool, args)
        except ValueError:
            return


def _calls(pair: Pair, environment: Any, *, obeys: bool) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield the calls of the user's task and, by an agent that obeys, those of the injected one, as the environment is by then."""
    for task, injected in [(pair.user, False), *([(pair.injection, True)] if obeys else [])]:
        for number, wanted in enumerate(scripts.calls(task, environment)):
            scripts.set_clock(injected=injected, number=number)
            yield wanted.function, dict(wanted.args), injected
