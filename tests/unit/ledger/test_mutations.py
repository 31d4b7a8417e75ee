"""Contract: of ten thousand random changes of a bundle, whole or redacted, none is accepted; whoever makes them may spell the container,
the checksums and the manifests anew, and has every other bundle of the same server, but not its key. A failure names its seed.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.checks import Inspection
from stopwork.ledger.redaction import Rules, redact
from tests.unit.ledger.evidence import bundle, good_bundle, packed, repaired, unpacked

SEED = 20260302
Mutation = Callable[[random.Random, bytes], bytes]


def accepted(data: bytes) -> bool:
    """Tell whether every check passes; the first that fails is enough."""
    try:
        return all(check.passed for check in Inspection(io.BytesIO(data), []).checks())
    except Broken:
        return False


@cache
def others() -> dict[str, bytes]:
    """Answer the files of another bundle that the same server signed."""
    return unpacked(bundle(indexes=(1, 2, 3, 4), external_id="AI-INC-2026-0302-002"))


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + 1 + int(rng.expovariate(1 / 40)))


def flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def remove(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def double(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:]


def insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 60)) + data[at:]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def move(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    rest, at = data[:start] + data[end:], rng.randrange(len(data) - (end - start) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))] if rng.random() < 0.5 else data[rng.randrange(1, len(data)) :]


BYTES: tuple[Mutation, ...] = (flip, remove, double, insert, overwrite, move, cut)


def _lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(one, lines[other])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one] = flip(rng, lines[one]) if lines[one] else b"\n"
    return b"".join(lines)


def files(rng: random.Random, data: bytes) -> bytes:
    """Change files, and spell everything anew that needs no key."""
    held = unpacked(data)
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(held))
        match rng.randrange(6):
            case 0:
                held[name] = rng.choice(BYTES[:-1])(rng, held[name] or b"\n")
            case 1 | 2:
                held[name] = _lines(rng, held[name])
            case 3:
                held[rng.choice(sorted(held))] = held[name]
            case 4:
                held[name] = others().get(name, b"")
            case _:
                del held[name]
    spell = rng.choice((packed, repaired))
    try:
        return spell(held)
    except KeyError:  # a manifest that is not there cannot be repaired
        return packed(held)


@pytest.fixture(scope="module", params=["whole", "redacted"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if request.param == "whole":
        return good_bundle()
    folder: Path = tmp_path_factory.mktemp("redacted")
    (folder / "whole.zip").write_bytes(good_bundle())
    redact(folder / "whole.zip", folder / "shared.zip", Rules(entries=frozenset(), texts=("déjà",)))
    return (folder / "shared.zip").read_bytes()


@pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=pytest.mark.slow)])
def test_no_random_change_is_accepted(original: bytes, count: int) -> None:
    assert accepted(original)
    for number in range(count):
        seed = SEED + number
        rng = random.Random(seed)
        mutate = files if number % 2 else rng.choice(BYTES)
        mutated = mutate(rng, original)
        assert mutated == original or not accepted(mutated), f"seed {seed}, {mutate.__name__}"
