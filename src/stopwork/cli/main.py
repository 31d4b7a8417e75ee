"""``stopwork``: the commands, and the one place where an error becomes words and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from stopwork import __version__
from stopwork.cli.exits import Exit, exit_of
from stopwork.cli.group import Sections
from stopwork.kernel.errors import StopworkError

SECTIONS: Final = {
    "Begin": {
        "demo": "stopwork.cli.demo:demo",
        "up": "stopwork.cli.up:up",
        "login": "stopwork.cli.login:login",
        "logout": "stopwork.cli.login:logout",
        "health": "stopwork.cli.login:health",
    },
    "Declare": {
        "manifest": "stopwork.cli.manifests:manifest",
        "apply": "stopwork.cli.manifests:apply",
        "versions": "stopwork.cli.versions:versions",
        "workflows": "stopwork.cli.workflows:workflows",
        "check": "stopwork.cli.workflows:check",
        "observed": "stopwork.cli.comparing:observed",
    },
    "Watch": {
        "runs": "stopwork.cli.runs:runs",
        "calls": "stopwork.cli.runs:calls",
        "diff": "stopwork.cli.comparing:diff",
        "signals": "stopwork.cli.signals:signals",
        "webhook": "stopwork.cli.webhook:webhook",
        "approvals": "stopwork.cli.approvals:approvals",
        "drafts": "stopwork.cli.drafts:drafts",
        "feed": "stopwork.cli.feed:feed",
    },
    "Stop": {
        "pause": "stopwork.cli.holds:pause",
        "holds": "stopwork.cli.holds:holds",
        "pause-test": "stopwork.cli.pause_test:pause_test",
    },
    "Handle an incident": {
        "incident": "stopwork.cli.incident:incident",
        "evidence": "stopwork.cli.evidence:evidence",
        "audit": "stopwork.cli.audit:audit",
        "similar": "stopwork.cli.similar:similar",
        "recover": "stopwork.cli.recover:recover",
        "backfill": "stopwork.cli.backfill:backfill",
        "message": "stopwork.cli.message:message",
        "postmortem": "stopwork.cli.postmortem:postmortem",
        "reenable": "stopwork.cli.reenable:reenable",
        "report": "stopwork.cli.report:report",
    },
    "Run the server": {
        "token": "stopwork.cli.access:token",
        "user": "stopwork.cli.access:user",
        "db": "stopwork.cli.database:db",
    },
}


@click.group(
    cls=Sections,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command takes --help. Those that answer data take --json.",
)
@click.version_option(__version__, "-V", "--version", message="stopwork %(version)s")
def cli() -> None:
    """Stop an unattended agent at the smallest unsafe part, put right what it did, and let it return in stages."""


def main(arguments: Sequence[str] | None = None, *, root: click.Command = cli) -> int:
    """Run one command and answer its exit code. Nothing it meets on purpose shows a stack trace."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        code: Any = root.main(args=given, prog_name="stopwork", standalone_mode=False)
        return int(code or Exit.OK)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return Exit.OK
    except click.UsageError as error:
        hint = f"See: {error.ctx.command_path} --help" if error.ctx else ""
        return _complain("usage", error.format_message(), hint, Exit.USAGE, as_json=as_json)
    except click.ClickException as error:
        return _complain("usage", error.format_message(), "", Exit.USAGE, as_json=as_json)
    except click.Abort as abort:
        if isinstance(abort.__cause__, KeyboardInterrupt):
            return _complain("interrupted", "interrupted", "", Exit.INTERRUPTED, as_json=as_json)
        return _complain("refused", "not confirmed; nothing was changed", "", Exit.REFUSED, as_json=as_json)
    except StopworkError as error:
        code = exit_of(error)
        return _complain(error.code, error.detail, error.hint, code, as_json=as_json, problem=error.problem())
    except SystemExit:
        # Click ends so after completing a word for a shell, and when the reader of a pipe has seen enough: no failure.
        return Exit.OK
    except Exception:  # noqa: BLE001 - the outermost edge: a fault has an exit code of its own
        import traceback

        traceback.print_exc()
        return _complain(
            "internal",
            "this is a fault of Stopwork, not of yours",
            "Report it with the lines above.",
            Exit.FAULT,
            as_json=as_json,
        )


def _complain(
    code: str,
    detail: str,
    hint: str,
    exit_code: Exit,
    *,
    as_json: bool,
    problem: dict[str, Any] | None = None,
) -> Exit:
    from stopwork.cli.printing import printable, write_json

    if as_json:
        write_json(problem or {"code": code, "detail": detail, "hint": hint}, sys.stderr)
        return exit_code
    error, note = click.style("error:", fg="red", bold=True), click.style("hint:", fg="cyan")
    colour = False if os.environ.get("NO_COLOR") else None
    click.echo(f"{error} {printable(detail)}", err=True, color=colour)
    if hint:
        click.echo(f"{note} {printable(hint)}", err=True, color=colour)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
