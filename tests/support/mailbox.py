"""A mailbox with the habits of real ones that make it hard to say what a call has done.

Numbers are given again after a mail is gone, what a tool answers is the mailbox's own state, looking marks as read, some changes are quietly
not made, a mail may come and go within one call, and a call may fail after half of its work.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from stopwork.systems.python import PythonSystem

MANIFEST: Final = """
workflow: inbox
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  mail.unread: {effect: read}
  mail.deliver: {effect: create, undo: {system: mail}}
  mail.sort: {effect: create, undo: {system: mail}}
  mail.star: {effect: update, undo: {system: mail}OBJECT}
  mail.discard: {effect: delete, undo: {system: mail}OBJECT}
  mail.file: {effect: update, undo: {system: mail}OBJECT}
  mail.forward: {effect: create, undo: {system: mail}}
"""

Mail = dict[str, Any]


class Mailbox:
    """Mails and the trash, by number."""

    def __init__(self) -> None:
        self.mails: dict[str, Mail] = {
            "1": {"text": "Hello", "read": False, "star": False},
            "2": {"text": "Invoice", "read": True, "star": True},
        }
        self.trash: dict[str, Mail] = {}

    def manifest(self, *, declared: bool = False) -> str:
        """Answer the manifest of the tools; with the object where its number stands in the arguments."""
        named = ", object: {system: mail, type: mail, id: args.number}" if declared else ""
        return MANIFEST.replace("OBJECT", named)

    def system(self, *, scans: bool = True) -> PythonSystem:
        """Answer the system that sees it."""
        places = {"mail": self.mails, "trash": self.trash}

        def read(kind: str, number: str) -> Mail | None:
            return places[kind].get(number)

        def write(kind: str, number: str, content: Mail | None) -> None:
            if content is None:
                del places[kind][number]
            else:
                places[kind][number] = content

        def scan() -> Iterator[tuple[str, str, Mail]]:
            return ((kind, number, mail) for kind, place in places.items() for number, mail in place.items())

        return PythonSystem("mail", read, write, scan if scans else None)

    def everything(self) -> Any:
        """Answer all of it, sharing nothing."""
        return copy.deepcopy((self.mails, self.trash))

    # the tools

    def unread(self) -> list[Mail]:
        """Answer what is unread, and mark it as read."""
        found = [mail for mail in self.mails.values() if not mail["read"]]
        for mail in found:
            mail["read"] = True
        return found

    def deliver(self, text: str) -> Mail:
        """Add a mail under the number after the highest; what is answered is the mail itself."""
        number = str(max(map(int, self.mails), default=0) + 1)
        self.mails[number] = {"text": text, "read": False, "star": False}
        return self.mails[number]

    def sort(self, into: str) -> None:
        """Make a summary, and throw away what it was made of."""
        for number in [number for number, mail in self.mails.items() if not mail["star"]]:
            del self.mails[number]
        self.deliver(into)

    def star(self, number: str, on: bool) -> str:
        """Set the star; taking it away is answered with success and not done."""
        if on:
            self.mails[number]["star"] = True
        return "done"

    def discard(self, number: str) -> None:
        """Move a mail to the trash, over whatever lies there under its number."""
        self.trash[number] = self.mails.pop(number)

    def file(self, number: str, text: str) -> None:
        """Change a mail, and fail when the text is empty: after the change."""
        self.mails[number]["text"] = text
        if not text:
            raise ValueError("the text is empty")

    def forward(self, number: str) -> None:
        """Make a draft, send it by dropping it, and leave nothing."""
        draft = str(max(map(int, self.mails)) + 1)
        self.mails[draft] = dict(self.mails[number])
        del self.mails[draft]
