"""Contract: whoever follows is handed the newest entries where all of them are at hand, and is sent to the journal where one is missing."""

from __future__ import annotations

from stopwork.ledger.events import Entry
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.storage.news import News
from tests.support.told import START, run_started

WRITER = Principal(kind=PrincipalKind.SYSTEM, id="stopwork")


def entry(seq: int) -> Entry:
    return Entry(seq=seq, at=START, actor=WRITER, event=run_started(f"run-{seq}"))


def numbers(entries: list[Entry] | None) -> list[int] | None:
    return None if entries is None else [each.seq for each in entries]


def test_what_follows_on_each_other_is_handed_on() -> None:
    news = News()
    news.announce(1, [entry(1)], 100)
    news.announce(3, [entry(2), entry(3)], 200)
    assert numbers(news.after(0, 10)) == [1, 2, 3]
    assert numbers(news.after(1, 1)) == [2]
    assert numbers(news.after(3, 10)) == []


def test_behind_what_another_server_has_committed_the_journal_is_asked() -> None:
    news = News()
    news.announce(1, [entry(1)], 100)
    news.announce(3, [entry(3)], 100)
    assert news.newest == 3
    assert news.after(0, 10) is None
    assert news.after(1, 10) is None
    news.announce(4, [entry(4)], 100)
    assert news.after(2, 10) is None
    assert numbers(news.after(3, 10)) == [4]
