"""The hooks file: what this server may do to make safe what an incident touched, written by its operator.

A mapping from a hook's name to its kind, what it ``serves``, its settings and its probe. A credential never stands in the file: a setting
that holds one is ``env:NAME`` (an environment variable) or ``file:PATH`` (a file's content, without the newline at its end). A command runs
with the server's rights, so the file belongs to the operator alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
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
from stopwork.manifest.duration import Duration
from stopwork.notify.signing import secret_of
from stopwork.notify.web import require_address
from stopwork.systems.load import resolved

MAX_HOOKS: Final = 200
MAX_ARGUMENTS: Final = 100
#: How long one hook, or its probe, takes at the most, where nothing else is said, and at the very most.
TIMEOUT: Final = "20s"
LONGEST_S: Final = 120.0
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_CREDENTIAL: Final = re.compile(r"authorization|cookie|key|token|secret", re.IGNORECASE)
_REFERRED: Final = ("env:", "file:")

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
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        config = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", hint="Name a UTF-8 text file.") from error
    except YAMLError as error:
        raise Invalid(f"{path} is not YAML: {error}", hint="Correct the line it names.") from error
    return load_hooks(config or {}, env=env, folder=path.parent)


def load_hooks(config: Any, *, env: Mapping[str, str], folder: Path = Path()) -> MakesHooks:
    """Answer what makes the configured hooks. Relative paths count from ``folder``, in which commands run.

    Raises ``Invalid`` naming the field that is wrong, as far as that shows without running anything.
    """
    if not isinstance(config, Mapping) or len(config) > MAX_HOOKS:
        raise Invalid(
            f"the hooks file is not a mapping of at most {MAX_HOOKS} hooks",
            hint="Write `name: {kind: command, argv: […]}`.",
            field="",
        )
    # Every secret is known before the first hook can say anything.
    redactor = Redactor()
    given = {str(name): _Given.of(str(name), each) for name, each in config.items()}

    def make(clock: Clock) -> Hooks:
        maker = _Maker(env, folder, redactor, clock)
        return {name: maker.hook(name, each) for name, each in given.items()}

    return make


class _Given(Struct, frozen=True, kw_only=True):
    """A hook as its settings have it."""

    doing: Kind
    serves: Serves | None
    probe: Kind | None

    @classmethod
    def of(cls, name: str, given: Any) -> _Given:
        if not _NAME.fullmatch(name) or name == HOLD.name:
            hint = f"Use lower-case letters, digits, dots and dashes, and not `{HOLD.name}`, which every server has."
            raise _wrong(name, "the name is not one", hint)
        if not isinstance(given, Mapping):
            raise _wrong(name, "it is no mapping of settings", "Write `kind:` and what belongs to it.")
        rest = {key: value for key, value in given.items() if key not in ("serves", "probe")}
        doing: Kind = _converted(name, rest, Kind)
        probe = _converted(f"{name}.probe", given["probe"], Kind) if given.get("probe") else None
        serves = _converted(f"{name}.serves", given["serves"], Serves) if "serves" in given else None
        if doing.expect != Expect():
            raise _wrong(f"{name}.expect", "only a probe expects something", "Write it under `probe:`.")
        if isinstance(doing, HoldDoing) and probe is not None:
            raise _wrong(f"{name}.probe", "a hold is seen in the records", "Leave it out.")
        if isinstance(probe, HoldDoing | WebhookDoing):
            raise _wrong(f"{name}.probe.kind", "it asks nothing", "Use http, command or sql.")
        if isinstance(probe, SqlDoing) and probe.expect.rows is None and not probe.expect.json:
            hint = "Write `expect: {rows: 0}`, or `json:` with what has to stand in which row."
            raise _wrong(f"{name}.probe.expect", "a statement that runs shows nothing by itself", hint)
        if probe is not None and (probe.expect.rows or 0) > MAX_ROWS:
            raise _wrong(
                f"{name}.probe.expect.rows", f"no more than {MAX_ROWS} rows are read", "Let it count."
            )
        return cls(doing=doing, serves=serves, probe=probe)


class _Maker:
    """Makes hooks from their settings and from what the installation has."""

    def __init__(self, env: Mapping[str, str], folder: Path, redactor: Redactor, clock: Clock) -> None:
        self._env, self._folder, self._redactor, self._clock = env, folder, redactor, clock

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
        within_s = _within_s(field, doing.timeout)
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
                    raise _wrong(f"{field}.argv", "it names no program", hint)
                if any(names_in(doing.argv[0])):
                    raise _wrong(f"{field}.argv", "an item would say which program runs", "Name one.")
                self._checked(f"{field}.argv", require_facts, doing.argv)
                return Command(
                    doing.argv,
                    env={
                        each: self._known(f"{field}.env.{each}", value) for each, value in doing.env.items()
                    },
                    folder=self._folder,
                    within_s=within_s,
                    redactor=self._redactor,
                )
            case SqlDoing():
                url = self._known(f"{field}.url", doing.url)
                if "://" not in url:
                    url = f"sqlite:///{self._folder / url}"
                try:
                    return Statement(url, doing.statement, within_s=within_s, redactor=self._redactor)
                except Invalid as error:
                    raise _wrong(f"{field}.{error.fields['field']}", error.detail, error.hint) from error
            case HoldDoing():
                raise _wrong(field, "a hold asks nothing", "Use http, command or sql.")

    def _address(self, field: str, url: str) -> str:
        found = self._known(f"{field}.url", url)
        self._checked(f"{field}.url", require_facts, found)
        if any(names_in(urlsplit(found).netloc)):
            raise _wrong(f"{field}.url", "an item would say where it goes", "Name the host.")
        return str(self._checked(f"{field}.url", require_address, found))

    def _header(self, field: str, name: str, value: str) -> str:
        field = f"{field}.headers.{name}"
        if _CREDENTIAL.search(name):
            return self._secret(field, value)
        if any(names_in(value)):
            raise _wrong(field, "an item's words do not belong in a header", "Put them into the body.")
        return self._known(field, value)

    def _secret(self, field: str, value: str) -> str:
        if not value.startswith(_REFERRED):
            raise _wrong(field, "a secret stands in the file", "Write `env:NAME` or `file:PATH` instead.")
        return self._known(field, value)

    def _known(self, field: str, value: str) -> str:
        found = resolved(field, value, self._env, self._folder, wrong=_wrong)
        return self._redactor.learn(found) if found != value else found

    @staticmethod
    def _checked(field: str, check: Callable[[Any], Any], value: Any) -> Any:
        try:
            return check(value)
        except Invalid as error:
            raise _wrong(field, error.detail, error.hint) from error


def _converted(field: str, given: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(given, type=kind)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `$")
        hint = f"A hook has a kind ({', '.join(HookKind)}) and its settings; see the how-to on containing."
        raise _wrong(f"{field}{at.rstrip('`')}", f"{what[:1].lower()}{what[1:]}", hint) from error


def _within_s(field: str, text: str) -> float:
    try:
        within_s = Duration.parse(text).total_seconds()
    except ValueError as error:
        raise _wrong(f"{field}.timeout", str(error), f"Write it as {TIMEOUT}.") from error
    if within_s > LONGEST_S:
        raise _wrong(f"{field}.timeout", f"{text} is too long", f"Write at most {LONGEST_S:.0f}s.")
    return within_s


def _wrong(field: str, what: str, hint: str) -> Invalid:
    return Invalid(f"hooks file, {field}: {what}", hint=hint, field=field)
