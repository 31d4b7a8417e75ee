"""The tools that this process has guarded, by the names that the manifest gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from stopwork.kernel.errors import NotFound
from stopwork.kernel.phrases import listed
from stopwork.sdk.binding import Binding, Signature
from stopwork.sdk.doubt import AuthorSays

MAX_NAMED: Final = 8


class GuardedTool:
    """One decorated function and what its author said of it."""

    def __init__(
        self, name: str, function: Callable[..., Any], signature: Signature, author: AuthorSays
    ) -> None:
        self.name = name
        self.function = function
        self.author = author
        self._signature = signature

    def restore(self, args: Mapping[str, Any], given: Mapping[str, Any]) -> Binding:
        """Answer the call with recorded arguments; ``given`` are the parameters that are passed through and never recorded."""
        return self._signature.restore(args, given)


class Tools:
    """A call that is carried out elsewhere than it was made needs its function: the one of that name here.

    Of several functions under one name the latest counts.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, GuardedTool] = {}

    def add(self, tool: GuardedTool) -> None:
        """Make a tool known."""
        self._by_name[tool.name] = tool

    @property
    def names(self) -> tuple[str, ...]:
        """The tools that can be carried out here."""
        return tuple(self._by_name)

    def get(self, name: str) -> GuardedTool | None:
        """Answer the tool, or ``None`` when no function of this process is guarded under its name."""
        return self._by_name.get(name)

    def need(self, name: str) -> GuardedTool:
        """Answer the tool; ``NotFound`` when no function of this process is guarded under its name."""
        tool = self._by_name.get(name)
        if tool is None:
            known = listed(self._by_name, most=MAX_NAMED) or "none"
            raise NotFound(
                f"no function is guarded as {name} in this process",
                hint=f"Import the module that defines it before you resume. Guarded here: {known}.",
                tool=name,
            )
        return tool
