"""Contract of the anchors file: what is written is made; a mistake is named by its field with the way out; no secret stands in the file
or in an error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stopwork.anchors.base import Anchor
from stopwork.anchors.settings import EVERY, load_anchors, read_anchors_file, read_back
from stopwork.anchors.store import MOST_READ_BACK, StoreAnchor
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Invalid, Unavailable
from stopwork.ledger.words import AnchorKind
from stopwork.notify.outlet import Outlet
from stopwork.settings.file import read
from tests.support.places import Witness
from tests.support.tsa import TimestampingAuthority
from tests.unit.anchors.log import SIGNER, grown

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
ENV = {"HOOK": "whsec_" + "QUJD" * 8, "VAULT": "a-secret-key"}


def made(config: Any, folder: Path) -> tuple[Anchor, ...]:
    return load_anchors(config, env=ENV, folder=folder)(Outlet.to_folder(folder), ManualClock(START))


def test_every_kind_is_made_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(TimestampingAuthority(START).root)
    witness = Witness(SIGNER.vkey, now_s=1).key.vkey
    file = tmp_path / "anchors.yaml"
    file.write_text(
        f"""\
disk: {{kind: file, path: checkpoints.txt}}
siem: {{kind: webhook, url: "https://siem.acme.test/in", secret: env:HOOK, every: 1h30m}}
people: {{kind: mail, to: [sec@acme.test]}}
vault:
  kind: store
  url: s3://checkpoints/stopwork
  options: {{region: us-east-1, access_key_id: vault, secret_access_key: env:VAULT}}
authority: {{kind: timestamp, url: "https://tsa.acme.test", roots: roots.pem}}
witness: {{kind: witness, url: "https://witness.acme.test", key: "{witness}"}}
"""
    )
    anchors = read_anchors_file(file, env=ENV)(Outlet.to_folder(tmp_path), ManualClock(START))
    assert [each.name for each in anchors] == ["disk", "siem", "people", "vault", "authority", "witness"]
    assert {each.kind for each in anchors} == set(AnchorKind) == set(EVERY)
    assert [each.every_s for each in anchors] == [600, 5400, 86_400, 600, 3600, 600]
    assert anchors[0].place == str(tmp_path / "checkpoints.txt")


@pytest.mark.parametrize(
    ("config", "field", "words"),
    [
        ([], "", "not a mapping"),
        ({str(number): {} for number in range(30)}, "", "30 of them"),
        ({"A b": {}}, "A b", "the name"),
        ({"a": 5}, "a", "5 is no mapping"),
        ({"a": {"kind": "cloud"}}, "a.kind", "'cloud' is not one"),
        ({"a": {"kind": "file"}}, "a.path", "missing"),
        ({"a": {"kind": "file", "path": "x", "evry": "1h"}}, "a.evry", "no such setting"),
        ({"a": {"kind": "file", "path": 5}}, "a.path", "5 does not fit: expected `str`"),
        ({"a": {"kind": "file", "path": "x", "every": "soon"}}, "a.every", "not a duration"),
        ({"a": {"kind": "file", "path": "x", "every": "1s"}}, "a.every", "too often"),
        ({"a": {"kind": "webhook", "url": "ftp://x", "secret": "env:HOOK"}}, "a.url", "no address"),
        (
            {"a": {"kind": "webhook", "url": "https://x", "secret": "env:VAULT"}},
            "a.secret",
            "no webhook secret",
        ),
        (
            {"a": {"kind": "webhook", "url": "https://x", "secret": "hunter2"}},
            "a.secret",
            "stands in the file",
        ),
        ({"a": {"kind": "webhook", "url": "https://x", "secret": "env:GONE"}}, "a.secret", "GONE is not set"),
        ({"a": {"kind": "mail", "to": []}}, "a.to", "empty"),
        ({"a": {"kind": "mail", "to": ["dana"]}}, "a.to", "not one address"),
        ({"a": {"kind": "store", "url": "https://x"}}, "a.url", "not the address of a bucket"),
        (
            {"a": {"kind": "store", "url": "s3://x", "options": {"colour": "red"}}},
            "a.options",
            "cannot be used",
        ),
        ({"a": {"kind": "timestamp", "url": "https://x", "roots": "none.pem"}}, "a.roots", "no certificate"),
        ({"a": {"kind": "witness", "url": "https://x", "key": "x"}}, "a.key", "not a verification key"),
        (
            {"a": {"kind": "witness", "url": "https://x", "key": SIGNER.vkey}},
            "a.key",
            "not the key of a witness",
        ),
    ],
)
def test_a_mistake_is_named(config: Any, field: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        made(config, tmp_path)
    assert (caught.value.fields["field"], words in caught.value.detail) == (field, True), caught.value
    assert caught.value.hint
    assert not any(secret in str(caught.value) for secret in (*ENV.values(), "hunter2"))


@pytest.fixture
def places(tmp_path: Path, bucket_address: str) -> Path:
    """Answer an anchors file of which a file and a bucket keep the log of three entries."""
    file = tmp_path / "anchors.yaml"
    file.write_text(
        f"""\
