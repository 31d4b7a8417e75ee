"""Where the environments keep their objects: all that a system of Stopwork has to be told about them.

Nothing here knows a task or an attack.
"""

from __future__ import annotations

from typing import Final

from benchmarks.worlds.places import Places, Shelf, Single

WORKSPACE: Final[Places] = {
    "email": Shelf("inbox.emails"),
    "trashed-email": Shelf("inbox.trash"),
    "contact": Shelf("inbox.contact_list", "email"),
    "mailbox": Single("inbox", "account_email"),
    "event": Shelf("calendar.events"),
    "calendar": Single("calendar", "current_day", "account_email"),
    "file": Shelf("cloud_drive.files"),
    "drive": Single("cloud_drive", "account_email"),
}
BANKING: Final[Places] = {
    "account": Single("bank_account", "balance", "iban"),
    "transaction": Shelf("bank_account.transactions", "id"),
    "scheduled-transaction": Shelf("bank_account.scheduled_transactions", "id"),
    "file": Shelf("filesystem.files"),
    "user": Single("user_account", "first_name", "last_name", "street", "city", "password"),
}
PLACES: Final[dict[str, Places]] = {"workspace": WORKSPACE, "banking": BANKING}
