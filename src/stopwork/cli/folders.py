"""Where a server keeps its data when nothing else is said, and the files that its operator writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

DATA_VARIABLE: Final = "STOPWORK_DATA"
DATABASE_VARIABLE: Final = "STOPWORK_DATABASE"
BLOBS_VARIABLE: Final = "STOPWORK_BLOBS"


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Answer the folder of this user's server."""
    if named := environment.get(DATA_VARIABLE):
        return Path(named)
    base = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME", "~"), ".local", "share"))
    return Path(base).expanduser() / "stopwork"


def data_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command its ``--data``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_folder,
        metavar="DIR",
        help=f"{help_text} Otherwise {DATA_VARIABLE}, or ~/.local/share/stopwork.",
    )


def database_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command its ``--database``."""
    return click.option(
        "--database",
        metavar="URL",
        envvar=DATABASE_VARIABLE,
        help=f"{help_text} As postgresql://user@host/name, better in {DATABASE_VARIABLE} where it holds a password.",
    )


def blobs_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command its ``--blobs``."""
    return click.option(
        "--blobs",
        metavar="URL",
        envvar=BLOBS_VARIABLE,
        help=f"{help_text} Written s3://bucket/prefix, or in {BLOBS_VARIABLE}; credentials and endpoint are the AWS_… variables.",
    )


def settings_option(
    name: str, help_text: str, *, required: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command a file that the operator of a server writes."""
    return click.option(
        name,
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        required=required,
        help=help_text,
    )
