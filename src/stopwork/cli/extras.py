"""What the base install cannot do says so, and which extra brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stopwork.kernel.errors import Unavailable


@contextmanager
def server_extra(doing: str) -> Iterator[None]:
    """Turn a missing package of the server's extra into ``Unavailable`` with the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "stopwork":
            raise
        raise Unavailable(
            f"stopwork {doing} needs the server's packages; {error.name} is not installed",
            hint="Install them: pip install 'stopwork[server]'",
            package=error.name,
        ) from error
