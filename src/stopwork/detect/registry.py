"""All detectors, and their states as one thing that can be stored and restored.

A new detector is a file in this package, a rule among the manifest's alerts, and a line in :data:`DETECTORS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from stopwork.detect.approval_bypass import ApprovalBypass
from stopwork.detect.bad_writeback import BadWriteback
from stopwork.detect.cost import Cost
from stopwork.detect.detector import Detector, Finding
from stopwork.detect.drift import Drift
from stopwork.detect.duplicate_action import DuplicateAction
from stopwork.detect.external_send import ExternalSend
from stopwork.detect.failed_run import FailedRun
from stopwork.detect.loop import Loop
from stopwork.detect.missed_run import MissedRun
from stopwork.detect.pause_test import PauseTest
from stopwork.detect.policy_violation import PolicyViolation
from stopwork.detect.prompt_injection import PromptInjection
from stopwork.detect.rulebook import Rulebook
from stopwork.detect.sensitive_data import SensitiveData
from stopwork.detect.stale_input import StaleInput
from stopwork.detect.table import from_builtin, to_builtin
from stopwork.detect.unusual_arguments import UnusualArguments
from stopwork.detect.write_failure import WriteFailure
from stopwork.ledger.events import Entry, Event
from stopwork.ledger.records import Record

DETECTORS: tuple[Detector[Any], ...] = (
    DuplicateAction(),
    FailedRun(),
    MissedRun(),
    StaleInput(),
    SensitiveData(),
    ExternalSend(),
    ApprovalBypass(),
    PromptInjection(),
    PolicyViolation(),
    Cost(),
    Loop(),
    WriteFailure(),
    BadWriteback(),
    UnusualArguments(),
    Drift(),
    PauseTest(),
)
"""Each serves the alert rule of its name. Findings of one entry come in this order, and the first opens the incident."""


class DetectorFailed(Record):
    """A detector raised. Its state stays as it was before; the others go on."""

    detector: str
    error: str


class Watch:
    """Every detector with its state. It goes on in place: whoever may have to go back keeps what :meth:`dump` answers."""

    def __init__(
        self,
        states: Mapping[str, Record] | None = None,
        detectors: Iterable[Detector[Any]] = DETECTORS,
        *,
        forgot: Iterable[DetectorFailed] = (),
    ) -> None:
        self._detectors = tuple(detectors)
        self._forgot = tuple(forgot)
        known = states or {}
        self._states = {
            each.name: known[each.name] if each.name in known else each.start() for each in self._detectors
        }

    def step(
        self, entry: Entry, rules: Rulebook
    ) -> tuple[Watch, tuple[Finding, ...], tuple[DetectorFailed, ...]]:
        """Answer the watch after one entry, what it showed, and which detectors could not follow."""
        return self.follow((entry,), rules)

    def follow(
        self, entries: Iterable[Entry], rules: Rulebook
    ) -> tuple[Watch, tuple[Finding, ...], tuple[DetectorFailed, ...]]:
        """Answer the same after many entries, one after the other.

        Each detector goes through them all before the next one begins, as no detector knows of another: so its code and its tables are at
        hand when they are needed. What they show is answered in the order of the entries all the same.
        """
        every = list(entries)
        places: dict[type[Event], list[int]] = {}
        for place, entry in enumerate(every):
            places.setdefault(type(entry.event), []).append(place)
        found: list[tuple[int, int, Finding]] = []
        failures, self._forgot = list(self._forgot), ()
        for rank, detector in enumerate(self._detectors):
            # No state is kept beyond the next one: old ones by the thousand would be gone through by every garbage collection.
            state, step = self._states.pop(detector.name), detector.step
            for place in sorted(chain.from_iterable([places.get(kind, ()) for kind in detector.watches])):
                try:
                    state, new = step(state, every[place], rules)
                # One detector's fault must not blind the others; it is told, not swallowed.
                except Exception as error:  # noqa: BLE001
                    failures.append(_failure(detector, error))
                else:
                    if new:
                        found += [(place, rank, each) for each in new]
            self._states[detector.name] = state
        found.sort(key=itemgetter(0, 1))
        return self, tuple(each for _, _, each in found), tuple(failures)

    def tick(
        self, now: datetime, rules: Rulebook
    ) -> tuple[Watch, tuple[Finding, ...], tuple[DetectorFailed, ...]]:
        """Answer the watch after time has passed, in the same way."""
        found, failures = list[Finding](), list[DetectorFailed]()
        for detector in self._detectors:
            try:
                self._states[detector.name], new = detector.tick(self._states[detector.name], now, rules)
            except Exception as error:  # noqa: BLE001 - as above
                failures.append(_failure(detector, error))
            else:
                found += new
        return self, tuple(found), tuple(failures)

    def dump(self) -> bytes:
        """Answer all states as JSON, for :func:`restore`."""
        return msgspec.json.encode(self._states, enc_hook=to_builtin)


def _failure(detector: Detector[Any], error: Exception) -> DetectorFailed:
    return DetectorFailed(detector=detector.name, error=f"{type(error).__name__}: {error}")


def restore(stored: bytes, detectors: Iterable[Detector[Any]] = DETECTORS) -> Watch:
    """Answer the watch that was dumped; a detector that was not known then starts afresh.

    So does one whose state another version has written in a way that cannot be read here: what it had seen is lost, and the watch tells so
    when it goes on.
    """
    every = tuple(detectors)
    raw = msgspec.json.decode(stored, type=dict[str, msgspec.Raw])
    states: dict[str, Record] = {}
    forgot: list[DetectorFailed] = []
    for each in every:
        if each.name in raw:
            try:
                states[each.name] = msgspec.json.decode(
                    raw[each.name], type=each.state_type, dec_hook=from_builtin
                )
            except msgspec.ValidationError as error:
                forgot.append(_failure(each, error))
    return Watch(states, every, forgot=forgot)
