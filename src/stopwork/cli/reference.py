"""The reference of the command line, made from the commands themselves: ``python -m stopwork.cli.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import click

from stopwork.cli.exits import Exit
from stopwork.cli.main import SECTIONS, cli
from stopwork.cli.settings import TOKEN_VARIABLE, URL_VARIABLE

COMMON: Final = ("--json", "--url", "--token")
Walked = tuple[click.Context, click.Command]

INTRODUCTION = f"""\
# The command line

Made from the commands by `python -m stopwork.cli.reference`; a test holds this page to them.

Most commands ask a server. Which one, and as whom, is said by `--url` and `--token`, else by the environment
variables `{URL_VARIABLE}` and `{TOKEN_VARIABLE}`, else by the last `stopwork login`. A token that was kept by a login is
sent to the server it was made for and to no other.

The answer is on standard output: for people, or with `--json` one JSON value and nothing else. Questions, progress
and errors are on standard error; with `--json` an error is the server's problem document. Where nobody can answer
a question, the command says which option to give instead of asking. Times are those of this machine's zone.

Tab completion is made by the shell: `eval "$(_STOPWORK_COMPLETE=bash_source stopwork)"`, or `zsh_source`,
`fish_source`.

## Exit codes

| code | means |
| --- | --- |
"""


def reference() -> str:
    """Answer the whole page."""
    codes = "".join(f"| {code.value} | {code.meaning} |\n" for code in Exit)
    return INTRODUCTION + codes + "".join(_sections())


def walk() -> Iterator[Walked]:
    """Answer every command that does something, in the order of the help, each with its context."""
    with click.Context(cli, info_name="stopwork") as root:
        yield from _below(root, cli)


def _below(context: click.Context, command: click.Command) -> Iterator[Walked]:
    if not isinstance(command, click.Group):
        yield context, command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None:
            yield from _below(click.Context(found, info_name=name, parent=context), found)


def _sections() -> Iterator[str]:
    commands: dict[str, list[Walked]] = {}
    for context, command in walk():
        commands.setdefault(context.command_path.split()[1], []).append((context, command))
    for title, places in SECTIONS.items():
        yield f"\n## {title}\n"
        for name in places:
            for context, command in commands[name]:
                yield _entry(context, command)


def _entry(context: click.Context, command: click.Command) -> str:
    usage = [each.make_metavar(context) for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    own = [each for each in options if each.opts[0] not in COMMON]
    lines = [f"\n### {context.command_path}\n", f"\n`{' '.join([context.command_path, *usage])}`\n"]
    lines += [f"\n{' '.join(text.split())}\n" for text in (command.help or "").split("\n\n")]
    if own:
        lines += ["\n| option | does |\n| --- | --- |\n", *map(_row, own)]
    if also := [f"`{each.opts[0]}`" for each in options if each.opts[0] in COMMON]:
        lines.append(f"\nAlso: {', '.join(also)}.\n")
    return "".join(lines)


def _row(option: click.Option) -> str:
    names = ", ".join(option.opts)
    if isinstance(option.type, click.Choice):
        names += " " + "\\|".join(option.type.choices)
    elif not option.is_flag:
        names += f" {option.metavar or 'TEXT'}"
    default = f" Default: `{option.default}`." if option.show_default else ""
    return f"| `{names}` | {option.help or ''}{default} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
