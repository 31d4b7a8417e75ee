"""Contract of addresses: one person has one, and what could be several people, or none, is refused with the field."""

from __future__ import annotations

import pytest

from stopwork.kernel.addresses import MAX_ADDRESS, one_address
from stopwork.kernel.errors import Invalid


def test_capitals_and_space_around_it_make_no_other_person() -> None:
    assert one_address("  Dana@Acme.test ", "to") == "dana@acme.test"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dana",
        "@acme.test",
        "dana@",
        "a@b.test, c@d.test",
        "a@b.test c@d.test",
        "Dana <dana@acme.test>",
        "a@b@c.test",
        "a@b.test\nBcc: c@d.test",
        "a" * MAX_ADDRESS + "@b.test",
    ],
)
def test_anything_but_one_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        one_address(text, "to")
    assert refused.value.fields["field"] == "to"