disk: {{kind: file, path: checkpoints.txt}}
people: {{kind: mail, to: [sec@acme.test]}}
siem: {{kind: webhook, url: "https://siem.acme.test/in", secret: env:NOT_SET_HERE}}
vault:
  kind: store
  url: s3://checkpoints/read-back
  options: {{endpoint: "{bucket_address}", region: us-east-1, access_key_id: tester, secret_access_key: env:VAULT}}
"""
    )
    only_places = {name: each for name, each in read(file).items() if name in ("disk", "vault")}
    for anchor in made(only_places, tmp_path):
        anchor.take(grown(3), "m")
    return file


def test_places_are_asked_for_what_they_keep(places: Path) -> None:
    found = read_back(places, SIGNER.key.name, env=ENV)
    assert found.kept == {"disk": [grown(3).note], "vault": [grown(3).note]}
    assert found.others == {"people": AnchorKind.MAIL, "siem": AnchorKind.WEBHOOK}
    assert read_back(places, SIGNER.key.name, env=ENV, names=["disk"]).kept == {"disk": [grown(3).note]}


def test_a_log_whose_key_was_exchanged_is_compared_with_what_is_there(places: Path) -> None:
    assert read_back(places, "log.acme.test/2", env=ENV, names=["vault"]).kept["vault"] == [grown(3).note]


def test_a_place_that_lost_everything_keeps_nothing(places: Path) -> None:
    (places.parent / "checkpoints.txt").unlink()
    assert read_back(places, SIGNER.key.name, env=ENV, names=["disk"]).kept == {"disk": ()}


@pytest.mark.parametrize(
    ("name", "words"),
    [("people", "a mail cannot be asked for what it keeps"), ("nix", "there is no such anchor")],
    ids=["a kind that keeps it to itself", "an unknown name"],
)
def test_what_cannot_be_asked_says_how_to_go_on(places: Path, name: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        read_back(places, SIGNER.key.name, env=ENV, names=[name])
    assert caught.value.fields["field"] == name
    assert caught.value.hint


def test_a_bucket_that_does_not_answer_is_not_available(tmp_path: Path) -> None:
    file = tmp_path / "anchors.yaml"
    options = '{endpoint: "http://127.0.0.1:9", region: us-east-1, access_key_id: a, secret_access_key: b}'
    file.write_text(f"vault: {{kind: store, url: s3://checkpoints, options: {options}}}\n")
    with pytest.raises(Unavailable, match="cannot be read"):
        read_back(file, SIGNER.key.name, env={})


def test_of_many_checkpoints_in_a_bucket_the_newest_is_read_and_some_of_the_others(
    bucket_address: str,
) -> None:
    options = {
        "endpoint": bucket_address,
        "region": "us-east-1",
        "access_key_id": "a",
        "secret_access_key": "b",
    }
    anchor = StoreAnchor("vault", "s3://checkpoints/many", options, every_s=600)
    for size in range(1, MOST_READ_BACK + 2):
        anchor.take(grown(size), "m")
    kept = anchor.kept(SIGNER.key.name)
    assert (len(kept), kept[-1]) == (MOST_READ_BACK // 2 + 1, grown(MOST_READ_BACK + 1).note)
