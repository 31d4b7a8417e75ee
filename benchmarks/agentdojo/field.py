"""All pairs of a suite, played in several processes: no pair knows of another, so their order and place do not matter."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from benchmarks.agentdojo import scripts
from benchmarks.agentdojo.score import Result
from benchmarks.agentdojo.scripts import Arm, Pair, Stage
from benchmarks.agentdojo.trial import Trial
from benchmarks.worlds.ground import Ground, Variant

_CHUNK: Final = 15
_MANIFESTS: Final = Path(__file__).parent / "manifests"


class Field:
    """One process's own stage and installations for a suite."""

    def __init__(self, suite: str, folder: Path) -> None:
        scripts.prepare()
        self.stage = Stage(suite)
        self.pairs = list(self.stage.pairs())
        self._folder = Path(mkdtemp(dir=folder))
        declared = _MANIFESTS / f"{suite}.yaml"
        self._grounds = {variant: Ground(self._folder, declared, variant) for variant in Variant}

    def play(self, number: int) -> list[Result]:
        """Answer how the product did with one pair, under each manifest that it is run with."""
        pair = self.pairs[number]
        return [self._tried(pair, variant) for variant in Variant if _of_use(pair, variant)]

    def _tried(self, pair: Pair, variant: Variant) -> Result:
        place = self._folder / "installation"
        result = Trial(self.stage, pair, self._grounds[variant]).run(place)
        shutil.rmtree(place)
        return result


def played(
    suite: str, folder: Path, *, jobs: int, limit: int | None, shuffle: int | None
) -> Iterator[Result]:
    """Yield the results of a suite's pairs as they come."""
    numbers = list(range(sum(1 for _ in Stage(suite).pairs())))[:limit]
    if shuffle is not None:
        random.Random(shuffle).shuffle(numbers)
    work = [(suite, folder, number) for number in numbers]
    with get_context("spawn").Pool(jobs) as pool:
        for results in pool.imap_unordered(_play, work, chunksize=_CHUNK):
            yield from results


def _of_use(pair: Pair, variant: Variant) -> bool:
    """Answer whether the pair is run so: the other order is there for recovery, the missing scan to see what it is worth."""
    match variant:
        case Variant.DECLARED:
            return True
        case Variant.SCAN_ONLY:
            return pair.arm is not Arm.OBEYED_FIRST
        case Variant.NO_SCAN:
            return pair.arm is Arm.IMPORTANT_INSTRUCTIONS


def _play(work: tuple[str, Path, int]) -> list[Result]:
    suite, folder, number = work
    return _field(suite, folder).play(number)


@cache
def _field(suite: str, folder: Path) -> Field:
    """Answer this process's own field; made once."""
    return Field(suite, folder)
