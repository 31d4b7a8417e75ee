"""Contract of the container: an ordinary zip file with one spelling, of which a hostile one is refused at small cost.

Python's ``zipfile`` is the oracle for *ordinary*, and the source of everything that is not in the one spelling.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.container import MAX_MEMBERS, Member, directory, read_members
from stopwork.ledger.verify import Outcome
from tests.unit.ledger.evidence import good_bundle, packed, unpacked, verified

FILES = {"a.txt": b"alpha", "data/b": b"", "data/c/d.json": b"{}" * 1000}


def test_it_is_a_zip_file_that_others_read() -> None:
    with zipfile.ZipFile(io.BytesIO(packed(FILES))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        for info in archive.infolist():
            assert (info.compress_type, info.date_time) == (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))
            assert (info.create_system, info.external_attr >> 16) == (3, 0o100644)
            assert (info.extra, info.comment, info.flag_bits) == (b"", b"", 0)


def test_its_headers_are_those_python_writes() -> None:
    member = Member("data/c", crc=7, size=9, offset=0)
    info = zipfile.ZipInfo("data/c")
    info.CRC, info.file_size, info.compress_size = 7, 9, 9
    assert member.local_header() == info.FileHeader()


def test_members_are_read_back() -> None:
    assert unpacked(packed(FILES)) == FILES
    assert unpacked(packed({})) == {}


def zipped(
    files: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.comment = comment
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


GOOD = packed(FILES)


def with_offset(data: bytes, member: int, offset: int) -> bytes:
    """Answer the container with another offset for one member."""
    at = [index for index in range(len(data)) if data[index : index + 4] == b"PK\x01\x02"][member]
    return data[: at + 42] + struct.pack("<I", offset) + data[at + 46 :]


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not end as a bundle ends"),
    "text": (b"hello" * 100, "does not end as a bundle ends"),
    "cut short": (GOOD[:-1], "does not end as a bundle ends"),
    "something after it": (GOOD + b"x", "does not end as a bundle ends"),
    "something before it": (b"x" + GOOD, "bytes are missing, or were added"),
    "a comment": (zipped([("a", b"")], comment=b"hello"), "does not end as a bundle ends"),
    "a name that climbs": (zipped([("../a", b"x")]), "'../a' is not a name"),
    "a name that climbs later": (zipped([("data/../../a", b"x")]), "is not a name"),
    "an absolute name": (zipped([("/etc/passwd", b"x")]), "is not a name"),
    "a drive": (zipped([("C:\\a", b"x")]), "is not a name"),
    "a hidden name": (zipped([("data/.a", b"x")]), "is not a name"),
    "a folder": (zipped([("data/", b"")]), "is not a name"),
    "a name that is not ASCII": (zipped([("é", b"x")]), "is not a name"),
    "no name": (zipped([("", b"x")]), "is not a name"),
    "a name with a line break": (zipped([("a\nb", b"x")]), "is not a name"),
    "a long name": (zipped([("a" * 256, b"x")]), "bytes are missing, or were added"),
    "a long name among short ones": (zipped([("a", b""), ("b" * 400, b"")]), "is not a name"),
    "a bomb": (zipped([("a", bytes(10_000_000))], zipfile.ZIP_DEFLATED), "a is compressed"),
    "out of order": (zipped([("b", b"x"), ("a", b"x")]), "stands twice, or out of order"),
    "overlapping members": (with_offset(GOOD, 1, 0), "does not begin where the file before it ends"),
    "a member outside": (with_offset(GOOD, 2, 0xFFFFFFFF), "does not begin where the file before it ends"),
    "a directory larger than the file": (
        GOOD[:-10] + struct.pack("<IIH", 0xFFFFFFFF, 0xFFFFFFFF, 0),
        "bytes are missing",
    ),
    "more members than headers": (GOOD[:-14] + struct.pack("<HH", 9999, 9999) + GOOD[-10:], "cut short"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_container_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Broken, match=message):
        read_members(io.BytesIO(data))


def _as_others_zip(how: str) -> bytes:
    """Answer the files of a bundle as another tool would pack them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in sorted(unpacked(good_bundle()).items()):
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if how == "links" else 0o100644) << 16
            with packed.open(info, "w", force_zip64=how == "zip64") as member:
                member.write(content)
    return file.getvalue()


@pytest.mark.parametrize("how", ["links", "zip64"])
def test_a_bundle_that_others_packed_again_is_refused(tmp_path: Path, how: str) -> None:
    report = verified(tmp_path, _as_others_zip(how))
    assert report.outcome is not Outcome.VERIFIED
    assert report.failure is not None


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(Broken, match="a stands twice"):
        read_members(io.BytesIO(zipped([("a", b"x"), ("a", b"y")])))


def test_a_hostile_directory_costs_no_more_than_its_own_size() -> None:
    same = Member("a", crc=0, size=0, offset=0)
    data = directory([same] * MAX_MEMBERS)
    tracemalloc.start()
    with pytest.raises(Broken):
        read_members(io.BytesIO(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
