"""Contract of reading fields: a tuple in the order asked, however few they are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stopwork.kernel.fields import fields


@pytest.mark.parametrize("names", [(), ("a",), ("b", "a"), ("a", "b", "c")])
def test_fields_come_in_the_order_in_which_they_are_asked_for(names: tuple[str, ...]) -> None:
    assert fields(*names)(SimpleNamespace(a=1, b=2, c=3)) == tuple({"a": 1, "b": 2, "c": 3}[n] for n in names)
