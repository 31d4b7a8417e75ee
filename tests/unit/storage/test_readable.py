"""Contract: what can be written can be read again. An entry that no reader could decode is refused whole, before it is durable."""

from __future__ import annotations

from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Invalid
from stopwork.storage.store import Store
from tests.support.told import START, recording, run_started, stepped


@pytest.mark.parametrize("tokens", [2**53, 10**30])
def test_a_number_that_its_field_does_not_take_back_is_refused(tmp_path: Path, tokens: int) -> None:
    with Store.open(tmp_path / "stopwork.db", clock=ManualClock(START)) as store:
        store.write(recording(run_started("run-1")))
        with pytest.raises(Invalid, match="cannot be recorded"):
            store.write(recording(stepped("step-1", "run-1"), stepped("step-2", "run-1", tokens=tokens)))
        assert [entry.seq for entry in store.read(lambda view: view.entries())] == [1]
        store.write(recording(stepped("step-1", "run-1")))
