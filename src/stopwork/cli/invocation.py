"""One invocation of a command: what it may ask the server and the person, and how its answer leaves.

A command is a function that returns plain JSON; :func:`answers` gives it ``--json`` and the words for people. So stdout holds
the answer and nothing else, whatever a command asks or tells on the way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from stopwork.cli.exits import Exit
from stopwork.cli.settings import TOKEN_VARIABLE, URL_VARIABLE, Login, find_login, no_token

if TYPE_CHECKING:
    from stopwork.cli.client import Server
    from stopwork.cli.printing import Paper

Show = Callable[["Paper", Any], None]
Work = Callable[..., Any]

MAX_LIMIT: Final = 500


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A command's answer together with an exit code that is not ``OK``."""

    value: Any
    exit: Exit


class Invocation:
    """What a command works with: the server behind its options, and the person at the terminal, if there is one."""

    def __init__(self, login: Callable[[], Login], *, as_json: bool = False, public: bool = False) -> None:
        self._find_login = login
        self._public = public
        self.as_json = as_json

    @cached_property
    def login(self) -> Login:
        """The server's address and the token, as they were found."""
        return self._find_login()

    @cached_property
    def server(self) -> Server:
        """The server that the options, the environment or the last login name; ``Unauthenticated`` without a token."""
        from stopwork.cli.client import Server

        if not self.login.token and not self._public:
            raise no_token(self.login.url)
        return Server(self.login)

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def page(self, path: str, *, limit: int, **query: Any) -> Any:
        """Answer one page of a listing, and tell the person when there may be more."""
        found = self.server.get(path, limit=limit, **query)
        if len(found) == limit and not self.as_json:
            self.say(f"Showing {limit}; there may be more: --after {found[-1]['id']}")
        return found

    def show(self, show: Show, value: Any) -> None:
        """Show the person something before the answer, where it does not mix with it."""
        show(paper(sys.stderr), value)

    def say(self, text: str) -> None:
        """Tell the person something that is not the answer."""
        from stopwork.cli.printing import printable

        click.echo(printable(text), err=True)

    def ask(self, given: str | None, question: str, *, option: str, hidden: bool = False) -> str:
        """Answer what was given, or what the person says now; a usage error where nobody can be asked."""
        if given is not None and given.strip():
            return given
        if given is None and self.interactive:
            answer: str = click.prompt(question, err=True, hide_input=hidden)
            return answer
        raise click.UsageError(f"nobody is here to answer; give {option}: {question}")

    def edit(self, text: str, *, option: str, extension: str = ".txt") -> str:
        """Answer the text as the person leaves it in their editor; a usage error where nobody can edit."""
        if not self.interactive:
            raise click.UsageError(f"nobody is here to edit; give {option}")
        changed = click.edit(text, extension=extension)
        if changed is None:
            raise click.Abort
        return changed

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only when the person agrees; without one, only with ``--yes``."""
        if yes:
            return
        if not self.interactive:
            raise click.UsageError(f"nobody is here to confirm; give --yes: {question}")
        click.confirm(question, err=True, abort=True)

    def close(self) -> None:
        """Close what was opened."""
        if "server" in self.__dict__:
            self.server.close()


def answers(show: Show, *, remote: bool = True, public: bool = False) -> Callable[[Work], Work]:
    """Make a function that returns JSON a command: ``--json`` prints the value, otherwise ``show`` writes it for people.

    The function gets the :class:`Invocation` first. ``remote`` commands also take ``--url`` and ``--token``; ``public`` ones
    do without a token.
    """

    def decorate(work: Work) -> Work:
        @functools.wraps(work)
        def command(*, as_json: bool, **options: Any) -> None:
            from stopwork.cli.printing import write_json

            url, token = (options.pop("url"), options.pop("token")) if remote else (None, None)
            invocation = Invocation(lambda: find_login(url, token), as_json=as_json, public=public)
            try:
                found = work(invocation, **options)
            finally:
                invocation.close()
            answer = found if isinstance(found, Answer) else Answer(value=found, exit=Exit.OK)
            if as_json:
                write_json(answer.value, sys.stdout)
            else:
                show(paper(sys.stdout), answer.value)
            sys.stdout.flush()
            raise click.exceptions.Exit(answer.exit)

        finished: Work = command
        for option in reversed(_OPTIONS if remote else _OPTIONS[:1]):
            finished = option(finished)
        return finished

    return decorate


_OPTIONS: Final[Sequence[Callable[[Work], Work]]] = (
    click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else."),
    click.option(
        "--url", metavar="URL", help=f"The server's address. Otherwise {URL_VARIABLE}, or the last login."
    ),
    click.option(
        "--token", metavar="TOKEN", help=f"The token. Otherwise {TOKEN_VARIABLE}, or the last login."
    ),
)


def paper(file: TextIO) -> Paper:
    """Answer the paper that ``file`` is, dated now."""
    from stopwork.cli.printing import Paper
    from stopwork.kernel.clock import SystemClock

    return Paper(file, now=SystemClock().now())


def paged(work: Work) -> Work:
    """Give a listing its ``--limit`` and ``--after``."""
    work = click.option("--after", metavar="ID", help="Go on after this one.")(work)
    return click.option(
        "--limit",
        metavar="NUMBER",
        type=click.IntRange(1, MAX_LIMIT),
        default=50,
        show_default=True,
        help=f"Show at most so many, up to {MAX_LIMIT}.",
    )(work)


def reason_option(help_text: str) -> Callable[[Work], Work]:
    """Give a command its ``--reason``."""
    return click.option("--reason", metavar="TEXT", help=help_text)


def yes_option(work: Work) -> Work:
    """Give a command its ``--yes``."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")(work)


def nothing_more(paper: Paper, _value: Any) -> None:
    """Say that it was done, where there is nothing else to say."""
    paper.line("Done.")
