"""Contract: every way to end has its number, its words on stderr and its hint; stdout holds answers only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stopwork.cli.exits import Exit, exit_of
from stopwork.cli.extras import server_extra
from stopwork.cli.group import Group
from stopwork.cli.main import SECTIONS, main
from stopwork.kernel import errors
from stopwork.kernel.errors import StopworkError

RAISED = {
    "invalid": (errors.Invalid("so it is", hint="do that"), Exit.INVALID),
    "malformed": (errors.Malformed("so it is", hint="do that"), Exit.INVALID),
    "not-found": (errors.NotFound("so it is", hint="do that"), Exit.NOT_FOUND),
    "conflict": (errors.Conflict("so it is", hint="do that"), Exit.REFUSED),
    "denied": (errors.Denied("so it is", hint="do that"), Exit.DENIED),
    "unauthenticated": (errors.Unauthenticated("so it is", hint="do that"), Exit.DENIED),
    "unavailable": (errors.Unavailable("so it is", hint="do that"), Exit.UNAVAILABLE),
    "tampered": (errors.Tampered("so it is", hint="do that"), Exit.TAMPERED),
    "internal": (errors.Internal("so it is", hint="do that"), Exit.FAULT),
}


@click.group(cls=Group, default="list")
def shop() -> None:
    """A shop."""


@shop.command("list")
@click.option("--all", "every", is_flag=True)
def list_things(*, every: bool) -> None:
    click.echo(f"list {every}")


@shop.command("fail")
@click.argument("how")
@click.option("--json", "as_json", is_flag=True)
def fail(how: str, *, as_json: bool) -> None:
    if how == "fault":
        raise ZeroDivisionError
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "abort":
        raise click.Abort
    raise RAISED[how][0]


@pytest.mark.parametrize(("how", "code"), [(how, code) for how, (_, code) in RAISED.items()])
def test_each_error_has_its_code_and_says_what_to_do(
    how: str, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fail", how], root=shop) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: so it is\nhint: do that\n")


@pytest.mark.parametrize("how", RAISED)
def test_with_json_an_error_is_its_problem_document(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fail", how, "--json"], root=shop)
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == RAISED[how][0].problem()


def test_every_kind_of_error_has_a_code() -> None:
    pending: list[type[StopworkError]] = [StopworkError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        assert exit_of(kind("x")) not in (Exit.OK, Exit.USAGE, Exit.INTERRUPTED)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["fail"], Exit.USAGE, "hint: See: stopwork fail --help"),
        (["fail", "abort"], Exit.REFUSED, "error: not confirmed; nothing was changed"),
        (["fail", "interrupt"], Exit.INTERRUPTED, "error: interrupted"),
        (["fail", "fault"], Exit.FAULT, "ZeroDivisionError"),
    ],
)
def test_the_other_ways_to_end(
    arguments: list[str], code: Exit, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, root=shop) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "list False"), (["--all"], "list True"), (["list", "--all"], "list True"), (["--help"], "A shop.")],
)
def test_a_group_that_is_called_bare_does_its_default(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, root=shop) == Exit.OK
    assert told in capsys.readouterr().out


def test_a_misspelt_command_is_asked_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidnet", "list"]) == Exit.USAGE
    assert "did you mean 'incident'?" in capsys.readouterr().err


def test_without_a_token_nothing_is_asked_of_the_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("STOPWORK_TOKEN", raising=False)
    assert main(["runs", "--url", "http://127.0.0.1:1"]) == Exit.DENIED
    assert "stopwork login LINK" in capsys.readouterr().err


def test_a_missing_package_of_the_server_is_named_with_its_extra() -> None:
    with pytest.raises(errors.Unavailable, match=r"stopwork\[server\]"), server_extra("up"):
        raise ModuleNotFoundError(name="sqlalchemy.orm")
    with pytest.raises(ModuleNotFoundError), server_extra("up"):
        raise ModuleNotFoundError(name="stopwork.nothing")


def test_the_help_shows_every_command_in_its_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == Exit.OK
    shown = capsys.readouterr().out
    for title, commands in SECTIONS.items():
        assert f"\n{title}:\n" in shown
        assert all(f"\n  {name} " in shown for name in commands)


def test_the_help_needs_no_heavy_package() -> None:
    heavy = ("httpx", "msgspec", "rich", "sqlalchemy", "starlette", "yaml", "ruamel")
    code = (
        "import sys; from stopwork.cli.main import main; main(['--help'])\n"
        f"assert not set({heavy}) & set(sys.modules), set({heavy}) & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "from stopwork.cli.main import main, cli; import sys; sys.stdout.write('x' * 100_000); sys.exit(main(['--help']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == Exit.OK
