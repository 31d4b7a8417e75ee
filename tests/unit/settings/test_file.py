"""Contract of settings files: what an operator writes is read, a mistake is named by its field with the value and the way out, and what is
kept elsewhere is found there, without an error ever repeating it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from stopwork.kernel.errors import Invalid
from stopwork.settings.file import SettingsFile, holds_credential, read

SECRET = "s3cret-and-quiet"


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Drawer(Struct, frozen=True, forbid_unknown_fields=True):
    size: Size = Size.SMALL
    labels: tuple[str, ...] = ()
    holds: dict[str, Annotated[int, Meta(ge=1)]] = {}


class Desk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="desk"):
    owner: str
    drawers: tuple[Drawer, ...] = ()
    height: Literal["low", "high"] = "low"
    lamp: bool = False
    room: int | tuple[int, ...] = 1
    secret: str = ""


class Shelf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="shelf"):
    boards: int


def file(folder: Path = Path(), **env: str) -> SettingsFile:
    return SettingsFile("office file", guide="the how-to on offices", env=env, folder=folder)


def desk(**settings: Any) -> dict[str, Any]:
    return {"kind": "desk", "owner": "dana"} | settings


def test_what_fits_is_the_kind_that_its_tag_says() -> None:
    assert file().fitted("a", desk(drawers=[{"size": "large"}]), Desk | Shelf) == Desk(
        owner="dana", drawers=(Drawer(size=Size.LARGE),)
    )
    assert file().fitted("a", {"kind": "shelf", "boards": 3}, Desk | Shelf) == Shelf(boards=3)


# Each case: the settings, the field that is wrong, words of what is wrong, words of the way out.
MISFITS: dict[str, tuple[Any, str, str, str]] = {
    "no mapping": (None, "a", "nothing is no mapping", "how-to on offices"),
    "no kind": ({}, "a.kind", "it is missing", "one of desk, shelf"),
    "another kind": ({"kind": "lamp"}, "a.kind", "'lamp' is not one", "one of desk, shelf"),
    "a kind that is no word": ({"kind": ["desk"]}, "a.kind", "['desk'] is not one", "one of desk, shelf"),
    "a missing setting": ({"kind": "desk"}, "a.owner", "it is missing", "how-to on offices"),
    "a slip": (desk(drawrs=[]), "a.drawrs", "no such setting", "Write `drawers`"),
    "a setting of nothing": (desk(x=1), "a.x", "no such setting", "It has owner, drawers"),
    "a slip further in": (desk(drawers=[{}, {"sise": 1}]), "a.drawers.1.sise", "no such", "Write `size`"),
    "a word": (desk(drawers=[{"size": "huge"}]), "a.drawers.0.size", "'huge' does", "one of small, large"),
    "a word of few": (desk(height="mid"), "a.height", "'mid' does not fit", "one of high, low"),
    "a key of a list": (desk(drawers=[{"holds": {"pens": 2, "ink": 0}}]), "a.drawers.0.holds.ink", "0 does", "above"),
    "a text": (desk(owner=5), "a.owner", "5 does not fit: expected `str`", "Write text."),
    "a truth": (desk(lamp="on"), "a.lamp", "'on' does not fit", "true or false"),
    "a list": (desk(drawers=[{"labels": "a"}]), "a.drawers.0.labels", "'a' does not fit", "Write a list"),
    "a struct": (desk(drawers=[3]), "a.drawers.0", "3 does not fit", "a mapping with size, labels, holds"),
    "one of two": (desk(room="x"), "a.room", "'x' does not fit", "Write a number"),
    "something long": (desk(lamp="x" * 99), "a.lamp", "a str does not fit", "true or false"),
    "what may be a secret": (desk(secret=5), "a.secret", "what stands there does not fit", "Write text."),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named(name: str) -> None:
    given, field, what, hint = MISFITS[name]
    with pytest.raises(Invalid) as caught:
        file().fitted("a", given, Desk | Shelf)
    assert caught.value.fields["field"] == field
    assert caught.value.detail.startswith(f"office file, {field}: ")
    assert what in caught.value.detail
    assert hint in caught.value.hint


def test_a_file_that_is_one_struct_has_no_name_before_its_fields() -> None:
    with pytest.raises(Invalid, match="office file: 7 is no mapping"):
        file().fitted("", 7, Drawer)
    with pytest.raises(Invalid, match=r"office file, size: 5 does not fit"):
        file().fitted("", {"size": 5}, Drawer)


@pytest.mark.parametrize(
    ("given", "field", "what"),
    [
        ([], "desks", "not a mapping"),
        ({str(number): {} for number in range(4)}, "desks", "4 of them"),
        ({"A b": {}}, "desks.A b", "the name is not one"),
        ({"x" * 200: {}}, f"desks.{'x' * 80}", "the name is not one"),
        ({"main": {}}, "desks.main", "taken"),
    ],
)
def test_a_name_is_refused(given: Any, field: str, what: str) -> None:
    with pytest.raises(Invalid, match=what) as caught:
        file().named(given, most=3, place="desks", taken=("main",))
    assert caught.value.fields["field"] == field
    assert caught.value.hint


def test_what_is_kept_elsewhere_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    assert file(KEY=SECRET).secret("a.key", "env:KEY") == SECRET
    assert file(tmp_path).secret("a.key", "file:key") == SECRET
    assert file().resolved("a.key", "https://acme.test") == "https://acme.test"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (SECRET, "stands in the file"),
        ("env:NONE", "NONE is not set"),
        ("file:none", "none cannot be read"),
    ],
)
def test_a_secret_that_cannot_be_had_is_said_to_be_so(value: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=what) as caught:
        file(tmp_path, NONE="").secret("a.key", value)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_headers_that_hold_a_credential_are_known() -> None:
    assert [each for each in ("Authorization", "x-api-key", "accept") if holds_credential(each)] == [
        "Authorization",
        "x-api-key",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"desk: [", "is not YAML"),
        (b"a: {}\na: {}\n", "is not YAML"),
        (b"due: 2026-13-45\n", "is not YAML"),
        (b"\xff", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_to_be_so(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "office.yaml").write_bytes(content)
    with pytest.raises(Invalid, match=says):
        read(tmp_path / "office.yaml")


def test_an_empty_file_is_a_mapping_and_an_empty_list_is_none(tmp_path: Path) -> None:
    (tmp_path / "office.yaml").write_text("# nothing yet\n", encoding="utf-8")
    assert read(tmp_path / "office.yaml") == {}
    (tmp_path / "office.yaml").write_text("[]", encoding="utf-8")
    assert read(tmp_path / "office.yaml") == []


def test_what_is_refused_inside_is_a_field_of_that_place() -> None:
    known = file()
    with pytest.raises(Invalid) as caught, known.naming("a", about="owner"):
        raise Invalid("nobody", hint="Somebody.")
    assert (caught.value.fields["field"], caught.value.hint) == ("a.owner", "Somebody.")
    with pytest.raises(Invalid) as caught, known.naming("a", about="owner"):
        raise known.wrong("a.lamp", "broken", "Mend it.")
    assert caught.value.fields["field"] == "a.lamp"
