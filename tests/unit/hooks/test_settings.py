"""Contract of the hooks file: what the documentation shows loads, no secret stands in it, no fact becomes anything but a value, and each
mistake is named by its field."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stopwork.hooks.base import Answer, Ended, Facts
from stopwork.hooks.expecting import Expect
from stopwork.hooks.filling import address, argument, filled
from stopwork.hooks.redacting import Redactor
from stopwork.hooks.settings import load_hooks, read_hooks_file
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import HoldMode, HookKind
from stopwork.manifest.load import load

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "contain.md").read_text("utf-8")
SNIPPETS = {
    text.partition("\n")[0].removeprefix("# "): text
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
}
ENV = {
    "CRM_ADMIN": "bearer-9f",
    "OPS_SECRET": "whsec_" + base64.b64encode(b"s" * 32).decode(),
    "GRANTS_DSN": "grants.db",
}
AWS = "AKIA" + "Z7QWERTYUIOPASDF"
HTTP = {"kind": "http", "url": "https://crm.acme.test/x"}


def facts(**changed: str) -> Facts:
    words = {name: name for name in Facts.__struct_fields__}
    return Facts(**(words | changed))


def test_the_file_of_the_documentation_loads(tmp_path: Path) -> None:
    (tmp_path / "proxy.key").write_text("p-key\n")
    (tmp_path / "hooks.yaml").write_text(SNIPPETS["hooks.yaml"])
    hooks = read_hooks_file(tmp_path / "hooks.yaml", env=ENV)(SystemClock())
    assert {name: hook.offer.kind for name, hook in hooks.items()} == {
        "revoke-crm-token": HookKind.HTTP,
        "freeze-queue": HookKind.WEBHOOK,
        "close-proxy": HookKind.COMMAND,
        "revoke-grant": HookKind.SQL,
        "drafts-only": HookKind.HOLD,
    }
    assert hooks["drafts-only"].offer.mode is HoldMode.DRAFT_ONLY
    assert [name for name, hook in hooks.items() if hook.offer.only_named] == ["revoke-crm-token"]


def test_the_inventory_of_the_documentation_loads() -> None:
    declared = YAML(typ="safe").load(SNIPPETS["stopwork.yaml"])["credentials"]
    text = (
        "workflow: a\nowners: {business: a@b.c, technical: a@b.c}\n"
        "tools: {crm.update: {effect: update, permission: crm.accounts.write}}\n" + SNIPPETS["stopwork.yaml"]
    )
    assert load(text).manifest.credentials.keys() == declared.keys()


# Each case: its name, then the settings of the hook, the field that is wrong, and words of the answer.
MISTAKES: dict[str, tuple[Any, str, str]] = {
    "no mapping": ("x", "h", "no mapping"),
    "another kind": ({"kind": "ssh"}, "h.kind", "ssh"),
    "an unknown setting": (HTTP | {"shell": True}, "h.shell", "no such setting"),
    "an unknown area": (HTTP | {"serves": {"areas": ["vault"]}}, "h.serves.areas.0", "vault"),
    "nothing that it serves": (HTTP | {"serves": None}, "h.serves", "no mapping"),
    "a probe of no kind": (HTTP | {"probe": {}}, "h.probe.kind", "missing"),
    "a secret in the file": (HTTP | {"headers": {"Authorization": "x"}}, "h.headers.Authorization", "stands in"),
    "a secret that is not set": (
        HTTP | {"headers": {"x-api-key": "env:NONE"}},
        "h.headers.x-api-key",
        "NONE is not set",
    ),
    "a fact in a header": (HTTP | {"headers": {"x-about": "{what}"}}, "h.headers.x-about", "header"),
    "a host from an item": (HTTP | {"url": "https://{target}/x"}, "h.url", "where it goes"),
    "a fact that there is not": (HTTP | {"url": "https://a.test/{token}"}, "h.url", "stands for nothing"),
    "a program from an item": ({"kind": "command", "argv": ["{target}"]}, "h.argv", "which program"),
    "no program": ({"kind": "command", "argv": []}, "h.argv", "no program"),
    "too long": (HTTP | {"timeout": "10m"}, "h.timeout", "too long"),
    "a probe that asks nothing": (HTTP | {"probe": {"kind": "hold"}}, "h.probe.kind", "asks nothing"),
    "a probe that shows nothing": (
        HTTP | {"probe": {"kind": "sql", "url": "x.db", "statement": "SELECT 1"}},
        "h.probe.expect",
        "shows nothing",
    ),
    "no pointer": (HTTP | {"probe": HTTP | {"expect": {"json": {"a.b": 1}}}}, "h.probe.expect", "JSON pointer"),
    "an expectation of a deed": (HTTP | {"expect": {"status": 200}}, "h.expect", "only a probe"),
    "no address": (HTTP | {"url": "crm"}, "h.url", "no address"),
    "no database": ({"kind": "sql", "url": "nosuch://x", "statement": "SELECT 1"}, "h.url", "cannot be used"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_by_its_field(name: str) -> None:
    settings, field, words = MISTAKES[name]
    with pytest.raises(Invalid) as caught:
        load_hooks({"h": settings}, env={})(SystemClock())
    assert caught.value.fields["field"] == field
    assert words in str(caught.value)
    assert caught.value.hint


def test_the_name_of_the_hold_is_taken() -> None:
    with pytest.raises(Invalid, match="the name is taken"):
        load_hooks({"hold": HTTP}, env={})


def test_a_fact_is_a_value_wherever_it_stands() -> None:
    hostile = facts(target="a/b?c=1#x y")
    assert address("https://a.test/t/{target}", hostile) == "https://a.test/t/a%2Fb%3Fc%3D1%23x%20y"
    assert filled({"n": "{target}", "deep": ["{item}", 3]}, hostile) == {
        "n": "a/b?c=1#x y",
        "deep": ["item", 3],
    }
    assert argument("--name={target}", facts(target="-rf")) == "--name=-rf"


@pytest.mark.parametrize("bad", ["..", "a/../b", "..\\x", "a\nb", "nul\x00"])
def test_a_fact_that_leads_elsewhere_is_refused(bad: str) -> None:
    with pytest.raises(Invalid):
        address("https://a.test/{target}", facts(target=bad))


def test_a_fact_never_becomes_an_option() -> None:
    with pytest.raises(Invalid, match="taken for an option"):
        argument("{target}", facts(target="--force"))


def test_what_is_said_holds_no_secret_in_any_spelling() -> None:
    redactor = Redactor()
    secret = redactor.learn("Bearer s3cret/+value")
    coded = base64.b64encode(b"s3cret/+value").decode()
    said = redactor.told(f"no: {secret} s3cret%2F%2Bvalue {coded} {AWS}\n" + "x" * 1000)
    assert "s3cret" not in said
    assert coded not in said
    assert AWS not in said
    assert len(said) <= 300


def answer(code: int | None, ended: Ended = Ended.NO, **more: Any) -> Answer:
    return Answer(ended=ended, said="it answered", code=code, **more)


# Each case: what is expected, what came, and whether that is safe.
JUDGED: dict[str, tuple[Expect, Answer, bool | None]] = {
    "a good status": (Expect(), answer(204, Ended.YES), True),
    "gone, and nothing was expected": (Expect(), answer(404), False),
    "refused, as expected": (Expect(status=(401, 403)), answer(401), True),
    "let in, and refusal was expected": (Expect(status=401), answer(200, Ended.YES), False),
    "the place fails": (Expect(status=401), answer(503, Ended.UNKNOWN), None),
    "nobody answers": (Expect(), answer(None, Ended.UNKNOWN), None),
    "a command says no": (Expect(), answer(1), False),
    "a command breaks": (Expect(), answer(127), None),
    "a command says yes in its own way": (Expect(exit=3), answer(3), True),
    "a value": (Expect(json={"/a/0": False}), answer(200, Ended.YES, content={"a": [False]}), True),
    "another value": (Expect(json={"/a": False}), answer(200, Ended.YES, content={"a": 0}), False),
    "no value": (Expect(json={"/b": 1}), answer(200, Ended.YES, content={}), False),
    "no JSON": (Expect(json={"/b": 1}), answer(200, Ended.YES), False),
    "rows": (Expect(rows=0), answer(0, Ended.YES, rows=2), False),
}


@pytest.mark.parametrize("name", JUDGED)
def test_an_answer_is_judged(name: str) -> None:
    expect, came, safe = JUDGED[name]
    found, how = expect.judged(came)
    assert (found, bool(how)) == (safe, True)
