"""Texts from records stand on a page as text: ids short and, where a page shows what they name, as links."""

from __future__ import annotations

from stopwork.server.pages.formatting import capital, linked, plain

HOLD = "hold_01m83rc8y27961h64ka28etcgw"
CALL = "call_01m83rc8y27961h64ka28etcgw"


def test_an_id_is_short_and_leads_to_its_page() -> None:
    assert f'<a href="/holds/{HOLD}"' in linked(f"held by {HOLD}")
    assert f">hold_…{HOLD[-6:]}<" in linked(f"held by {HOLD}")
    assert f'<a href="/records/{CALL}"' in linked(f"{CALL} stands on the page of its run")
    assert "<a" not in linked(f"{CALL.replace('call', 'point')} has no page")
    assert plain(f"held by {HOLD}.") == f"held by hold_…{HOLD[-6:]}."


def test_what_a_record_says_is_never_markup() -> None:
    assert linked(f"<b>{HOLD}</b>").startswith("&lt;b&gt;<a ")


def test_a_word_that_only_looks_like_an_id_stays() -> None:
    assert linked("hold_short and crm.create_task") == "hold_short and crm.create_task"


def test_a_name_keeps_its_letters_at_the_beginning_of_a_sentence() -> None:
    assert capital("crm.create_task ran twice") == "crm.create_task ran twice"
    assert capital("dana@acme.test has not signed") == "dana@acme.test has not signed"
    assert capital("re-enable it") == "Re-enable it"
    assert capital("15 objects") == "15 objects"
