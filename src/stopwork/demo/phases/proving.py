"""Preserve and audit: what happened is sealed so that anyone can verify it, and listed so that nobody has to guess."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

from stopwork.demo.crm_log import done_by, done_by_audit
from stopwork.demo.phases.play import Play
from stopwork.demo.results import save_bundle
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.offline.bag import VERIFIER
from stopwork.ledger.words import EvidenceKind, Question

Json = dict[str, Any]

VERIFIED, TAMPERED = 0, 1
VERIFIED_WITHIN_S: Final = 30.0
#: Where a byte is changed, as a share of the file: near its head, in its middle, in its last bytes.
FLIPPED_AT: Final = (0.1, 0.5, 0.999)


def preserve(play: Play) -> None:
    """The evidence is sealed before anything is cleaned up, and verifies with nothing but the file and Python."""
    refused, check = play.promises.refused, play.promises.check
    refused("nothing is put back before the seal", Conflict, lambda: play.lee.post(play.at("/plan")))
    refused("an agent cannot seal its own evidence", Denied, lambda: play.agent.post(play.at("/seal")))
    sealed: Json = play.lee.post(play.at("/seal"))
    kinds: dict[str, int] = sealed["kinds"]
    empty = [kind for kind in EvidenceKind if not kinds.get(kind)]
    check(
        "each of the ten kinds of evidence is in it, or it says what is missing",
        set(kinds) == set(EvidenceKind) and len(sealed["missing"]) == len(empty),
        f"{len(kinds) - len(empty)} kinds, {len(empty)} said to be missing",
    )

    play.bundle = bundle = save_bundle(play.lee, play.incident, play.results)
    play.tell(f"The evidence is sealed: {bundle} ({sealed['entries']} journal entries).")
    with tempfile.TemporaryDirectory() as folder:
        verifier = Path(folder, "verify.py")
        with zipfile.ZipFile(bundle) as archive:
            name = next(name for name in archive.namelist() if name.endswith(VERIFIER))
            verifier.write_bytes(archive.read(name))
        check("it verifies offline, by the program inside it", _verify(verifier, bundle) == VERIFIED)
        altered = Path(folder, "altered.zip")
        passed = [share for share in FLIPPED_AT if not _fails_when_flipped(verifier, bundle, altered, share)]
        check(
            "it fails once any byte is changed",
            passed == [],
            f"changed at {passed} and still verified" if passed else f"{len(FLIPPED_AT)} places tried",
        )


def _fails_when_flipped(verifier: Path, bundle: Path, altered: Path, share: float) -> bool:
    content = bytearray(bundle.read_bytes())
    content[int(len(content) * share)] ^= 1
    altered.write_bytes(content)
    return _verify(verifier, altered) == TAMPERED


def _verify(verifier: Path, bundle: Path) -> int:
    """Answer the exit code of the verifier, in a Python that finds no other package."""
    command = [sys.executable, "-I", str(verifier), str(bundle)]
    return subprocess.run(command, capture_output=True, timeout=VERIFIED_WITHIN_S, check=False).returncode


def audit(play: Play) -> None:
    """Twelve questions are answered from records, and the list of changed objects is the CRM's own."""
    check = play.promises.check
    play.promises.refused(
        "the agent's own account is no source: it cannot audit itself",
        Denied,
        lambda: play.agent.post(play.at("/audit")),
    )
    found: Json = play.lee.post(play.at("/audit"))
    answers = found["answers"]
    check(
        "twelve questions are answered, each with its records or with what is missing",
        [answer["question"] for answer in answers] == list(Question)
        and all(
            answer["summary"] and (answer["records"] or answer["missing"] or not answer["findings"])
            for answer in answers
        ),
        f"{sum(bool(answer['missing']) for answer in answers)} say that something is missing",
    )
    for answer in answers:
        play.tell(f"{answer['question'].replace('_', ' ')}: {answer['summary']}")

    listed = done_by_audit(play.lee.get(play.at("/objects")))
    truth = done_by("renewal agent", play.company.activity())
    differ = sorted(key for key in listed.keys() | truth.keys() if listed.get(key) != truth.get(key))
    check(
        "every object, operation and field is exactly what the CRM itself says the agent changed",
        differ == [] and len(truth) > 0,
        f"{len(truth)} objects" if not differ else f"not equal: {', '.join(differ)}",
    )
