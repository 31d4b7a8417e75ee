"""Groups of commands: imported when they are needed, shown in sections, and of some use when called bare."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class Group(click.Group):
    """A group that does its ``default`` command when only options are given: ``stopwork holds`` lists the holds."""

    def __init__(self, name: str | None = None, *, default: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, with the default command's name put in where no command is named."""
        only_options = not args or (
            args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx)
        )
        if self.default is not None and only_options:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class Sections(click.Group):
    """The root: commands by section, each named as ``module:attribute`` and imported on first use."""

    def __init__(
        self, name: str | None = None, *, sections: Mapping[str, Mapping[str, str]], **options: Any
    ) -> None:
        super().__init__(name, **options)
        self.sections = sections
        self._places = {name: place for section in sections.values() for name, place in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Answer every name, in the order of the sections."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and answer one command."""
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant; what is nearly a command's name is asked back."""
        name = args[0]
        if name not in self._places and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, self._places, n=1)
            raise click.UsageError(
                f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands below the heading of their section."""
        width = max(map(len, self._places))
        for title, places in self.sections.items():
            commands = [(name, self.get_command(ctx, name)) for name in places]
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name.ljust(width), command.get_short_help_str(limit=100))
                        for name, command in commands
                        if command
                    ]
                )
