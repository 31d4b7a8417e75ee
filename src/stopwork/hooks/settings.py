"""The hooks file: what this server may do to make safe what an incident touched, written by its operator.

A mapping from a hook's name to its kind, what it ``serves``, its settings and its probe. A credential never stands in the file: a setting
that holds one is ``env:NAME`` (an environment variable) or ``file:PATH`` (a file's content, without the newline at its end). A command runs
with the server's rights, so the file belongs to the operator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from stopwork.hooks.base import Deed, Hook, Hooks, Probe
from stopwork.hooks.command import Command
from stopwork.hooks.expecting import Expect, require_pointer
from stopwork.hooks.filling import names_in, require_facts
from stopwork.hooks.redacting import Redactor
from stopwork.hooks.sql import MAX_ROWS, Statement
from stopwork.hooks.web import HttpCall, Webhook
from stopwork.incidents.offers import HOLD, HookOffer
from stopwork.kernel.clock import Clock
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import ContainmentArea, HoldMode, HookKind
from stopwork.notify.signing import secret_of
from stopwork.notify.web import require_address
from stopwork.settings.file import SettingsFile, holds_credential, read

MAX_HOOKS: Final = 200
MAX_ARGUMENTS: Final = 100
#: How long one hook, or its probe, takes at the most, where nothing else is said, and at the very most.
TIMEOUT: Final = "20s"
LONGEST_S: Final = 120.0

#: Makes the hooks of an installation, from its clock.
MakesHooks = Callable[[Clock], Hooks]


class Serves(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a hook is for; what is left out is every one. A hook without ``serves`` is run only where a manifest names it."""

    areas: tuple[ContainmentArea, ...] = ()
    targets: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()


class Doing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind has; ``timeout`` is a duration such as ``20s``. ``expect`` is of a probe."""

    timeout: str = TIMEOUT
    expect: Expect = Expect()


class WebhookDoing(Doing, frozen=True, kw_only=True, tag="webhook"):
    """See :class:`stopwork.hooks.web.Webhook`."""

    url: str
    secret: str


class HttpDoing(Doing, frozen=True, kw_only=True, tag="http"):
    """See :class:`stopwork.hooks.web.HttpCall`."""

    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    body: Any = None


class CommandDoing(Doing, frozen=True, kw_only=True, tag="command"):
    """See :class:`stopwork.hooks.command.Command`."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}


class SqlDoing(Doing, frozen=True, kw_only=True, tag="sql"):
    """See :class:`stopwork.hooks.sql.Statement`."""

    url: str
    statement: str


class HoldDoing(Doing, frozen=True, kw_only=True, tag="hold"):
    """A hold of what the item is about, of this mode; the records show whether it is enforced."""

    mode: HoldMode = HoldMode.BLOCK


Kind = WebhookDoing | HttpDoing | CommandDoing | SqlDoing | HoldDoing


def read_hooks_file(path: Path, *, env: Mapping[str, str]) -> MakesHooks:
    """Answer what makes the hooks of a YAML or JSON file; see :func:`load_hooks`."""
    return load_hooks(read(path), env=env, folder=path.parent)


def load_hooks(config: Any, *, env: Mapping[str, str], folder: Path = Path()) -> MakesHooks:
    """Answer what makes the configured hooks. Relative paths count from ``folder``, in which commands run.

    Raises ``Invalid`` naming the field that is wrong, as far as that shows without running anything.
    """
    file = SettingsFile("hooks file", guide="the how-to on containing", env=env, folder=folder)
    # Every secret is known before the first hook can say anything.
    redactor = Redactor()
    named = file.named(config, most=MAX_HOOKS, taken=(HOLD.name,))
    given = {name: _Given.of(file, name, each) for name, each in named.items()}

    def make(clock: Clock) -> Hooks:
        maker = _Maker(file, redactor, clock)
        return {name: maker.hook(name, each) for name, each in given.items()}

    return make


class _Given(Struct, frozen=True, kw_only=True):
    """A hook as its settings have it."""

    doing: Kind
    serves: Serves | None
    probe: Kind | None

    @classmethod
    def of(cls, file: SettingsFile, name: str, given: Any) -> _Given:
        inner = dict(given) if isinstance(given, Mapping) else given
        apart = {
            key: file.fitted(f"{name}.{key}", inner.pop(key), kind)
            for key, kind in (("serves", Serves), ("probe", Kind))
            if isinstance(inner, dict) and key in inner
        }
        doing: Kind = file.fitted(name, inner, Kind)
        serves, probe = apart.get("serves"), apart.get("probe")
        if doing.expect != Expect():
            raise file.wrong(f"{name}.expect", "only a probe expects something", "Write it under `probe:`.")
        if isinstance(doing, HoldDoing) and probe is not None:
            raise file.wrong(f"{name}.probe", "a hold is seen in the records", "Leave it out.")
        if isinstance(probe, HoldDoing | WebhookDoing):
            raise file.wrong(f"{name}.probe.kind", "it asks nothing", "Use http, command or sql.")
        if isinstance(probe, SqlDoing) and probe.expect.rows is None and not probe.expect.json:
            hint = "Write `expect: {rows: 0}`, or `json:` with what has to stand in which row."
            raise file.wrong(f"{name}.probe.expect", "a statement that runs shows nothing by itself", hint)
        if probe is not None and (probe.expect.rows or 0) > MAX_ROWS:
            raise file.wrong(
                f"{name}.probe.expect.rows", f"no more than {MAX_ROWS} rows are read", "Let it count."
            )
        return cls(doing=doing, serves=serves, probe=probe)


