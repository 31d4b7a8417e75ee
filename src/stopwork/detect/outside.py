"""Who is outside the company, and where a call's effect goes.

Inside is everybody in the domains of the workflow's owners, and whom the manifest names besides. Where an owner's address is with a provider
of mail for everybody, that one address is inside and its domain is not. What is neither an address nor a host (a channel, an account) is
inside, unless the manifest says that people outside see what the tool does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from stopwork.ledger.events import CallDecided
from stopwork.ledger.words import EffectKind
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Manifest

#: Where anybody may have an address.
OPEN_TO_ALL: Final = frozenset(
    {
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "yahoo.com",
        "icloud.com",
        "me.com",
        "aol.com",
        "proton.me",
        "protonmail.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "mail.com",
        "mail.ru",
        "qq.com",
        "163.com",
    }
)
#: The arguments that name receivers, where the manifest does not say which.
_RECEIVING: Final = ("to", "cc", "bcc", "recipient", "recipients", "email")
MOST_RECEIVERS: Final = 1_000


class Company:
    """The people of one company, by what their addresses end in."""

    def __init__(self, owners: Iterable[str], further: Iterable[str] = ()) -> None:
        domains = {address: address.rpartition("@")[2] for address in owners}
        self._patterns = tuple(
            {address if domain in OPEN_TO_ALL else domain for address, domain in domains.items()}
        ) + tuple(each.lower() for each in further)

    def has(self, receiver: str) -> bool:
        """Answer whether this is somebody, or some place, inside."""
        name = host_of(receiver) or receiver.strip().lower()
        return any(matches(pattern, name) for pattern in self._patterns) or (
            "@" not in name and "." not in name
        )


def company_of(manifest: Manifest) -> Company:
    """Answer the company that the workflow belongs to."""
    return _company(tuple(manifest.owners.by_role().values()), manifest.alerts.external_send.inside)


@functools.lru_cache(maxsize=1_024)
def _company(owners: tuple[str, ...], further: tuple[str, ...]) -> Company:
    return Company(owners, further)


def matches(pattern: str, name: str) -> bool:
    """Answer whether a pattern of a manifest names this receiver: itself, its domain or one above, or as much as its ``*`` leaves."""
    if pattern.startswith("*"):
        middle = pattern.strip("*")
        return middle in name if pattern.endswith("*") else name.endswith(middle)
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern or ("@" not in pattern and name.endswith((f"@{pattern}", f".{pattern}")))


def domain_of(receiver: str) -> str:
    """Answer what stands for all of one company's addresses; the address itself where anybody may have one like it."""
    name = host_of(receiver) or receiver.strip().lower()
    domain = name.rpartition("@")[2]
    return name if domain in OPEN_TO_ALL else domain


def host_of(text: str) -> str:
    """Answer the host of an address (URL), or nothing."""
    if "://" not in text:
        return ""
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return ""


def receivers_of(compiled: CompiledManifest, event: CallDecided) -> tuple[str, ...]:
    """Answer everybody and every place that a call's effect goes to, as far as manifest and arguments tell."""
    try:
        declared = compiled.recipients(event.tool, event.args)
    except ExpressionError:
        declared = ()
    named = (*declared, *(event.destinations or ()), *((event.destination,) if event.destination else ()))
    return tuple(dict.fromkeys(named or _addresses(event.args)))[:MOST_RECEIVERS]


def leaves(compiled: CompiledManifest, event: CallDecided, receivers: Iterable[str]) -> tuple[str, ...]:
    """Answer the receivers of a call that are outside the company."""
    tool = compiled.manifest.tools[event.tool]
    company = company_of(compiled.manifest)
    return tuple(
        each for each in receivers if not company.has(each) or (tool.external and not _is_named(each))
    )


def goes_out(
    compiled: CompiledManifest, event: CallDecided, outside: tuple[str, ...], receivers: tuple[str, ...]
) -> bool:
    """Answer whether a call reaches people outside: by its receivers, or, where nobody knows them, by what it is declared to do."""
    tool = compiled.manifest.tools[event.tool]
    return bool(outside) or (not receivers and (tool.external or event.effect is EffectKind.SEND))


def _is_named(receiver: str) -> bool:
    return "@" in receiver or "." in receiver


def _addresses(args: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in _RECEIVING:
        value = args.get(name)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str):
                found += [part.strip(" <>") for part in each.split(",") if "@" in part]
    return found
