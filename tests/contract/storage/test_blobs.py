"""Contract of blobs, of a folder and of a bucket alike: content is kept under its digest, once, unharmed or not at all; whoever reads gets
what was kept, or an error before the last piece of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from stopwork.kernel.errors import Invalid, NotFound, StopworkError, Tampered, TooLarge, Unavailable
from stopwork.storage.blobs import CHUNK_BYTES, Blobs, FolderBlobs
from stopwork.storage.bucket import BucketBlobs, open_blobs

LARGE = os.urandom(CHUNK_BYTES) + b"and a little more"
Damage = Callable[[str, bytes | None], None]


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "endpoint": f"http://{host}:{port}",
        "access_key_id": "test",
        "secret_access_key": "test",
        "region": "us-east-1",
        "virtual_hosted_style_request": False,
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 0},
    }
    httpx.put(f"{options['endpoint']}/evidence").raise_for_status()
    yield options
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[Blobs, Callable[[str, bytes | None], None]]:
    """Answer blobs, and a hand that changes (or removes) what lies in them."""
    if request.param == "folder":
        folder = tmp_path / "blobs"

        def write(digest: str, content: bytes | None) -> None:
            (path,) = folder.glob(f"*/{digest.removeprefix('sha256:')}")
            path.unlink() if content is None else path.write_bytes(content)

        return FolderBlobs(folder), write
    options = request.getfixturevalue("bucket")
    prefix = f"{request.node.originalname}/{len(request.node.name)}"
    store = S3Store("evidence", prefix=prefix, **options)

    def put(digest: str, content: bytes | None) -> None:
        name = digest.removeprefix("sha256:")
        key = f"sha256/{name[:2]}/{name}"
        obstore.delete(store, key) if content is None else obstore.put(store, key, content)

    return BucketBlobs(f"s3://evidence/{prefix}", options), put


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.mark.parametrize("content", [b"", b"a note", LARGE], ids=["empty", "small", "large"])
def test_what_was_kept_is_read_under_its_digest(place: tuple[Blobs, Damage], content: bytes) -> None:
    blobs, _ = place
    kept = blobs.put(io.BytesIO(content))
    assert (kept.digest, kept.size_bytes) == (digest_of(content), len(content))
    assert b"".join(blobs.read(kept.digest)) == content


def test_the_same_content_is_kept_once_and_stays(place: tuple[Blobs, Damage]) -> None:
    blobs, _ = place
    assert blobs.put(LARGE) == blobs.put(io.BytesIO(LARGE))
    assert b"".join(blobs.read(digest_of(LARGE))) == LARGE


def _take(pieces: Iterator[bytes], into: list[bytes]) -> None:
    for piece in pieces:
        into.append(piece)  # noqa: PERF402 - what came before the fault is looked at


def test_changed_content_is_found_out_before_its_last_piece(place: tuple[Blobs, Damage]) -> None:
    blobs, change = place
    kept = blobs.put(LARGE)
    change(kept.digest, LARGE[:-1] + b"!")
    read: list[bytes] = []
    with pytest.raises(Tampered) as caught:
        _take(blobs.read(kept.digest), into=read)
    assert sum(map(len, read)) < len(LARGE)
    assert caught.value.fields["expected"] == kept.digest


def test_content_that_was_harmed_is_not_called_kept(place: tuple[Blobs, Damage]) -> None:
    blobs, change = place
    kept = blobs.put(b"as it was")
    change(kept.digest, b"as it is now")
    with pytest.raises(Tampered):
        blobs.put(b"as it was")


def test_what_is_gone_is_named(place: tuple[Blobs, Damage]) -> None:
    blobs, change = place
    kept = blobs.put(b"gone soon")
    change(kept.digest, None)
    with pytest.raises(NotFound, match=kept.digest):
        list(blobs.read(kept.digest))


def test_what_is_too_large_is_refused_and_leaves_nothing(place: tuple[Blobs, Damage]) -> None:
    blobs, _ = place
    with pytest.raises(TooLarge, match="larger than 10 bytes"):
        blobs.put(io.BytesIO(b"x" * 11), limit_bytes=10)
    with pytest.raises(NotFound):
        list(blobs.read(digest_of(b"x" * 11)))


@pytest.mark.parametrize(
    "name", ["", "sha256:", "../../signing.key", "sha256:" + "g" * 64, "sha1:" + "a" * 64]
)
def test_what_is_no_digest_reaches_no_store(place: tuple[Blobs, Damage], name: str) -> None:
    with pytest.raises(Invalid, match="not a digest"):
        list(place[0].read(name))


def test_a_folder_keeps_them_from_other_users_and_leaves_no_drafts(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    kept = blobs.put(b"secret")
    (path,) = (each for each in blobs.folder.rglob("*") if each.is_file())
    assert path.name == kept.digest.removeprefix("sha256:")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be written"):
        FolderBlobs(tmp_path / "file").put(b"content")


@pytest.mark.parametrize("key", ["test", ""], ids=["no bucket", "no access"])
def test_a_bucket_that_cannot_be_reached_says_so(bucket: dict[str, Any], key: str) -> None:
    blobs = BucketBlobs("s3://nowhere", {**bucket, "access_key_id": key})
    with pytest.raises(Unavailable, match="s3://nowhere"):
        blobs.put(b"content")


def test_the_place_is_chosen_by_its_address(tmp_path: Path, bucket: dict[str, Any]) -> None:
    assert isinstance(open_blobs(tmp_path), FolderBlobs)
    assert str(open_blobs("s3://evidence/here")) == "s3://evidence/here"
    for wrong in ("gs://evidence", "s3://", "https://evidence.test/x", "s3://a/.."):
        with pytest.raises(StopworkError, match=r"bucket|cannot be used"):
            open_blobs(wrong)


def test_a_pipe_in_the_place_of_content_is_not_waited_for(tmp_path: Path) -> None:
    kept = FolderBlobs(tmp_path).put(b"content")
    (path,) = tmp_path.glob("*/*")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Unavailable, match="it is no file"):
        list(FolderBlobs(tmp_path).read(kept.digest))
