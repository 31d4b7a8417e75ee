"""Files that are not as they should be: each is refused with an error that says what to do, and nothing is made worse."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, StopworkError, Tampered, Unavailable
from stopwork.operations import sealing
from stopwork.operations.installation import DATABASE, KEY_FILE, Installation
from stopwork.storage.schema import HEAD
from stopwork.storage.store import Store
from tests.support.doomed import doomed, open_where_nothing_may_be_written, own, wait_for
from tests.support.office import Office


def refused(folder: Path, kind: type[StopworkError], why: str) -> StopworkError:
    with pytest.raises(kind, match=why) as caught:
        Installation.open(folder)
    assert caught.value.hint
    return caught.value


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation with a sealed journal, closed."""
    with Office(tmp_path / "data") as office:
        office.begin()
        sealing.seal(office.store, office.inst.signer)
    return tmp_path / "data"


def test_two_servers_on_one_file(tmp_path: Path) -> None:
    with doomed(own, tmp_path) as first:
        wait_for((tmp_path / "running").exists, first)
        error = refused(tmp_path / "data", Conflict, f"is in use by process {first.pid}")
        assert error.fields["owner"] == str(first.pid)
        first.kill()
        first.join(10)
    Installation.open(tmp_path / "data").close()


def test_two_servers_on_one_file_under_two_names(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / DATABASE).symlink_to(folder / DATABASE)
    with Installation.open(folder):
        refused(other, Conflict, "is in use by process")


def test_a_folder_that_is_not_there_or_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not exist") as caught:
        Store.open(tmp_path / "nowhere" / "test.db")
    assert caught.value.hint
    (tmp_path / "file").write_text("not a folder")
    refused(tmp_path / "file", Unavailable, "cannot be made")
    refused(tmp_path / "file" / "data", Unavailable, "cannot be made")


def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    with doomed(open_where_nothing_may_be_written, tmp_path) as process:
        process.join(30)
    lines = (tmp_path / "refused.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["unavailable", "unavailable"]
    assert all("Permission denied" in line for line in lines)


def test_a_database_that_is_none(folder: Path) -> None:
    (folder / DATABASE).write_bytes(os.urandom(8192))
    refused(folder, Unavailable, "cannot be read")
    assert (folder / DATABASE).stat().st_size == 8192, "it is left as it was found"


def test_a_database_whose_name_is_taken_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / DATABASE).mkdir()
    refused(tmp_path, Unavailable, "does not answer")


def test_a_database_with_a_damaged_page_answers_what_it_can_and_says_what_it_cannot(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'journal'").fetchone()
    with (folder / DATABASE).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    refused(folder, Unavailable, "cannot be read")


def test_a_schema_from_the_future(folder: Path) -> None:
    change(folder, "UPDATE alembic_version SET version_num = '9999'")
    refused(folder, Unavailable, "has schema 9999")
    change(folder, f"UPDATE alembic_version SET version_num = '{HEAD}'")
    Installation.open(folder).close()


@pytest.mark.parametrize("content", ["", "nonsense", "stopwork.local/x abcdef\n", "name with spaces 00\n"])
def test_a_signing_key_that_is_none(folder: Path, content: str) -> None:
    (folder / KEY_FILE).write_text(content)
    refused(folder, Tampered, "is not a signing key")
    with Store.open(folder / DATABASE) as store:
        assert store.last_seq > 0, "the database was given back"


def test_a_signing_key_that_is_gone_is_not_quietly_replaced(folder: Path) -> None:
    (folder / KEY_FILE).unlink()
    said = refused(folder, Unavailable, "is gone, and the journal is sealed with it")
    # Whoever starts a second server on one database in a folder of its own reads the same.
    assert "the folder of the servers that share this database" in said.hint
    assert not (folder / KEY_FILE).exists()


def test_a_signing_key_is_for_its_owner_only_and_stays_the_same(tmp_path: Path) -> None:
    with Installation.open(tmp_path) as inst:
        first = inst.signer.vkey
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with Installation.open(tmp_path) as inst:
        assert inst.signer.vkey == first
