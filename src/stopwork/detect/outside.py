"""Who is outside the company, and where a call's effect goes.

Inside is everybody in the domains of the workflow's owners, and whom the manifest names besides. Where an owner's address is with a provider
of mail for everybody, that one address is inside and its domain is not. What is neither an address nor a host (a channel, an account) is
inside, unless the manifest says that people outside see what the tool does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from stopwork.ledger.events import CallDecided
from stopwork.ledger.words import EffectKind
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Manifest, Owners

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
MOST_DEPTH: Final = 4

#: One address among others in a text. What has no name before its ``@`` counts as well: a quoted name may hold an address of its own.
_ADDRESS: Final = re.compile(r"[^\s,;:<>()\[\]\"?&=|@]*@[^\s,;:<>()\[\]\"?&=|@]+")
_PAST_HOST: Final = re.compile(r"[/\\:;?#]")


class Company:
    """The people of one company, by what their addresses end in."""

    def __init__(self, owners: Iterable[str], further: Iterable[str] = ()) -> None:
        domains = {address: address.rpartition("@")[2] for address in map(str.lower, owners)}
        self._patterns = tuple(
            {address if domain in OPEN_TO_ALL else domain for address, domain in domains.items()}
        ) + tuple(each.lower() for each in further)

    def has(self, receiver: str) -> bool:
        """Answer whether this is somebody, or some place, inside."""
        names = receivers_in(receiver)
        return all(
            any(matches(pattern, each) for pattern in self._patterns) or _is_no_place(each) for each in names
        )


def company_of(manifest: Manifest) -> Company:
    """Answer the company that the workflow belongs to."""
    return _company(manifest.owners, manifest.alerts.external_send.inside)


@functools.lru_cache(maxsize=1_024)
def _company(owners: Owners, further: tuple[str, ...]) -> Company:
    return Company(owners.by_role().values(), further)


def matches(pattern: str, name: str) -> bool:
    """Answer whether a pattern of a manifest names this one receiver: itself, its domain or one above, or as much as its ``*`` leaves."""
    if pattern.startswith("*"):
        middle = pattern.strip("*")
        return middle in name if pattern.endswith("*") else name.endswith(middle)
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern or ("@" not in pattern and f".{_domain(name)}".endswith(f".{pattern}"))


def domain_of(receiver: str) -> str:
    """Answer what stands for all of one company's addresses; the address itself where anybody may have one like it."""
    name = receiver.strip().lower()
    domain = _domain(name)
    return name if domain in OPEN_TO_ALL else domain


def _domain(name: str) -> str:
    """Answer the host of an address, without what may follow it: what looks like our domain in a path is none."""
    return host_of(name) or _PAST_HOST.split(name.rpartition("@")[2].lstrip("/"), 1)[0].rstrip(".") or name


def shown(receiver: str) -> str:
    """Answer a receiver as people can tell it from one that looks the same: the letters that are not plain ones are named."""
    domain = _domain(receiver)
    return (
        receiver
        if domain.isascii()
        else f"{receiver} ({domain.encode('ascii', 'backslashreplace').decode()})"
    )


def host_of(text: str) -> str:
    """Answer the host of an address (URL), or nothing."""
    if "://" not in text:
        return ""
    try:
        # To whoever follows an address the one slash is as good as the other.
        return urlsplit(text.strip().replace("\\", "/")).hostname or ""
    except ValueError:
        return ""


def receivers_in(text: str) -> tuple[str, ...]:
    """Answer each receiver that one text names, as it is compared: ``Ann <ann@a.test>; bob@b.test`` are two, a channel or an address (URL) is one."""
    name = text.strip().lower()
    if "@" not in name or "://" in name:
        return (name,)
    found = (each.strip(".'") for each in _ADDRESS.findall(name))
    return tuple(each for each in found if each[0] != "@" or "." in each) or (name,)


def _is_no_place(name: str) -> bool:
    """Answer whether this is neither an address nor a host: a channel, an account, somebody's handle, a machine in the house."""
    host = host_of(name)
    if host:
        return "." not in host and ":" not in host and not host[0].isdigit()
    return "." not in name and "@" not in name[1:]


def receivers_of(compiled: CompiledManifest, event: CallDecided) -> tuple[str, ...]:
    """Answer everybody and every place that a call's effect goes to, as far as manifest and arguments tell."""
    try:
        declared = compiled.recipients(event.tool, event.args)
    except ExpressionError:
        declared = ()
    named = (*declared, *(event.destinations or ()), *((event.destination,) if event.destination else ()))
    every = (each for text in named or addressed(event.args) for each in receivers_in(text))
    return tuple(islice(dict.fromkeys(every), MOST_RECEIVERS))


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


def addressed(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the fields hold that usually name receivers, where an address stands in it."""
    for name in _RECEIVING:
        if name in fields:
            yield from _with_address(fields[name], MOST_DEPTH)


def _with_address(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if "@" in value:
            yield value
    elif depth and isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _with_address(each, depth - 1)
