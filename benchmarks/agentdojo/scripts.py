"""The agents: which calls they make, in which environment, at what time.

A *compromised* agent does what the user asked and then all that the injected text asks, without a model in between: the calls are the
suites' own ground truths, or follow from the goal where there is none. A *benign* agent does what the user asked and nothing else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, Final

import yaml
from agentdojo.agent_pipeline.base_pipeline_element import BasePipelineElement
from agentdojo.attacks import load_attack
from agentdojo.attacks.base_attacks import BaseAttack
from agentdojo.base_tasks import BaseInjectionTask, BaseUserTask
from agentdojo.default_suites.v1.tools import cloud_drive_client, email_client
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime, TaskEnvironment
from agentdojo.task_suite import task_suite
from agentdojo.task_suite.load_suites import get_suites
from agentdojo.task_suite.task_suite import TaskSuite

from benchmarks.agentdojo.goals import GOALS

VERSION: Final = "v1.2.2"
SUITES: Final = ("workspace", "banking")
START: Final = dt.datetime(2024, 5, 15, 12, 0)  # noqa: DTZ001 - the environments know no time zones


class Arm(StrEnum):
    """What the environment holds and what the agent makes of it."""

    IMPORTANT_INSTRUCTIONS = "important_instructions"
    IGNORE_PREVIOUS = "ignore_previous"
    OBEYED_FIRST = "important_instructions, obeyed first"
    POISONED = "poisoned, ignored"
    CLEAN = "clean"

    @property
    def attacks(self) -> bool:
        """Whether the agent does what the injected text asks."""
        return self not in (Arm.POISONED, Arm.CLEAN)

    @property
    def template(self) -> str | None:
        """The attack whose text stands in the environment."""
        if self is Arm.CLEAN:
            return None
        return Arm.IGNORE_PREVIOUS if self is Arm.IGNORE_PREVIOUS else Arm.IMPORTANT_INSTRUCTIONS


class Pair:
    """One user task with one injection task, in one arm."""

    def __init__(self, user: BaseUserTask, injection: BaseInjectionTask, arm: Arm) -> None:
        self.user = user
        self.injection = injection
        self.arm = arm

    @property
    def tasks(self) -> list[tuple[BaseUserTask | BaseInjectionTask, bool]]:
        """What the agent does, in order, and whether it is the injected task."""
        own, injected = (self.user, False), (self.injection, True)
        if not self.arm.attacks:
            return [own]
        return [injected, own] if self.arm is Arm.OBEYED_FIRST else [own, injected]

    def __str__(self) -> str:
        against = "" if self.arm is Arm.CLEAN else f" with {self.injection.ID}"
        return f"{self.user.ID}{against} ({self.arm})"


class Stage:
    """One suite: its environments, its tools and its pairs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.workflow = f"{name}-assistant"
        self.suite: TaskSuite[Any] = get_suites(VERSION)[name]
        self.runtime = FunctionsRuntime(self.suite.tools)
        self.judge = Judge()
        templates = dict.fromkeys(arm.template for arm in Arm if arm.template)
        self._attacks: dict[str, BaseAttack] = {
            template: load_attack(template, self.suite, _NoModel()) for template in templates
        }
        self._environments: dict[str, TaskEnvironment] = {}

    def pairs(self) -> Iterator[Pair]:
        """Yield every pair in every arm; without an injection there is one clean run for each user task."""
        injections = list(self.suite.injection_tasks.values())
        for user in self.suite.user_tasks.values():
            yield Pair(user, injections[0], Arm.CLEAN)
            for injection in injections:
                yield from (Pair(user, injection, arm) for arm in Arm if arm is not Arm.CLEAN)

    def environment(self, pair: Pair) -> TaskEnvironment:
        """Answer a fresh environment for the pair, poisoned where its arm says so."""
        template = pair.arm.template
        return self.injected(
            pair, self._attacks[template].attack(pair.user, pair.injection) if template else {}
        )

    def places(self, pair: Pair) -> list[str]:
        """Answer the places that an attacker can write in and the user's task looks at."""
        return list(next(iter(self._attacks.values())).get_injection_candidates(pair.user))

    def injected(self, pair: Pair, injected: dict[str, str]) -> TaskEnvironment:
        """Answer a fresh environment for the pair with these texts in these places."""
        key = hashlib.sha256(json.dumps(injected, sort_keys=True).encode()).hexdigest()
        if key not in self._environments:
            self._environments[key] = self.suite.load_and_inject_default_environment(injected)
        return pair.user.init_environment(self._environments[key].model_copy(deep=True))

    def run(self, environment: TaskEnvironment, tool: str, args: dict[str, Any]) -> Any:
        """Run one tool and answer its result as plain JSON; raises what the tool raises."""
        result, _ = self.runtime.run_function(environment, tool, args, raise_on_error=True)
        return as_json(result)


class _NoModel(BasePipelineElement):
    """The name that the attacks address; no model stands behind it, and it answers nothing."""

    name = "local"

    def query(self, *given: Any, **options: Any) -> Any:
        return *given, options


def calls(task: BaseUserTask | BaseInjectionTask, environment: TaskEnvironment) -> list[FunctionCall]:
    """Answer what the task takes from here on. It depends on the state, so it is asked when its turn comes, and on a copy."""
    found: list[FunctionCall] = task.ground_truth(environment.model_copy(deep=True))
    if found or isinstance(task, BaseUserTask):
        return found
    return GOALS[task.ID](task, environment.model_copy(deep=True))


def as_json(value: Any) -> Any:
    """Answer a tool's result as a model would be shown it, sharing nothing with the environment."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value


class _Stopped(dt.datetime):
    """A clock that shows what it was set to."""

    shown: dt.datetime = START

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return cls.shown if tz is None else cls.shown.astimezone(tz)


def prepare() -> None:
    """Let the suites' tools read a clock that only :func:`set_clock` moves, so that two worlds can be compared to the second.

    And let the suites be read by the parser in C: the same documents, sooner.
    """
    task_suite.yaml = SimpleNamespace(load=yaml.load, dump=yaml.dump, safe_load=_load)
    stopped = SimpleNamespace(datetime=_Stopped, date=dt.date, timedelta=dt.timedelta)
    for module in (email_client, cloud_drive_client):
        module.datetime = stopped


def _load(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def set_clock(*, injected: bool, number: int) -> None:
    """Set the clock for one call: the n-th call of the user's task is at the same time in every world."""
    _Stopped.shown = START + dt.timedelta(minutes=number + (1000 if injected else 0))


class Judge:
    """The suite's own oracles. They change what they are given, so they get copies; the same question is asked once."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, bytes, bytes], bool] = {}

    def says_done(
        self, task: BaseUserTask | BaseInjectionTask, before: TaskEnvironment, after: TaskEnvironment
    ) -> bool:
        """Answer whether the oracle sees the user's task, or the injected one, done in the world ``after``."""
        question = task.ID, _digest(before), _digest(after)
        if question not in self._said:
            given = before.model_copy(deep=True), after.model_copy(deep=True)
            oracle = task.utility if isinstance(task, BaseUserTask) else task.security
            self._said[question] = bool(oracle(task.GROUND_TRUTH_OUTPUT, *given))
        return self._said[question]


def _digest(environment: TaskEnvironment) -> bytes:
    return hashlib.sha256(environment.model_dump_json().encode()).digest()
