"""Files, folders and links below a root are seen exactly, put back exactly, and nothing outside of the root is touched.

A path has one spelling; large files are kept by digest; a scan sees moves, modes and links, and repeats no work for what has not changed;
what stands in the way is a conflict and nothing is changed.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stopwork.incidents.images import same_image
from stopwork.kernel.errors import Conflict, Invalid, TooLarge, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.files import FilesSystem

ABSENT = Image.absent()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def desk(root: Path, tmp_path: Path) -> FilesSystem:
    return FilesSystem("desk", root, keep=tmp_path / "keep", inline_bytes_max=1000)


def ref(path: str, kind: str = "file") -> ObjectRef:
    return ObjectRef(system="desk", type=kind, id=path)


def world(root: Path) -> dict[str, tuple[str, Any]]:
    """What lies below the root, seen without the system."""
    found: dict[str, tuple[str, Any]] = {}
    for path in sorted(root.rglob("*")):
        mode = stat.filemode(path.lstat().st_mode)
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (mode, content)
    return found


CONTENTS = [b"", b"one line\n", "Ünï\r\n\ttext".encode(), b"\x00\xff\xfe", b"\xed\xa0\x80", os.urandom(5000)]


@pytest.mark.parametrize(
    "content", CONTENTS, ids=["empty", "text", "odd text", "binary", "no utf-8", "large"]
)
@pytest.mark.parametrize("later", [b"other", None], ids=["changed", "deleted"])
def test_what_a_call_did_to_a_file_is_put_back(
    desk: FilesSystem, root: Path, content: bytes, later: bytes | None
) -> None:
    path = root / "a.txt"
    path.write_bytes(content)
    path.chmod(0o640)
    before, was = desk.read(ref("a.txt")), world(root)
    path.unlink() if later is None else path.write_bytes(later)
    desk.replace(ref("a.txt"), desk.read(ref("a.txt")), before)
    assert world(root) == was
    assert same_image(desk.read(ref("a.txt")), before)


def test_a_file_that_came_is_removed(desk: FilesSystem, root: Path) -> None:
    (root / "new").write_text("x")
    desk.replace(ref("new"), desk.read(ref("new")), ABSENT)
    assert world(root) == {}
    assert desk.read(ref("new")) == ABSENT


def test_a_mode_and_a_link_are_put_back(desk: FilesSystem, root: Path) -> None:
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "now").symlink_to("run.sh")
    before = {each: desk.read(each) for each in (ref("run.sh"), ref("now", "link"))}
    was = world(root)
    (root / "run.sh").chmod(0o600)
    (root / "now").unlink()
    (root / "now").symlink_to("/etc/passwd")
    for each, image in before.items():
        desk.replace(each, desk.read(each), image)
    assert world(root) == was


def test_a_scan_sees_what_moved_and_undoing_it_is_exact(desk: FilesSystem, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "x.txt").write_text("x")
    before, was = desk.scan(), world(root)
    (root / "a").rename(root / "z")
    after = desk.scan()
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    assert {str(each.id) for each in gone} == {"a", "a/b", "a/b/x.txt"}
    for each in sorted(gone, key=lambda each: each.id):
        desk.replace(each, ABSENT, Image.present(before[each]))
    for each in sorted(come, key=lambda each: each.id, reverse=True):
        desk.replace(each, Image.present(after[each]), ABSENT)
    assert world(root) == was


def test_what_lies_in_a_folder_names_it(desk: FilesSystem, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "x").write_text("x")
    assert desk.read(ref("a/x")).content["folder"] == "a"
    assert desk.read(ref("a", "folder")).content["folder"] == ""


def test_a_file_whose_folder_is_gone_waits_for_it(desk: FilesSystem, root: Path) -> None:
    content = {"folder": "a", "mode": "0644", "text": "x"}
    with pytest.raises(Conflict, match="the folder of desk/file/a/x is not there"):
        desk.replace(ref("a/x"), ABSENT, Image.present(content))
    assert world(root) == {}


def test_somebody_elses_change_is_left_alone(desk: FilesSystem, root: Path) -> None:
    (root / "a").write_text("agent's")
    left = desk.read(ref("a"))
    (root / "a").write_text("a person's")
    was = world(root)
    with pytest.raises(Conflict):
        desk.replace(ref("a"), left, ABSENT)
    with pytest.raises(Conflict):
        desk.replace(ref("a"), ABSENT, left)
    assert world(root) == was


def test_a_folder_that_is_not_empty_stays(desk: FilesSystem, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "x").write_text("x")
    was = world(root)
    with pytest.raises(Conflict):
        desk.replace(ref("a", "folder"), desk.read(ref("a", "folder")), ABSENT)
    assert world(root) == was


def test_a_file_never_lands_on_a_folder(desk: FilesSystem, root: Path) -> None:
    (root / "a").mkdir()
    with pytest.raises(Conflict):
        desk.replace(ref("a"), ABSENT, Image.present({"folder": "", "mode": "0644", "text": "x"}))
    assert list(world(root)) == ["a"]


def test_of_several_writers_at_once_one_wins(desk: FilesSystem, root: Path) -> None:
    (root / "a").write_text("0")
    before = desk.read(ref("a"))

    def write(number: int) -> bool:
        try:
            desk.replace(ref("a"), before, Image.present({**before.content, "text": f"by {number}"}))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", "a/./b", "a\0b"]
)
def test_only_paths_below_the_root_are_ids(desk: FilesSystem, path: str) -> None:
    with pytest.raises(Invalid, match="not a path below the root"):
        desk.read(ref(path))


def test_a_link_leads_nowhere(desk: FilesSystem, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("s3cret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "file").symlink_to(tmp_path / "secret" / "key")
    assert desk.read(ref("file")) == ABSENT  # there is a link, not a file
    with pytest.raises(Conflict):
        desk.read(ref("out/key"))
    assert {str(each) for each in desk.scan()} == {"desk/link/file", "desk/link/out"}


def test_names_that_differ_in_capitals_are_two_objects_where_both_are_listed(
    desk: FilesSystem, root: Path
) -> None:
    (root / "Report").write_text("x")
    os.link(root / "Report", root / "rEPORT")
    assert same_image(desk.read(ref("Report")), desk.read(ref("rEPORT")))
    assert len(desk.scan()) == 2


def test_a_large_file_needs_a_place_to_be_kept(root: Path, tmp_path: Path) -> None:
    (root / "big").write_bytes(bytes(2000))
    with pytest.raises(TooLarge, match="2000 bytes"):
        FilesSystem("desk", root, inline_bytes_max=1000).read(ref("big"))
    with pytest.raises(Invalid, match="keep"):
        FilesSystem("desk", root, keep=root / "keep")


def test_a_kept_copy_that_was_changed_is_not_put_back(desk: FilesSystem, root: Path, tmp_path: Path) -> None:
    (root / "big").write_bytes(bytes(2000))
    before = desk.read(ref("big"))
    (root / "big").unlink()
    copy = tmp_path / "keep" / before.content["sha256"]
    copy.write_bytes(bytes(1999))
    with pytest.raises(Conflict, match="has been changed"):
        desk.replace(ref("big"), ABSENT, before)
    assert world(root) == {}
    copy.unlink()
    with pytest.raises(Conflict, match="no copy"):
        desk.replace(ref("big"), ABSENT, before)
    assert world(root) == {}


def test_a_scan_sees_every_change_whatever_its_times_say(desk: FilesSystem, root: Path) -> None:
    path = root / "a"
    for number in range(200):  # same size, and often within one tick of the file system's clock
        path.write_text(f"{number:03}")
        assert desk.scan()[ref("a")]["text"] == f"{number:03}"
    os.utime(path, (1, 1))
    assert desk.scan()[ref("a")]["text"] == "199"
    path.write_text("xyz")
    os.utime(path, (1, 1))
    assert desk.scan()[ref("a")]["text"] == "xyz"


def test_what_is_ignored_is_no_object(root: Path) -> None:
    desk = FilesSystem("desk", root, ignore=("cache/*", "*.log"))
    (root / "cache").mkdir()
    (root / "cache" / "x").write_text("x")
    (root / "a.log").write_text("x")
    os.mkfifo(root / "pipe")
    assert {str(each) for each in desk.scan()} == {"desk/folder/cache"}
    with pytest.raises(Invalid, match="ignore"):
        desk.read(ref("a.log"))


def test_a_scan_is_bounded(root: Path) -> None:
    for number in range(4):
        (root / str(number)).touch()
    with pytest.raises(TooLarge, match="more than 3"):
        FilesSystem("desk", root, scan_objects_max=3).scan()


def test_a_root_that_is_not_there_is_said(tmp_path: Path) -> None:
    desk = FilesSystem("desk", tmp_path / "nowhere")
    with pytest.raises(Unavailable):
        desk.scan()
    with pytest.raises(Unavailable):
        desk.read(ref("a"))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("file", "text"),
        ("file", {"folder": "", "mode": "0644"}),
        ("file", {"folder": "", "mode": "rw", "text": ""}),
        ("file", {"folder": "b", "mode": "0644", "text": ""}),
        ("file", {"folder": "", "mode": "0644", "bytes": 1, "sha256": "../../etc/passwd"}),
        ("folder", {"folder": "", "mode": "0755", "text": ""}),
        ("link", {"folder": "", "mode": "0777"}),
    ],
)
def test_content_of_another_shape_is_refused(desk: FilesSystem, root: Path, kind: str, content: Any) -> None:
    with pytest.raises(Invalid, match="cannot be put there"):
        desk.replace(ref("a", kind), ABSENT, Image.present(content))
    assert world(root) == {}


def test_other_systems_and_types_are_refused(desk: FilesSystem) -> None:
    for other in (ObjectRef(system="x", type="file", id="a"), ObjectRef(system="desk", type="row", id="a")):
        with pytest.raises(Invalid, match="not an object of desk"):
            desk.read(other)
