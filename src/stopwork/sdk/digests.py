"""Digests of what runs an agent, so that two runs can be told apart by what changed between them.

A tool's digest covers what a model is told of it: name, parameters with their kinds, types and defaults, answer, and docstring. It
does not cover the code, which changes without the model noticing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from stopwork.kernel.canonical import digest, digest_of
from stopwork.systems.base import System
from stopwork.systems.reach import told

_PLAIN = (str, int, float, bool, type(None))


def prompt_digest(text: str) -> str:
    """Answer the digest of a prompt, as ``runtime.prompt`` of a manifest and of a run hold it."""
    return digest(text.encode())


def tool_digest(name: str, function: Callable[..., Any], leave_out: tuple[str, ...] = ()) -> str:
    """Answer the digest of a tool's schema, the same in every process; parameters that are left out of calls are left out here."""
    signature = inspect.signature(function)
    return digest_of(
        {
            "name": name,
            "parameters": [
                {
                    "name": each.name,
                    "kind": each.kind.name,
                    "type": _type(each.annotation),
                    "default": _default(each.default),
                }
                for each in signature.parameters.values()
                if each.name not in leave_out
            ],
            "answer": _type(signature.return_annotation),
            "says": inspect.getdoc(function) or "",
        }
    )


def runtime_of(
    given: Mapping[str, Any], tools: Mapping[str, str], systems: Mapping[str, System]
) -> dict[str, Any]:
    """Answer what a run says of itself: what it was given, and unless those were given too the digests of the guarded tools,
    and how far a recovery from this process reaches into each of its ``systems``.
    """
    digests = {"tools": dict(sorted(tools.items()))} if tools else {}
    return digests | ({"systems": told(systems)} if systems else {}) | dict(given)


def _type(annotation: Any) -> str | None:
    if annotation is inspect.Signature.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    # What is not plain may spell its address in memory, which is another one in every process.
    return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__
