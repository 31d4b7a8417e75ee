"""People are named by address, and one person has one: capital letters do not make another."""

from __future__ import annotations

import re
from typing import Final

from stopwork.kernel.errors import Invalid

MAX_ADDRESS: Final = 254
#: One person at one place: nothing that could be two of them, or a name beside the address.
_ADDRESS: Final = re.compile(r"[^@\s,;<>\"()]+@[^@\s,;<>\"()]+")


def one_address(text: str, field: str) -> str:
    """Answer the address as it is compared and recorded, without capitals; ``Invalid`` names the field where it is none, or several."""
    address = text.strip().lower()
    if len(address) > MAX_ADDRESS or not _ADDRESS.fullmatch(address):
        raise Invalid(
            f"{text[:80]!r} is not one address", hint="Name a person by address: dana@acme.test", field=field
        )
    return address
