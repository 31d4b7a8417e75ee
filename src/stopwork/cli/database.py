"""The data folder, on the machine where it lies: bring its schema up to date, check it, copy it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.exits import Exit
from stopwork.cli.extras import server_extra
from stopwork.cli.folders import blobs_option, data_option, database_option, settings_option
from stopwork.cli.group import Group
from stopwork.cli.invocation import Answer, Invocation, answers
from stopwork.kernel.errors import Conflict, NotFound, Unavailable
from stopwork.kernel.phrases import count_of

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group)
def db() -> None:
    """The database of a server, on the machine where it lies."""


def _show_upgraded(paper: Paper, found: Any) -> None:
    if found["before"] == found["after"]:
        paper.line(f"{found['database']} has schema {found['after']} already.")
    else:
        paper.line(f"{found['database']} is upgraded from schema {found['before']} to {found['after']}.")


@db.command("upgrade")
@data_option("The folder of the server, which must be stopped.")
@database_option("The PostgreSQL database of the servers, which must be stopped.")
@answers(_show_upgraded, remote=False)
def upgrade(_cli: Invocation, data: Path, database: str | None) -> Any:
    """Bring the database to the schema of this version. Starting a server does the same."""
    with server_extra("db upgrade"):
        from stopwork.storage.store import Store

        location = database or str(_database_in(data))
        before = _schema_of(location)
        with Store.open(location):
            pass
    return {"database": _shown(location), "before": before, "after": _schema_of(location)}


def _show_checked(paper: Paper, found: Any) -> None:
    not_asked = "not compared: only the log was asked for" if found["log_only"] else ""
    paper.facts(
        {
            "database": found["database"],
            "result": "as it was recorded"
            if not found["faults"]
            else count_of(len(found["faults"]), "fault"),
            "entries": f"{found['entries']:,}, of which {found['sealed']:,} are sealed",
            "checkpoints": f"{found['checkpoints']:,}",
            "signatures": "checked" if found["signatures_checked"] else "not checked: no key is known",
            "kept elsewhere": _kept_elsewhere(found),
            "evidence": not_asked
            or f"{count_of(found['bundles'], 'bundle')}, {count_of(found['blobs'], 'blob')}",
            "records": not_asked or f"{found['records']:,}",
        }
    )
    if found["faults"]:
        paper.heading("Faults, the first first")
        paper.table(
            ("where", "what"), [(each["where"], each["what"]) for each in found["faults"]], empty="None."
        )
    if found["unrecorded"]:
        paper.heading("No fault: files of which nothing is recorded")
        paper.table(
            ("where", "what"), [(each["where"], each["what"]) for each in found["unrecorded"]], empty="None."
        )


def _kept_elsewhere(found: Any) -> str:
    where = f" ({', '.join(found['kept_by'])})" if found["kept_by"] else ""
    unread = (
        f"; not asked, because they cannot be: {', '.join(found['not_asked'])}" if found["not_asked"] else ""
    )
    return f"{count_of(found['kept'], 'checkpoint')}{where}{unread}"


@db.command("fsck")
@data_option("The folder of the server, which may be running.")
@database_option("The PostgreSQL database of the servers, which may be running.")
@blobs_option("The bucket of the servers, where they have one.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY",
    help="A key that may have signed the checkpoints. Otherwise the one in the folder, which proves less.",
)
@click.option(
    "--checkpoint",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Checkpoints that were kept elsewhere: they show a database that was put back to an earlier copy.",
)
@settings_option(
    "--anchors", "The servers' anchors: those that are a file or a bucket are asked for what they keep."
)
@click.option(
    "--anchor",
    "names",
    multiple=True,
    metavar="NAME",
    help="Ask this one of the anchors only; needs --anchors.",
)
@click.option(
    "--log", "log_only", is_flag=True, help="Compare journal and log only: quicker, and in less memory."
)
@answers(_show_checked, remote=False)
def fsck(
    _cli: Invocation,
    data: Path,
    database: str | None,
    blobs: str | None,
    keys: tuple[str, ...],
    files: tuple[Path, ...],
    anchors: Path | None,
    names: tuple[str, ...],
    *,
    log_only: bool,
) -> Any:
    """Recompute what can be recomputed, and name the first thing that is not as it was recorded.

    Nothing is changed. Exit code 6 when something differs.
    """
    if names and anchors is None:
        raise click.UsageError("--anchor NAME needs --anchors FILE, which says where that anchor is")
    with server_extra("db fsck"):
        import msgspec

        from stopwork.anchors.settings import ReadBack, read_back
        from stopwork.ledger.notes import notes_in, read_key
        from stopwork.operations.installation import BLOBS, EVIDENCE, KEY_FILE, read_signer
        from stopwork.storage.bucket import open_blobs
        from stopwork.storage.fsck import fsck as examine

        location, own = database or str(_database_in(data)), data / KEY_FILE
        for key in keys:
            read_key(key)
        known = keys or ((read_signer(own).vkey,) if own.is_file() else ())
        places = ReadBack(kept={}, others={})
        if anchors is not None:
            origins = [read_key(key).name for key in known]
            places = read_back(anchors, origins[0] if origins else "", env=os.environ, names=names)
        kept = {
            **places.kept,
            # Whole paths, so that no file has the name of an anchor.
            **{
                str(file.absolute()): notes_in(file.read_text(encoding="utf-8", errors="replace"))
                for file in files
            },
        }
        report = examine(
            location,
            vkeys=known,
            kept=kept,
            evidence=data / EVIDENCE,
            blobs=open_blobs(blobs or data / BLOBS),
            log_only=log_only,
        )
    value = {
        "database": _shown(location),
        "clean": report.clean,
        "log_only": log_only,
        "kept_by": sorted(kept),
        "not_asked": sorted(f"{name} ({kind})" for name, kind in places.others.items()),
        **msgspec.to_builtins(report),
    }
    return value if report.clean else Answer(value=value, exit=Exit.TAMPERED)


def _show_backup(paper: Paper, found: Any) -> None:
    paper.line(
        f"{found['folder']} holds the database, {count_of(found['bundles'], 'bundle')} and the signing key."
    )
    paper.line(f"Keep it as safe as the server. To use it: stopwork up --data {found['folder']}")


@db.command("backup")
@click.argument("to", type=click.Path(path_type=Path), metavar="FOLDER")
@data_option("The folder of the server, which may be running.")
@answers(_show_backup, remote=False)
def backup(_cli: Invocation, to: Path, data: Path) -> Any:
    """Copy database, signing key and evidence into the new FOLDER, while the server works.

    A PostgreSQL database has its own tools for that: copy it first, then the folder. So has a bucket of blobs, which this does not copy.
    """
    with server_extra("db backup"):
        from stopwork.operations.installation import BLOBS, EVIDENCE, KEY_FILE
        from stopwork.storage.backup import backup as copy_database
        from stopwork.storage.backup import backup_evidence
        from stopwork.storage.sealed_files import names_in

        database = _database_in(data)
        if to.exists() and any(to.iterdir()):
            raise Conflict(f"{to} is not empty", hint="Name a new folder.", folder=str(to))
        try:
            to.mkdir(parents=True, exist_ok=True, mode=0o700)
            sealed = names_in(data / EVIDENCE)
            copy_database(database, to / database.name)
            (to / database.name).chmod(0o600)
            # After the database, so that every bundle and every blob which it names is there.
            backup_evidence(data / EVIDENCE, to / EVIDENCE, there=sealed, database=to / database.name)
            if (data / BLOBS).is_dir():
                shutil.copytree(data / BLOBS, to / BLOBS, ignore=shutil.ignore_patterns(".unfinished.*"))
            shutil.copy2(data / KEY_FILE, to / KEY_FILE)
        except (OSError, shutil.Error) as error:
            raise Unavailable(
                f"the copy could not be made: {error}", hint="What is in the folder is no backup; remove it."
            ) from error
    return {"folder": str(to), "bundles": len(list((to / EVIDENCE).glob("*.zip")))}


def _database_in(folder: Path) -> Path:
    from stopwork.operations.installation import DATABASE

    database = folder / DATABASE
    if not database.is_file():
        raise NotFound(
            f"there is no database in {folder}",
            hint="Name the server's folder with --data.",
            folder=str(folder),
        )
    return database


def _schema_of(location: str) -> str | None:
    from stopwork.storage.schema import version_of
    from stopwork.storage.store import engine_of

    return version_of(engine_of(location))


def _shown(location: str) -> str:
    """Answer where a database is, without the password that its address may hold."""
    import sqlalchemy as sa

    from stopwork.storage.store import is_address

    return sa.make_url(location).render_as_string(hide_password=True) if is_address(location) else location
