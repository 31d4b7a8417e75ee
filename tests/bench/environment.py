"""A small environment built like the public ones: a dictionary, a list with ids, a seed that shares objects, single fields."""

from __future__ import annotations

from pydantic import BaseModel, computed_field, model_validator

from benchmarks.worlds.places import Shelf, Single


class Note(BaseModel):
    id_: str
    text: str
    tags: list[str] = []


class Line(BaseModel):
    id: int
    amount: float


class Book(BaseModel):
    owner: str
    initial_notes: list[Note]
    notes: dict[str, Note] = {}
    lines: list[Line] = []

    @model_validator(mode="after")
    def _fill(self) -> Book:
        self.notes = {note.id_: note for note in self.initial_notes}
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def latest(self) -> Note:
        return list(self.notes.values())[-1]


class Desk(BaseModel):
    book: Book


PLACES: dict[str, Shelf | Single] = {
    "note": Shelf("book.notes"),
    "line": Shelf("book.lines", "id"),
    "book": Single("book", "owner"),
}


def desk() -> Desk:
    notes = [Note(id_="1", text="one"), Note(id_="2", text="two", tags=["a"])]
    return Desk(book=Book(owner="dana@acme.test", initial_notes=notes, lines=[Line(id=7, amount=1.5)]))
