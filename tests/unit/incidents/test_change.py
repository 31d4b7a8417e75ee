"""Contract of the difference between two runs: only what differs is told, and shapes of arguments rather than their values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.change import Part, ToldRun, compare, first_bad, last_good
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Manifest
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story
from tests.unit.incidents.cases import Book


def told(story: Story, declared: Manifest | None = None, **changed: Any) -> ToldRun:
    book = Book(story.entries)
    (run,) = book.every(r.Run)
    return ToldRun(
        run=replace(run, **changed),
        steps=book.every(r.Step),
        calls=book.every(r.Call),
        manifest=declared or manifest(),
    )


def differing(before: ToldRun, after: ToldRun) -> list[tuple[Part, str, Any, Any]]:
    return [(each.part, each.name, each.before, each.after) for each in compare(before, after).differences]


def monday(run: str = "r1") -> Story:
    return (
        Story()
        .run(run)
        .retrieval("export", run)
        .call("c1", run, account_id="acme", amount=1)
        .outcome("c1")
        .finished(run)
    )


def test_runs_that_are_alike_do_not_differ() -> None:
    found = compare(told(monday()), told(monday("r2")))
    assert (found.differences, found.manifest) == ((), ())


def test_what_ran_is_compared_name_by_name() -> None:
    before = told(monday(), runtime={"prompt": "v3", "model": "small"})
    after = told(monday(), runtime={"prompt": "v4", "model": "small", "connector": "2.0"}, version=2)
    assert differing(before, after) == [
        (Part.RUN, "version", 1, 2),
        (Part.RUNTIME, "prompt", "v3", "v4"),
        (Part.RUNTIME, "connector", None, "2.0"),
    ]


def test_arguments_are_compared_by_shape() -> None:
    other_values = (
        Story()
        .run("r1")
        .retrieval("export")
        .call("c1", account_id="globex", amount="1")
        .outcome("c1")
        .finished()
    )
    assert differing(told(monday()), told(other_values)) == [
        (Part.ARGUMENTS, "crm.create_task.amount", "number", "text")
    ]


def test_tools_sources_and_cost_are_counted() -> None:
    more = monday().step(tokens=10, cost_usd=0.5).retrieval("mailbox").call("c2", account_id="acme", amount=2)
    found = differing(told(monday()), told(more.failed("c2")))
    assert (Part.SOURCES, "mailbox", None, 1) in found
    assert (Part.COST, "cost_usd", 0.0, 0.5) in found
    assert (
        Part.TOOLS,
        "crm.create_task",
        {"allow, succeeded": 1},
        {"allow, succeeded": 1, "allow, failed": 1},
    ) in found


def test_the_manifests_are_compared() -> None:
    tools = {**TOOLS, "mail.send": {**TOOLS["mail.send"], "risk": "low"}}
    (change,) = compare(told(monday()), told(monday(), manifest(tools=tools))).manifest
    assert (change.field, change.loosens) == ("tools[mail.send].risk", True)


def test_the_last_good_run_is_the_newest_before_that_nothing_speaks_against() -> None:
    story = Story()
    for run, status in (
        ("old", "succeeded"),
        ("good", "succeeded"),
        ("doubted", "succeeded"),
        ("lost", "failed"),
    ):
        story.run(run).finished(run, w.RunStatus(status)).after(days=7)
    story.run("bad").after(days=7).run("worse").after(days=7).run("later").finished("later")
    runs = {run.id: run for run in Book(story.entries).every(r.Run)}
    bad = first_bad([runs["worse"], runs["bad"]])
    assert bad == runs["bad"]
    assert last_good(runs.values(), bad, {"doubted"}) == runs["good"]
    assert last_good([runs["lost"], runs["later"]], bad, ()) is None
    assert first_bad([]) is None


def test_what_runs_is_compared_down_to_the_single_tool() -> None:
    before = told(monday(), runtime={"tools": {"a": "sha256:1", "b": "sha256:2"}}, digests={"schedule": "x"})
    after = told(monday(), runtime={"tools": {"a": "sha256:1", "b": "sha256:3"}}, digests={"schedule": "y"})
    assert differing(before, after) == [
        (Part.RUN, "schedule digest", "x", "y"),
        (Part.RUNTIME, "tools.b", "sha256:2", "sha256:3"),
    ]


@pytest.mark.parametrize(
    ("before_s", "after_s", "is_told"),
    [(10.0, 12.0, False), (0.1, 0.9, False), (10.0, 16.0, True), (60.0, 2.0, True)],
)
def test_lengths_of_time_differ_when_they_are_far_apart(
    before_s: float, after_s: float, is_told: bool
) -> None:
    def lasted(seconds: float) -> ToldRun:
        run = told(monday())
        return replace(run, run=replace(run.run, finished_at=run.run.started_at + timedelta(seconds=seconds)))

    found = differing(lasted(before_s), lasted(after_s))
    assert found == ([(Part.COST, "took, in seconds", before_s, after_s)] if is_told else [])


def test_the_age_of_what_was_read_is_told_roughly() -> None:
    def read(age: timedelta) -> ToldRun:
        run = told(monday())
        return replace(run, steps=tuple(replace(step, as_of=step.at - age) for step in run.steps))

    assert differing(read(timedelta(minutes=2)), read(timedelta(minutes=40))) == []
    assert differing(read(timedelta(minutes=2)), read(timedelta(days=9))) == [
        (Part.SOURCES, "export, how old", "less than an hour", "9 days")
    ]
