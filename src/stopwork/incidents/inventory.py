"""Inventory: which of the workflow's credentials an incident has used, by which calls, and who else uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Call
from stopwork.ledger.words import EffectKind
from stopwork.manifest.credentials import Credential, CredentialKind
from stopwork.manifest.model import Manifest

MOST_NAMED = 9


class Used(Struct, frozen=True, kw_only=True):
    """One credential as the incident has used it: by these calls and triggers; ``others`` are workflows that use it too."""

    name: str
    credential: Credential
    calls: tuple[Call, ...]
    triggers: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def known_as(self) -> str:
        return self.credential.known_as(self.name)

    @property
    def wrote(self) -> bool:
        """Whether something was changed with it."""
        return any(call.effect is not EffectKind.READ for call in self.calls)

    @property
    def why(self) -> str:
        """Why it matters: what it was used for, who else uses it, and who can make it safe."""
        said = []
        if self.calls:
            tools = listed(dict.fromkeys(call.tool for call in self.calls))
            said.append(f"{count_of(len(self.calls), 'call')} used it: {tools}")
        if self.triggers:
            said.append(f"a run was started through it: {listed(self.triggers)}")
        said.append(shared(self.credential, self.others))
        if self.credential.holder:
            said.append(f"{self.credential.holder} can do it")
        return "; ".join(filter(None, said))


def shared(credential: Credential, others: Iterable[str]) -> str:
    """Say who else uses a credential; empty when nobody does."""
    names = tuple(others)
    if not names:
        return ""
    word = {
        CredentialKind.SECRET: "token",
        CredentialKind.OAUTH_GRANT: "grant",
        CredentialKind.BROWSER_SESSION: "session",
        CredentialKind.WEBHOOK: "webhook",
    }[credential.kind]
    return f"this {word} is also used by {count_of(len(names), 'other workflow')}: {listed(names, most=MOST_NAMED)}"


def used(case: Case) -> tuple[Used, ...]:
    """Answer the credentials that the permitted calls and the triggers of the incident have used, in the manifest's order."""
    started = {run.trigger for run in case.runs}
    found = []
    for name, credential in case.current.credentials.items():
        calls = tuple(call for call in case.permitted if opens(credential, call, case.current))
        triggers = tuple(each for each in credential.triggers if each in started)
        if calls or triggers:
            found.append(
                Used(
                    name=name,
                    credential=credential,
                    calls=calls,
                    triggers=triggers,
                    others=case.sharers.get(name, ()),
                )
            )
    return tuple(found)


def opens(credential: Credential, call: Call, manifest: Manifest) -> bool:
    """Answer whether a call goes by this credential, as the manifest has it."""
    if credential.permissions or credential.tools:
        return call.permission in credential.permissions or call.tool in credential.tools
    if credential.triggers:
        return False
    tool = manifest.tools.get(call.tool)
    return tool is not None and tool.object is not None and tool.object.system == credential.system


def sharers(workflow: str, manifests: Mapping[str, Manifest]) -> dict[str, tuple[str, ...]]:
    """Answer for each credential of a workflow which others of these workflows use the same one.

    It is the same by its name, unless the two say that it opens different systems.
    """
    own = manifests[workflow].credentials
    found: dict[str, tuple[str, ...]] = {}
    for name, credential in own.items():
        known_as = credential.known_as(name)
        others = tuple(
            other
            for other, manifest in sorted(manifests.items())
            if other != workflow
            and any(
                each.known_as(their) == known_as
                and (each.system == credential.system or None in (each.system, credential.system))
                for their, each in manifest.credentials.items()
            )
        )
        if others:
            found[name] = others
    return found
