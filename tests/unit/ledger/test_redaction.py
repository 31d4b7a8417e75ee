"""Contract of redaction: what is withheld is gone, every proof of what is left stands, the report says what is withheld; and nothing can be
withheld, put back or exchanged without saying so.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.canonical import canonical_bytes, plain
from stopwork.kernel.errors import Conflict, Invalid, Tampered, Unavailable
from stopwork.ledger.offline import bag
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.redaction import REDACTION, Redaction, parse_redaction
from stopwork.ledger.redaction import _CHUNK_BYTES, Redacted, Rules, redact
from stopwork.ledger.verify import Outcome, Report, verify_bundle
from tests.unit.ledger.evidence import SIGNER, bundle, packed, unpacked, verified, written

FILES = ["data/evidence/outputs.jsonl", "data/report.md"]
SECRET = "IBAN DE02 1203 0000 0000 2020 51"
BODIES = [
    canonical_bytes(
        {
            "seq": seq,
            "event": {
                "event": "call.decided" if seq % 2 else "call.finished",
                "run": f"run_{seq // 8}",
                "call": f"call_{seq // 2}",
                "args": {"to": "someone@customer.test", "text": SECRET if seq == 6 else "hello"},
            },
        }
    )
    for seq in range(1, 21)
]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    payload = {"report.md": SECRET.encode(), "evidence/outputs.jsonl": b"{}\n"}
    return written(tmp_path, bundle(BODIES, range(20), payload=payload))


def without(whole: Path, **rules: Any) -> tuple[Redacted, Report]:
    target = whole.with_name("shared.zip")
    target.unlink(missing_ok=True)
    return redact(whole, target, Rules(**rules)), verify_bundle(target, [SIGNER.vkey])


def shared(whole: Path) -> dict[str, bytes]:
    return unpacked(whole.with_name("shared.zip").read_bytes())


def test_a_text_is_gone_and_the_rest_is_proven(whole: Path) -> None:
    done, report = without(whole, texts=(SECRET,))
    assert report.outcome is Outcome.VERIFIED, report.failure
    assert (done.entries, done.files) == (1, ("data/evidence/outputs.jsonl", "data/report.md"))
    assert SECRET.encode() not in whole.with_name("shared.zip").read_bytes()
    lines = shared(whole)[bag.JOURNAL].splitlines()
    assert lines[:5] == BODIES[:5]
    assert set(json.loads(lines[5])) == {"withheld"}


def test_the_report_says_how_much_is_withheld(whole: Path) -> None:
    _, report = without(whole, calls=frozenset({"call_3"}))
    assert report.facts is not None
    assert (report.facts.withheld_entries, report.facts.withheld_files) == (2, 2)
    assert "2 that are withheld" in report.proven[1]
    assert any("withheld entries and files say" in each for each in report.not_proven)
    assert report.as_text().startswith("VERIFIED, parts of it withheld")


@pytest.mark.parametrize(
    ("rules", "entries"),
    [
        ({"calls": frozenset({"call_3"})}, 2),
        ({"runs": frozenset({"run_1"})}, 8),
        ({"entries": frozenset({4, 9})}, 2),
        ({"events": frozenset({"call.finished"})}, 10),
        ({"fields": frozenset({"to"})}, 20),
        ({"texts": ("hello",)}, 19),
        ({}, 0),
    ],
    ids=["a call", "a run", "entries", "a kind of event", "a field", "a text", "only the files"],
)
def test_what_is_withheld(whole: Path, rules: dict[str, Any], entries: int) -> None:
    done, report = without(whole, **rules)
    assert (done.entries, report.outcome) == (entries, Outcome.VERIFIED)


def test_a_file_is_kept_when_it_is_asked_for(whole: Path) -> None:
    done, report = without(whole, texts=(SECRET,), keep=frozenset({"evidence/outputs.jsonl"}))
    assert (done.files, report.outcome) == (("data/report.md",), Outcome.VERIFIED)
    with pytest.raises(Invalid, match="no file"):
        without(whole, keep=frozenset({"evidence/none.jsonl"}))


def test_a_shared_bundle_is_redacted_once_more(whole: Path) -> None:
    without(whole, calls=frozenset({"call_3"}))
    again = whole.with_name("again.zip")
    done = redact(whole.with_name("shared.zip"), again, Rules(calls=frozenset({"call_5"})))
    assert (done.entries, len(done.files)) == (4, 2)
    assert verify_bundle(again).outcome is Outcome.VERIFIED


@pytest.mark.parametrize(
    ("text", "seq"),
    [
        ("iban de02", 6),
        ("4111", 21),
        ("Named@Customer.test", 22),
        ("jo@elsewhere.test", 23),
        ("Passport", 24),
    ],
    ids=["capitals", "a number", "a name", "in a list", "in bytes"],
)
def test_a_text_is_found_however_it_stands(tmp_path: Path, text: str, seq: int) -> None:
    odd = [
        {"amount": 4111.5},
        {"named@customer.test": 1},
        {"to": [["a@b.test"], ["jo@elsewhere.test"]]},
        {"file": b"\xff a passport \x00"},
    ]
    more = [
        canonical_bytes(plain({"seq": at, "event": {"event": "step", "args": args}}))
        for at, args in enumerate(odd, 21)
    ]
    whole = written(tmp_path, bundle([*BODIES, *more], range(24)))
    done, report = without(whole, texts=(text,))
    assert (done.entries, report.outcome) == (1, Outcome.VERIFIED)
    assert b"withheld" in shared(whole)[bag.JOURNAL].splitlines()[seq - 1]


@pytest.mark.parametrize(
    "rules",
    [
        {"calls": frozenset({"call_3", "call_33"})},
        {"texts": (SECRET, "Iban of somebody else")},
        {"entries": frozenset({99})},
        {"fields": frozenset({"from"})},
    ],
    ids=["a call", "a text", "an entry", "a field"],
)
def test_a_rule_that_no_entry_meets_is_a_mistake(whole: Path, rules: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="no entry that is left has the"):
        without(whole, **rules)
    assert not whole.with_name("shared.zip").exists()


def test_a_text_is_not_passed_on_where_it_cannot_be_withheld(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"data/report\.md holds"):
        without(whole, texts=(SECRET,), keep=frozenset({"report.md"}))
    titled = written(tmp_path, bundle(BODIES, range(20), description=f"About {SECRET}"))
    with pytest.raises(Invalid, match=r"bag-info\.txt holds") as refused:
        without(titled, texts=(SECRET.lower(),))
    assert "signed" in refused.value.hint


@pytest.mark.parametrize("before", range(-len(SECRET), 1, 4), ids=str)
def test_a_text_is_found_where_two_pieces_of_a_file_meet(tmp_path: Path, before: int) -> None:
    log = b"x" * (_CHUNK_BYTES + before) + SECRET.encode() + b"x" * 100
    large = written(tmp_path, bundle(BODIES[:2], range(2), payload={"log.txt": log}))
    with pytest.raises(Invalid, match=r"data/log\.txt holds"):
        without(large, texts=(SECRET,), keep=frozenset({"log.txt"}))


def test_an_entry_larger_than_a_piece_is_withheld_whole(tmp_path: Path) -> None:
    large = canonical_bytes(
        {"seq": 3, "event": {"event": "step", "text": "x" * 2 * _CHUNK_BYTES, "to": SECRET}}
    )
    whole = written(tmp_path, bundle([*BODIES[:2], large, *BODIES[3:5]], range(5)))
    done, report = without(whole, texts=(SECRET,))
    assert (done.entries, report.outcome) == (1, Outcome.VERIFIED)
    lines = shared(whole)[bag.JOURNAL].splitlines()
    assert lines[:2] + lines[3:] == BODIES[:2] + BODIES[3:5]


def test_it_refuses_what_it_cannot_do(whole: Path, tmp_path: Path) -> None:
    without(whole, calls=frozenset({"call_3"}))
    with pytest.raises(Conflict):
        redact(whole, whole, Rules())
    with pytest.raises(Unavailable, match="cannot be written"):
        redact(whole, tmp_path / "nowhere" / "new.zip", Rules())
    with pytest.raises(Invalid, match="nothing"):
        redact(whole.with_name("shared.zip"), tmp_path / "new.zip", Rules())
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(Invalid, match="not a bundle"):
        redact(tmp_path / "text.zip", tmp_path / "new.zip", Rules())
    files = unpacked(whole.read_bytes())
    (tmp_path / "changed.zip").write_bytes(packed(files | {"data/report.md": b"better"}))
    with pytest.raises(Tampered):
        redact(tmp_path / "changed.zip", tmp_path / "new.zip", Rules())
    assert not (tmp_path / "new.zip").exists()


FAKES: dict[str, Any] = {
    "one more entry is said to be withheld": lambda f: (
        f | {REDACTION: Redaction(frozenset(FILES), frozenset({5, 7})).spelled}
    ),
    "one fewer is said to be": lambda f: f | {REDACTION: Redaction(frozenset(FILES), frozenset()).spelled},
    "an entry that is not there is said to be": lambda f: (
        f | {REDACTION: Redaction(frozenset(FILES), frozenset({5, 99})).spelled}
    ),
    "a file is dropped and not named": lambda f: (
        f | {REDACTION: Redaction(frozenset(FILES[:1]), frozenset({5})).spelled}
    ),
    "a file is named and there": lambda f: f | {"data/report.md": SECRET.encode()},
    "a file that never was is named": lambda f: (
        f | {REDACTION: Redaction(frozenset([*FILES, "data/more.txt"]), frozenset({5})).spelled}
    ),
    "the journal is withheld": lambda f: (
        {k: v for k, v in f.items() if k != bag.JOURNAL}
        | {REDACTION: Redaction(frozenset([*FILES, bag.JOURNAL]), frozenset()).spelled}
    ),
    "the verifier is withheld": lambda f: (
        {k: v for k, v in f.items() if k != bag.VERIFIER}
        | {REDACTION: Redaction(frozenset([*FILES, bag.VERIFIER]), frozenset({5})).spelled}
    ),
    "nothing is said": lambda f: {k: v for k, v in f.items() if k != REDACTION},
    "it is spelled otherwise": lambda f: f | {REDACTION: b" " + f[REDACTION]},
    "it says more": lambda f: f | {REDACTION: f[REDACTION].replace(b"}", b',"why":"privacy"}')},
    "it is no JSON": lambda f: f | {REDACTION: b"[" * 100_000},
    "another digest stands for the entry": lambda f: (
        f | {bag.JOURNAL: f[bag.JOURNAL].replace(b'{"withheld":"', b'{"withheld":"0')}
    ),
    "another entry stands there": lambda f: (
        f
        | {
            bag.JOURNAL: b"\n".join(
                [*f[bag.JOURNAL].split(b"\n")[:5], BODIES[0], *f[bag.JOURNAL].split(b"\n")[6:]]
            )
        }
    ),
    "an entry that is shown is changed": lambda f: (
        f | {bag.JOURNAL: f[bag.JOURNAL].replace(b"hello", b"HELLO", 1)}
    ),
}


@pytest.mark.parametrize("fake", FAKES)
def test_what_is_withheld_cannot_be_made_more_or_less(whole: Path, tmp_path: Path, fake: str) -> None:
    without(whole, texts=(SECRET,))
    report = verified(tmp_path, packed(FAKES[fake](shared(whole))))
    assert report.outcome is Outcome.TAMPERED, fake
    assert report.failure is not None


@pytest.mark.parametrize(
    "said",
    [
        {"entries": [True], "files": []},
        {"entries": [], "files": ["bag-info.txt"]},
        {"entries": [], "files": [bag.JOURNAL]},
        {"entries": [], "files": [bag.PROOFS]},
    ],
    ids=["a truth value for an index", "a file outside data", "the journal", "the proofs"],
)
def test_what_cannot_be_withheld(said: dict[str, Any]) -> None:
    spelled = json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(Broken):
        parse_redaction(spelled)


def test_a_whole_bundle_with_a_redaction_that_withholds_nothing_is_no_bundle(
    whole: Path, tmp_path: Path
) -> None:
    files = unpacked(whole.read_bytes()) | {REDACTION: Redaction(frozenset(), frozenset()).spelled}
    assert verified(tmp_path, packed(files)).outcome is Outcome.TAMPERED


def test_any_zip_tool_reads_it(whole: Path) -> None:
    without(whole, texts=(SECRET,))
    with zipfile.ZipFile(whole.with_name("shared.zip")) as zipped:
        assert zipped.testzip() is None
        assert json.loads(zipped.read(REDACTION)) == {"entries": [5], "files": FILES}
