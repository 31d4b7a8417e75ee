"""The two domains: their tasks, their worlds, and the calls that solve a task.

An agent without a model: it makes the calls that the task itself gives, those of the company's desk and those that the customer makes on
the phone. After each call the two sides take notice of each other, as in the package's own simulation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final

from msgspec import Struct
from pydantic_core import to_jsonable_python
from tau2.data_model.tasks import EnvFunctionCall, Task
from tau2.domains.telecom import tools as telecom_tools
from tau2.environment.environment import Environment

DOMAINS: Final = ("retail", "telecom")


class Refused(Exception):
    """The tool did not do what it was asked, and says why."""


class Call(Struct, frozen=True, kw_only=True):
    """One call of a task: the how-manieth of it, and whether it is made a second time."""

    task: str
    number: int
    tool: str
    args: dict[str, Any]
    by_customer: bool
    again: bool = False


class World:
    """One environment of a domain, in which calls are made."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def writes(self, call: Call) -> bool:
        """Answer whether the package itself counts the tool among those that write."""
        kit = self.environment.user_tools if call.by_customer else self.environment.tools
        return str(kit.tool_type(call.tool).value) == "write"

    def make(self, call: Call) -> Any:
        """Make one call and answer its result as plain JSON."""
        _Ids.stand_for(call)
        who = "user" if call.by_customer else "assistant"
        try:
            result = self.environment.make_tool_call(call.tool, requestor=who, **call.args)
        except ValueError as error:
            raise Refused(str(error)) from error
        self.environment.sync_tools()
        return to_jsonable_python(result)

    @property
    def hashes(self) -> tuple[str | None, str | None]:
        """The package's own judgement whether two worlds are the same: the company's side, and the customer's."""
        return self.environment.get_db_hash(), self.environment.get_user_db_hash()


class Domain:
    """The tasks of one domain, in their own order."""

    def __init__(self, name: str, split: str = "base") -> None:
        self.name = name
        self.workflow = f"{name}-desk"
        self._split = split

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks of this split that have something to do."""
        found: list[Task] = _module(self.name).get_tasks(self._split)
        return [task for task in found if task.evaluation_criteria and task.evaluation_criteria.actions]

    def world(self, *tasks: Task) -> World:
        """Answer a fresh world in which these tasks are to be done: what has gone wrong for the customer in each of them.

        What of a later task cannot go wrong any more, because it already has, is left as it is.
        """
        world = World(_module(self.name).get_environment())
        for task in tasks:
            state = task.initial_state
            if state is not None:
                world.environment.set_state(state.initialization_data, None, state.message_history or [])
                for each in state.initialization_actions or ():
                    _go_wrong(world.environment, each)
        return world


def calls(task: Task) -> Iterator[Call]:
    """Yield the calls that solve a task."""
    for number, action in enumerate(task.evaluation_criteria.actions):
        yield Call(
            task=task.id,
            number=number,
            tool=action.name,
            args=dict(action.arguments),
            by_customer=action.requestor == "user",
        )


def prepare() -> None:
    """Let new bills have ids that two worlds agree on."""
    telecom_tools.uuid = SimpleNamespace(uuid4=_Ids.next)


def new_ids() -> frozenset[str]:
    """Answer every id that was given to a new bill in this process."""
    return frozenset(_Ids.given)


class _Ids:
    """The same call makes the same id in every world; no other call does."""

    given: set[str] = set()
    _call: Call | None = None

    @classmethod
    def stand_for(cls, call: Call) -> None:
        cls._call = call

    @classmethod
    def next(cls) -> Any:
        call = cls._call
        name = repr((call.task, call.number, call.again) if call else None)
        found = hashlib.sha256(name.encode()).hexdigest()[:8]
        cls.given.add(f"B{found}")
        return SimpleNamespace(hex=found)


def _go_wrong(environment: Environment, action: EnvFunctionCall) -> None:
    with suppress(ValueError):
        environment.run_env_function_call(action)


def _module(domain: str) -> Any:
    # Straight from its module: the package's registry would bring everything that it can do besides.
    return import_module(f"tau2.domains.{domain}.environment")
