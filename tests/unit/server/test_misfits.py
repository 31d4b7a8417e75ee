"""Contract: whoever gives a field a word that it does not take is told which it takes, for every such field of every body and query."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import HoldMode, ScopeKind
from stopwork.server.api.controls import SetHold
from stopwork.server.api.misfits import hint_of
from stopwork.server.api.routing import decoded
from stopwork.server.app import AFTER_THE_GUARD


@pytest.mark.parametrize(
    ("body", "possible"),
    [
        (b'{"scope": {"kind": "tools", "name": "a"}, "reason": "x"}', ScopeKind),
        (b'{"scope": {"kind": "tool", "name": "a"}, "reason": "x", "mode": "stop"}', HoldMode),
    ],
)
def test_the_words_that_a_field_takes_are_named(body: bytes, possible: type[StrEnum]) -> None:
    with pytest.raises(Invalid) as caught:
        decoded(msgspec.json.Decoder(SetHold), body)
    assert caught.value.hint == f"Possible here: {', '.join(possible)}. Compare with /v1/openapi.json."


def test_a_misfit_of_another_kind_points_to_the_description() -> None:
    with pytest.raises(Invalid) as caught:
        decoded(msgspec.json.Decoder(SetHold), b'{"scope": 7, "reason": "x"}')
    assert caught.value.hint == "Compare with /v1/openapi.json."


def fields_of_words() -> Iterator[Any]:
    for endpoint in AFTER_THE_GUARD:
        for kind in (endpoint.body, endpoint.query):
            for field in msgspec.structs.fields(kind) if kind else ():
                if isinstance(field.type, type) and issubclass(field.type, StrEnum):
                    yield pytest.param(
                        kind, field.encode_name, field.type, id=f"{endpoint.name}-{field.name}"
                    )


@pytest.mark.parametrize(("kind", "name", "words"), [*fields_of_words()])
def test_every_field_of_words_names_them(kind: type[msgspec.Struct], name: str, words: type[StrEnum]) -> None:
    error = msgspec.ValidationError(f"Invalid enum value 'no such' - at `$.{name}`")
    assert hint_of(kind, error).startswith(f"Possible here: {', '.join(words)}. ")
