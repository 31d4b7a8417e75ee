"""A tool's Python signature on one side, the plain arguments that are decided about on the other.

What runs is what was permitted: plain JSON values are passed to the function from the permit itself, so that nothing that happens
to the caller's lists and dictionaries in between, and no editing by an approver, is lost or smuggled in. A value that JSON has no
word for (a time, a decimal, a record of your own) is passed as it is, if it still says what was permitted.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final, get_type_hints

import msgspec

from stopwork.kernel.canonical import canonical_bytes, plain, revive
from stopwork.kernel.errors import Conflict, Invalid, StopworkError

_RECEIVERS: Final = frozenset({"self", "cls"})


class Binding:
    """One call's arguments: ``args`` as plain content, and the function made ready to run with what is permitted."""

    def __init__(
        self, function: Callable[..., Any], bound: inspect.BoundArguments, left_out: frozenset[str]
    ) -> None:
        self._function = function
        self._bound = bound
        self._recorded = _flat(bound, left_out)
        self.args: dict[str, Any] = plain(self._recorded)

    def ready(self, permitted: Mapping[str, Any]) -> Callable[[], Any]:
        """Answer the function with the permitted arguments; ``Conflict`` when one of the caller's values has changed since."""
        values = {name: self._value(name, permitted[name]) for name in self._recorded if name in permitted}
        strangers = permitted.keys() - self._recorded.keys()
        missing = self._recorded.keys() - permitted.keys()
        if strangers or missing:
            names = ", ".join(sorted(strangers | missing))
            raise Conflict(
                f"the permit is for other arguments: {names}",
                hint="A permit may change the values of arguments, not add or drop them.",
            )
        positional, named = self._spread(values)
        return functools.partial(self._function, *positional, **named)

    def _value(self, name: str, permitted: Any) -> Any:
        own = self._recorded[name]
        if _is_json(own):
            return _as_given(revive(permitted), own)
        wanted = canonical_bytes(permitted)
        if canonical_bytes(plain(own)) == wanted:
            return own
        if canonical_bytes(self.args[name]) == wanted:
            raise Conflict(
                f"argument {name!r} was changed after the call was permitted",
                hint="Do not change an object that a guarded call is still using.",
                field=name,
            )
        return _edited(name, permitted, own)

    def _spread(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for name, parameter in self._bound.signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                extra = self._bound.arguments.get(name, {})
                named |= {key: values.pop(key, value) for key, value in extra.items()}
            elif name not in self._bound.arguments:
                continue
            elif parameter.kind is parameter.VAR_POSITIONAL:
                positional.extend(values.pop(name, self._bound.arguments[name]))
            elif parameter.kind is parameter.KEYWORD_ONLY:
                named[name] = values.pop(name, self._bound.arguments[name])
            else:
                positional.append(values.pop(name, self._bound.arguments[name]))
        return positional, named


class Signature:
    """How a function's parameters become a call's arguments.

    ``leave_out`` names parameters that are passed through and never recorded: a client, a context, a secret. ``self`` and ``cls``
    are left out by themselves.
    """

    def __init__(self, function: Callable[..., Any], leave_out: tuple[str, ...] = ()) -> None:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Invalid(
                f"{_name(function)} is a generator and cannot be a tool",
                hint="Return a list: a call has one result, which is recorded.",
            )
        self._function = function
        self._signature = inspect.signature(function)
        names = tuple(self._signature.parameters)
        unknown = [name for name in leave_out if name not in names]
        if unknown:
            raise Invalid(
                f"{_name(function)} has no parameter {unknown[0]!r} to leave out",
                hint=f"Its parameters are: {', '.join(names) or 'none'}.",
                field="leave_out",
            )
        self._left_out = frozenset(leave_out) | (_RECEIVERS & set(names[:1]))

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Binding:
        """Answer the call's arguments, defaults included; ``TypeError`` as Python would raise it."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return Binding(self._function, bound, self._left_out)

    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Answer whether Python would begin the function with these arguments."""
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError:
            return False
        return True

    def restore(self, args: Mapping[str, Any], given: Mapping[str, Any]) -> Binding:
        """Answer the binding for recorded arguments, made anew as the parameters' annotations say, and ``given`` beside them.

        ``Invalid`` names a parameter that was not recorded and is not given, and an argument that the function does not take.
        """
        left, named = dict(args), dict(given)
        positional: list[Any] = []
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                named |= {key: revive(left.pop(key)) for key in tuple(left)}
            elif parameter.kind is parameter.VAR_POSITIONAL:
                positional.extend(map(revive, left.pop(name, ())))
            elif name in left:
                value = _made_anew(left.pop(name), self._hints.get(name))
                if parameter.kind is parameter.KEYWORD_ONLY:
                    named[name] = value
                else:
                    positional.append(value)
            elif name in named and parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(named.pop(name))
            elif name not in named and parameter.default is parameter.empty:
                raise Invalid(
                    f"{_name(self._function)} needs {name!r}, which is not recorded",
                    hint=f"Give it: resume(token, {name}=...), or run({name}=...) for a released draft.",
                    field=name,
                )
            elif parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(parameter.default)
        strangers = sorted(left)
        if strangers:
            raise Invalid(
                f"{_name(self._function)} takes no {strangers[0]!r}, which the call was made with",
                hint="Is it the same version of the tool as the one that made the call?",
                field=strangers[0],
            )
        try:
            bound = self._signature.bind(*positional, **named)
        except TypeError as error:
            raise Invalid(f"{_name(self._function)}: {error}", hint="Give only what it leaves out.") from None
        bound.apply_defaults()
        return Binding(self._function, bound, self._left_out)

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self._function)
        except Exception:  # noqa: BLE001 - annotations may name what only a type checker sees; then values stay plain
            return {}