class _Maker:
    """Makes hooks from their settings and from what the installation has."""

    def __init__(self, file: SettingsFile, redactor: Redactor, clock: Clock) -> None:
        self._file, self._redactor, self._clock = file, redactor, clock

    def hook(self, name: str, given: _Given) -> Hook:
        doing, serves = given.doing, given.serves or Serves()
        kind = HookKind(str(doing.__struct_config__.tag))
        offer = HookOffer(
            name=name,
            kind=kind,
            areas=serves.areas,
            targets=serves.targets,
            workflows=serves.workflows,
            only_named=given.serves is None,
            has_probe=given.probe is not None or kind is HookKind.HOLD,
            mode=doing.mode if isinstance(doing, HoldDoing) else HoldMode.BLOCK,
        )
        deed = None if isinstance(doing, HoldDoing) else self._made(name, doing)
        probe = None
        if given.probe is not None:
            for pointer in given.probe.expect.json:
                self._checked(f"{name}.probe.expect", require_pointer, pointer)
            probe = Probe(question=self._made(f"{name}.probe", given.probe), expects=given.probe.expect)
        return Hook(offer=offer, deed=deed, probe=probe)

    def _made(self, field: str, doing: Kind) -> Deed:
        within_s = self._within_s(field, doing.timeout)
        match doing:
            case WebhookDoing():
                return Webhook(
                    self._address(field, doing.url),
                    secret=self._checked(
                        f"{field}.secret", secret_of, self._secret(f"{field}.secret", doing.secret)
                    ),
                    clock=self._clock,
                    within_s=within_s,
                    redactor=self._redactor,
                )
            case HttpDoing():
                self._checked(f"{field}.body", require_facts, doing.body)
                return HttpCall(
                    doing.method.upper(),
                    self._address(field, doing.url),
                    headers={each: self._header(field, each, value) for each, value in doing.headers.items()},
                    body=doing.body,
                    within_s=within_s,
                    redactor=self._redactor,
                )
            case CommandDoing():
                if not 0 < len(doing.argv) <= MAX_ARGUMENTS:
                    hint = f"Write a list of at most {MAX_ARGUMENTS} words; the first is the program."
                    raise self._file.wrong(f"{field}.argv", "it names no program", hint)
                if any(names_in(doing.argv[0])):
                    raise self._file.wrong(
                        f"{field}.argv", "an item would say which program runs", "Name one."
                    )
                self._checked(f"{field}.argv", require_facts, doing.argv)
                return Command(
                    doing.argv,
                    env={
                        each: self._known(f"{field}.env.{each}", value) for each, value in doing.env.items()
                    },
                    folder=self._file.folder,
                    within_s=within_s,
                    redactor=self._redactor,
                )
            case SqlDoing():
                url = self._known(f"{field}.url", doing.url)
                if "://" not in url:
                    url = f"sqlite:///{self._file.folder / url}"
                with self._file.naming(field, about="url"):
                    return Statement(url, doing.statement, within_s=within_s, redactor=self._redactor)
            case HoldDoing():
                raise self._file.wrong(field, "a hold asks nothing", "Use http, command or sql.")

    def _address(self, field: str, url: str) -> str:
        found = self._known(f"{field}.url", url)
        self._checked(f"{field}.url", require_facts, found)
        if any(names_in(urlsplit(found).netloc)):
            raise self._file.wrong(f"{field}.url", "an item would say where it goes", "Name the host.")
        return str(self._checked(f"{field}.url", require_address, found))

    def _header(self, field: str, name: str, value: str) -> str:
        field = f"{field}.headers.{name}"
        if holds_credential(name):
            return self._secret(field, value)
        if any(names_in(value)):
            raise self._file.wrong(
                field, "an item's words do not belong in a header", "Put them into the body."
            )
        return self._known(field, value)

    def _secret(self, field: str, value: str) -> str:
        return self._redactor.learn(self._file.secret(field, value))

    def _known(self, field: str, value: str) -> str:
        found = self._file.resolved(field, value)
        return self._redactor.learn(found) if found != value else found

    def _within_s(self, field: str, text: str) -> float:
        within_s = self._file.seconds(f"{field}.timeout", text)
        if within_s > LONGEST_S:
            hint = f"Write at most {LONGEST_S:.0f}s."
            raise self._file.wrong(f"{field}.timeout", f"{text} is too long", hint)
        return within_s

    def _checked(self, field: str, check: Callable[[Any], Any], value: Any) -> Any:
        try:
            return check(value)
        except Invalid as error:
            raise self._file.wrong(field, error.detail, error.hint) from error
