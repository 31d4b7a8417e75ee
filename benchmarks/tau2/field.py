"""All plays of a domain, in several processes: no play knows of another, so their order and place do not matter."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from msgspec import Struct

from benchmarks.tau2 import domains
from benchmarks.tau2.domains import Domain
from benchmarks.tau2.plays import plays
from benchmarks.tau2.score import Result
from benchmarks.tau2.trial import Trial
from benchmarks.worlds.ground import Ground, Variant

_CHUNK: Final = 8
_MANIFESTS: Final = Path(__file__).parent / "manifests"


class Choice(Struct, frozen=True, kw_only=True):
    """Which plays of a domain are played; see :func:`benchmarks.tau2.plays.plays`."""

    domain: str
    split: str
    pairs: int
    sample: int | None


class Field:
    """One process's own plays and installations for a domain."""

    def __init__(self, choice: Choice, folder: Path) -> None:
        domains.prepare()
        self._domain = Domain(choice.domain, choice.split)
        self._plays = list(plays(self._domain, pairs=choice.pairs, sample=choice.sample))
        self._folder = Path(mkdtemp(dir=folder))
        declared = _MANIFESTS / f"{choice.domain}.yaml"
        self._grounds = {variant: Ground(self._folder, declared, variant) for variant in Variant}

    def __len__(self) -> int:
        return len(self._plays)

    def play(self, number: int) -> Result:
        """Answer how the product did with one play."""
        play, place = self._plays[number], self._folder / "installation"
        result = Trial(self._domain, play, self._grounds[play.variant]).run(place)
        shutil.rmtree(place)
        return result


def played(choice: Choice, folder: Path, *, jobs: int, shuffle: int | None) -> Iterator[Result]:
    """Yield the results of a domain's plays as they come."""
    numbers = list(range(len(Field(choice, folder))))
    if shuffle is not None:
        random.Random(shuffle).shuffle(numbers)
    work = [(choice, folder, number) for number in numbers]
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_play, work, chunksize=_CHUNK)


def _play(work: tuple[Choice, Path, int]) -> Result:
    choice, folder, number = work
    return _field(choice, folder).play(number)


@cache
def _field(choice: Choice, folder: Path) -> Field:
    """Answer this process's own field; made once."""
    return Field(choice, folder)