def bind_mapping(function: Callable[..., Any], args: Mapping[str, Any]) -> Binding:
    """Answer the binding for a function that is called with exactly these keyword arguments."""

    @functools.wraps(function)
    def call(**arguments: Any) -> Any:
        return function(**arguments)

    signature = inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)])
    return Binding(call, signature.bind(**dict(args)), frozenset())


def _made_anew(value: Any, hint: Any) -> Any:
    """Answer the recorded value as the parameter's type, if that says the same again; else as plain content."""
    if hint is not None:
        with contextlib.suppress(msgspec.ValidationError, TypeError, StopworkError):
            made = msgspec.convert(value, hint)
            if canonical_bytes(plain(made)) == canonical_bytes(value):
                return made
    return revive(value)


def _edited(name: str, permitted: Any, own: Any) -> Any:
    """Answer what a reviewer put in the place of the caller's value, as a value of its type; ``Conflict`` where there is none."""
    kind = type(own)
    if kind in (list, dict):
        return revive(permitted)
    made = _made_anew(permitted, kind)
    if isinstance(made, kind):
        return made
    if isinstance(own, set | PurePath | str) and isinstance(made, frozenset | str):
        return kind(made)
    raise Conflict(
        f"argument {name!r} was edited, and the edited value is no {kind.__qualname__}",
        hint="Nothing ran. Pass plain JSON values to a tool whose arguments people may change.",
        field=name,
    )


def _flat(bound: inspect.BoundArguments, left_out: frozenset[str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if name in left_out:
            continue
        if kind is inspect.Parameter.VAR_KEYWORD:
            flat |= {key: item for key, item in value.items() if key not in left_out}
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            flat[name] = list(value)
        else:
            flat[name] = value
    return flat


def _is_json(value: Any) -> bool:
    if type(value) in (list, dict):
        items = value.values() if type(value) is dict else value
        return all(map(_is_json, items))
    return value is None or type(value) in (str, bool, int, float)


def _as_given(permitted: Any, own: Any) -> Any:
    """Answer what is permitted in the caller's spelling: its floats as floats, where JSON writes 50.0 as 50, and its order of keys."""
    match permitted, own:
        case int(), float() if type(permitted) is int and abs(permitted) <= sys.float_info.max:
            return same if (same := float(permitted)) == permitted else permitted
        case list(), list():
            return [_as_given(*pair) for pair in zip(permitted, own, strict=False)] + permitted[len(own) :]
        case dict(), dict():
            names = [name for name in (*own, *permitted) if name in permitted]
            return {name: _as_given(permitted[name], own.get(name)) for name in names}
    return permitted


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
