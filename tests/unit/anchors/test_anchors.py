"""Contract of every anchor: it keeps what it was given and says so; a log that grew is taken, one that was put back or written anew is
told where the place can tell; a place that does not answer is ``Unavailable``, which says nothing about the log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest

from stopwork.anchors.base import Anchor
from stopwork.anchors.file import FileAnchor
from stopwork.anchors.mail import MailAnchor
from stopwork.anchors.store import StoreAnchor
from stopwork.anchors.timestamp import REPLY, TimestampAnchor
from stopwork.anchors.webhook import WebhookAnchor
from stopwork.anchors.witness import WitnessAnchor
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Invalid, Tampered, Unavailable
from stopwork.ledger.notes import Signer, notes_in, verify
from stopwork.notify.outlet import Outlet
from tests.support.places import Place, Said, Witness
from tests.support.tsa import TimestampingAuthority
from tests.unit.anchors.log import SIGNER, LogOf, grown, rewritten

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
CLOCK = ManualClock(START)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
EVERY_S = 600.0
NOBODY = "http://127.0.0.1:9"

# --- a file --------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> FileAnchor:
    return FileAnchor("disk", tmp_path / "checkpoints.txt", every_s=EVERY_S)


def test_a_file_holds_every_checkpoint_that_was_added(kept: FileAnchor, tmp_path: Path) -> None:
    logs = [grown(3), grown(3), grown(8)]
    said = [kept.take(log, "m").said for log in logs]
    assert said[0] == "added at byte 0"
    assert notes_in((tmp_path / "checkpoints.txt").read_text()) == [log.note for log in logs]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (grown(5), "a checkpoint of 8 entries, and there are 5: the database was put back"),
        (rewritten(9), "the first 8 are other ones now"),
        (
            LogOf(["entry 0"] * 9, Signer("log.acme.test/2", b"\x02" * 32)),
            "keeps checkpoints of log.acme.test/1",
        ),
    ],
    ids=["put back", "written anew", "another key"],
)
def test_a_file_tells_a_log_that_is_not_what_it_was(kept: FileAnchor, log: LogOf, words: str) -> None:
    kept.take(grown(8), "m")
    with pytest.raises(Tampered, match=words) as caught:
        kept.take(log, "m")
    assert caught.value.hint


def test_what_a_crash_cut_short_is_passed_over(kept: FileAnchor, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.txt"
    kept.take(grown(8), "m")
    whole = file.read_bytes()
    file.write_bytes(whole + b"\n" + grown(9).note.encode()[:40])
    with pytest.raises(Tampered):
        kept.take(grown(5), "m")
    kept.take(grown(9), "m")
    assert notes_in(file.read_text())[-1] == grown(9).note


def test_a_file_that_cannot_be_written_is_not_available(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be written"):
        FileAnchor("disk", tmp_path / "not there" / "file", every_s=EVERY_S).take(grown(1), "m")


# --- a webhook -------------------------------------------------------------------------------------------


def hook(url: str) -> WebhookAnchor:
    return WebhookAnchor("siem", url, secret=SECRET, clock=CLOCK, every_s=EVERY_S)


def test_a_webhook_is_told_signed_and_dated() -> None:
    with Place(lambda _sent: Said(204)) as place:
        receipt = hook(f"{place.url}/hook").take(grown(3), "checkpoint_1")
    (sent,) = place.sent
    assert receipt.said == "message checkpoint_1 answered with 204"
    told = json.loads(sent.body)
    assert (told["type"], told["data"]["size"], told["data"]["checkpoint"]) == (
        "log.checkpoint",
        3,
        grown(3).note,
    )
    signed = f"checkpoint_1.{int(START.timestamp())}.".encode() + sent.body
    mac = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert sent.headers["webhook-signature"] == f"v1,{mac}"
    assert (sent.headers["webhook-id"], sent.headers["webhook-timestamp"]) == (
        "checkpoint_1",
        str(int(START.timestamp())),
    )


@pytest.mark.parametrize("status", [200, 202, 299])
def test_any_yes_is_one(status: int) -> None:
    with Place(lambda _sent: Said(status)) as place:
        assert hook(place.url).take(grown(3), "m").said == f"message m answered with {status}"


@pytest.mark.parametrize("status", [300, 302, 404, 500])
def test_an_answer_that_is_no_yes_is_tried_again(status: int) -> None:
    with (
        Place(lambda _sent: Said(status, b"not now")) as place,
        pytest.raises(Unavailable, match=str(status)),
    ):
        hook(place.url).take(grown(3), "m")


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with (
        Place(lambda _sent: Said(200, bytes(200_000))) as place,
        pytest.raises(Unavailable, match="more than"),
    ):
        hook(place.url).take(grown(3), "m")


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_***"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(Invalid, match="this is no webhook secret"):
        WebhookAnchor("siem", NOBODY, secret=secret, clock=CLOCK, every_s=EVERY_S)


# --- a mail ------------------------------------------------------------------------------------------------


def test_a_mail_holds_the_checkpoint_so_that_it_can_be_used(tmp_path: Path) -> None:
    outlet = Outlet.to_folder(tmp_path)
    anchor = MailAnchor("people", ["sec@acme.test"], outlet=outlet, clock=CLOCK, every_s=EVERY_S)
    assert anchor.take(grown(3), "checkpoint_1").said == "sec@acme.test: written to checkpoint_1.eml"
    mail = BytesParser(policy=policy.default).parsebytes((tmp_path / "checkpoint_1.eml").read_bytes())
    body = mail.get_body()
    assert body is not None
    *_, below = body.get_content().partition("-" * 70 + "\n")
    assert notes_in(below) == [grown(3).note]


# --- a time-stamp --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> TimestampingAuthority:
    return TimestampingAuthority(START)


def stamped(url: str, authority: TimestampingAuthority, folder: Path) -> TimestampAnchor:
    roots = folder / "roots.pem"
    roots.write_bytes(authority.root)
    return TimestampAnchor("tsa", url, roots, every_s=EVERY_S)


def test_an_authority_stamps_the_checkpoint_and_the_token_verifies(
    authority: TimestampingAuthority, tmp_path: Path
) -> None:
    with Place(lambda sent: Said(200, authority.answer(sent.body), REPLY)) as place:
        receipt = stamped(place.url, authority, tmp_path).take(grown(3), "m")
    assert receipt.said.startswith("stamped 2026-03-02 13:00")
    assert receipt.media_type == REPLY
    assert grown(3).note.encode() not in place.sent[0].body, "only the digest leaves"
    assert hashlib.sha256(grown(3).note.encode()).digest() in receipt.content


def test_a_stamp_over_something_else_does_not_count(authority: TimestampingAuthority, tmp_path: Path) -> None:
    with (
        Place(lambda sent: Said(200, authority.answer(sent.body, forged=True), REPLY)) as place,
        pytest.raises(Tampered, match="does not verify"),
    ):
        stamped(place.url, authority, tmp_path).take(grown(3), "m")


def test_a_stamp_of_another_authority_does_not_count(
    authority: TimestampingAuthority, tmp_path: Path
) -> None:
    other = TimestampingAuthority(START)
    with (
        Place(lambda sent: Said(200, other.answer(sent.body), REPLY)) as place,
        pytest.raises(Tampered, match="does not verify"),
    ):
        stamped(place.url, authority, tmp_path).take(grown(3), "m")


def test_an_old_stamp_does_not_answer_a_new_question(
    authority: TimestampingAuthority, tmp_path: Path
) -> None:
    with Place(lambda sent: Said(200, authority.answer(place.sent[0].body), REPLY)) as place:
        anchor = stamped(place.url, authority, tmp_path)
        anchor.take(grown(3), "m")
        with pytest.raises(Tampered, match="Nonce"):
            anchor.take(grown(3), "m")


def test_what_is_no_stamp_is_none(authority: TimestampingAuthority, tmp_path: Path) -> None:
    with (
        Place(lambda _sent: Said(200, b"<html>")) as place,
        pytest.raises(Unavailable, match="no time-stamp"),
    ):
        stamped(place.url, authority, tmp_path).take(grown(3), "m")


def test_a_stamp_in_an_answer_that_is_no_yes_is_none(
    authority: TimestampingAuthority, tmp_path: Path
) -> None:
    with (
        Place(lambda sent: Said(500, authority.answer(sent.body), REPLY)) as place,
        pytest.raises(Unavailable, match="500"),
    ):
        stamped(place.url, authority, tmp_path).take(grown(3), "m")


# --- a witness -----------------------------------------------------------------------------------------------


def test_a_witness_cosigns_a_log_that_grows() -> None:
    witness = Witness(SIGNER.vkey, now_s=int(START.timestamp()))
    with Place(witness.answer) as place:
        anchor = WitnessAnchor("w", place.url, witness.key.vkey, every_s=EVERY_S)
        for size in (1, 5, 5, 21):
            receipt = anchor.take(grown(size), "m")
            assert witness.seen == grown(size).checkpoint
            cosigned = receipt.content.decode()
            assert verify(cosigned, [witness.key.vkey]) == verify(cosigned, [SIGNER.vkey])
        for size in (34, 34):
            began_anew = WitnessAnchor("w", place.url, witness.key.vkey, every_s=EVERY_S)
            began_anew.take(grown(size), "m")
    assert [sent.body.partition(b"\n")[0] for sent in place.sent] == [
        b"old 0", b"old 1", b"old 5", b"old 5", b"old 0", b"old 21", b"old 0", b"old 34",
    ]  # fmt: skip
    assert {sent.path for sent in place.sent} == {"/add-checkpoint"}


@pytest.mark.parametrize(
    ("log", "error", "words"),
    [
        (grown(5), Tampered, "a checkpoint of 8 entries, and there are 5"),
        (rewritten(9), Tampered, "another history"),
        (LogOf(["entry 0"], Signer(SIGNER.key.name, b"\x02" * 32)), Unavailable, "403"),
        (LogOf(["entry 0"], Signer("log.acme.test/2", b"\x02" * 32)), Unavailable, "404"),
    ],
    ids=["put back", "written anew", "another key", "a log it does not know"],
)
def test_a_witness_signs_nothing_else(log: LogOf, error: type[Exception], words: str) -> None:
    witness = Witness(SIGNER.vkey, now_s=int(START.timestamp()))
    with Place(witness.answer) as place:
        WitnessAnchor("w", place.url, witness.key.vkey, every_s=EVERY_S).take(grown(8), "m")
        with pytest.raises(error, match=words):
            WitnessAnchor("w", place.url, witness.key.vkey, every_s=EVERY_S).take(log, "m")
    assert witness.seen == grown(8).checkpoint


@pytest.mark.parametrize(
    "said",
    [
        Said(409, b"no", "text/x.tlog.size"),
        Said(409, b"-1", "text/x.tlog.size"),
        Said(409, b"99", "text/html"),
        Said(400, b"99", "text/x.tlog.size"),
    ],
    ids=["no number", "less than nothing", "of another type", "of another status"],
)
def test_what_does_not_say_what_a_witness_has_seen_says_nothing_about_the_log(said: Said) -> None:
    witness = Witness(SIGNER.vkey, now_s=1)
    with Place(lambda _sent: said) as place, pytest.raises(Unavailable, match=str(said.status)):
        WitnessAnchor("w", place.url, witness.key.vkey, every_s=EVERY_S).take(grown(3), "m")
    assert len(place.sent) == 1


def test_a_cosignature_by_somebody_else_does_not_count() -> None:
    witness, stranger = (Witness(SIGNER.vkey, now_s=1) for _ in range(2))
    with Place(stranger.answer) as place, pytest.raises(Tampered, match="does not verify"):
        WitnessAnchor("w", place.url, witness.key.vkey, every_s=EVERY_S).take(grown(3), "m")


def test_a_log_s_own_key_is_no_witness_s() -> None:
    with pytest.raises(Invalid, match="not the key of a witness"):
        WitnessAnchor("w", NOBODY, SIGNER.vkey, every_s=EVERY_S)


# --- a second store --------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(bucket_address: str) -> StoreAnchor:
    options = {
        "endpoint": bucket_address,
        "region": "us-east-1",
        "access_key_id": "tester",
        "secret_access_key": "secret",
    }
    return StoreAnchor("vault", "s3://checkpoints/stopwork", options, every_s=EVERY_S)


def test_a_store_keeps_each_checkpoint_once(bucket: StoreAnchor) -> None:
    assert bucket.take(grown(3), "m").said == "kept as log.acme.test-1/00000000000000000003.txt"
    assert bucket.take(grown(3), "m").said.endswith("was there already")
    bucket.take(grown(9), "m")
    with pytest.raises(Tampered, match="a checkpoint of 9 entries, and there are 5"):
        bucket.take(grown(5), "m")
    with pytest.raises(Tampered, match="keeps another checkpoint of 9 entries"):
        bucket.take(rewritten(9), "m")


# --- nobody there ------------------------------------------------------------------------------------------------


def test_a_place_that_is_not_there_is_not_available(authority: TimestampingAuthority, tmp_path: Path) -> None:
    witness = Witness(SIGNER.vkey, now_s=1)
    anchors: list[Anchor] = [
        hook(NOBODY),
        stamped(NOBODY, authority, tmp_path),
        WitnessAnchor("w", NOBODY, witness.key.vkey, every_s=EVERY_S),
    ]
    for anchor in anchors:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
            anchor.take(grown(3), "m")
        assert caught.value.hint
