"""Contract of the anchors file: what is written is made; a mistake is named by its field with the way out; no secret stands in the file
or in an error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stopwork.anchors.base import Anchor
from stopwork.anchors.settings import EVERY, load_anchors, read_anchors_file
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import AnchorKind
from stopwork.notify.outlet import Outlet
from tests.support.places import Witness
from tests.support.tsa import TimestampingAuthority
from tests.unit.anchors.log import SIGNER

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
