"""People are named by address, and one person has one: capital letters do not make another."""

from __future__ import annotations

from stopwork.kernel.errors import Invalid


def one_address(text: str, field: str) -> str:
    """Answer the address as it is compared and recorded, without capitals; ``Invalid`` names the field where it is none."""
    address = text.strip().lower()
    if "@" not in address:
        raise Invalid(f"{text!r} is no address", hint="Name a person by address: dana@acme.test", field=field)
    return address
