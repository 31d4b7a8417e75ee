"""Contract of mail-in: a mail as it came becomes a report; plain text before HTML, what is attached is named and not kept, the
workflow is found by the address or the subject, and no broken mail that says anything is lost."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.kernel.errors import Malformed
from stopwork.operations.mail_in import report_of
from stopwork.operations.reporting import MAX_SUMMARY, MAX_TEXT


def mail(text: str = "The date is wrong.", **headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in (
        {"From": "Jo <jo@customer.test>", "To": "reports@acme.test", "Subject": "Wrong date"} | headers
    ).items():
        made[name] = value
    made.set_content(text)
    return made


def test_it_says_what_when_and_by_whom_unverified() -> None:
    report = report_of(
        bytes(mail(Date="Mon, 02 Mar 2026 08:00:00 -0500", **{"Message-ID": "<1@customer.test>"}))
    )
    assert (report.summary, report.delivery) == ("Wrong date", "<1@customer.test>/")
    assert report.occurred_at == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
    assert report.facts["seen"] == "The date is wrong."
    assert "jo@customer.test" in report.facts["by"]
    assert "unverified" in report.facts["by_is"]


@pytest.mark.parametrize(
    ("headers", "workflow"),
    [
        ({}, ""),
        ({"To": "Reports <reports+renewals@acme.test>"}, "renewals"),
        ({"Cc": "reports+weekly-renewal-risk@acme.test"}, "weekly-renewal-risk"),
        ({"Delivered-To": "reports+renewals@acme.test", "To": "all+other@acme.test"}, "renewals"),
        ({"Subject": "[renewals] Wrong date"}, "renewals"),
        ({"Subject": "Re: [Renewals] Wrong date"}, "renewals"),
        ({"Subject": "[not a name] Wrong date"}, ""),
        ({"Subject": "[EXTERNAL] Fwd: [renewals] Wrong date"}, "renewals"),
        ({"To": "not an address"}, ""),
    ],
)
def test_the_workflow_is_named_by_the_address_or_the_subject(headers: dict[str, str], workflow: str) -> None:
    made = mail()
    for name, value in headers.items():
        del made[name]
        made[name] = value
    report = report_of(bytes(made))
    assert report.workflow == workflow
    assert "[renewals]" not in report.summary.lower()


def test_plain_text_comes_before_html_and_html_is_stripped() -> None:
    both = mail("plain words")
    both.add_alternative("<p>other words</p>", subtype="html")
    assert report_of(bytes(both)).facts["seen"] == "plain words"
    only = EmailMessage()
    only["Subject"] = "x"
    only.set_content(
        "<html><head><title>t</title><style>p {}</style></head><body><p>It &amp; they<br>broke</p>"
        "<script>alert(1)</script></body></html>",
        subtype="html",
    )
    assert report_of(bytes(only)).facts["seen"] == "It & they\nbroke"


def test_what_is_attached_is_named_and_counted() -> None:
    made = mail()
    for number in range(30):
        made.add_attachment(b"\x00" * 100, maintype="image", subtype="png", filename=f"shot-{number}.png")
    facts = report_of(bytes(made)).facts
    assert facts["attachments"].startswith("30, not kept: shot-0.png")
    assert "shot-29" not in facts["attachments"]
    assert "\x00" not in str(facts)


def test_long_ones_are_cut() -> None:
    report = report_of(bytes(mail("x" * 50_000, Subject="s" * 5_000)))
    assert len(report.summary) <= MAX_SUMMARY
    assert len(report.facts["seen"]) <= MAX_TEXT


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nx",
        b"Subject: x\r\nContent-Type: text/plain; charset=klingon\r\n\r\nwords",
        b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe words",
        b"Subject: x\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/plain\r\n\r\n!!!!",
        b"Subject: x\r\nDate: yesterday\r\n\r\nwords",
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nno end",
        b"From: \xff\xff\xff\r\nSubject: x\r\n\r\nwords",
    ],
)
def test_a_broken_mail_is_a_report_all_the_same(raw: bytes) -> None:
    report = report_of(raw)
    assert report.summary
    assert report.facts["seen"]


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"no headers at all", b"To: reports@acme.test\r\n\r\n"])
def test_what_is_no_mail_or_says_nothing_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        report_of(raw)


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_subject_are_a_report_or_refused(content: bytes) -> None:
    assert report_of(b"Subject: x\r\n" + content).summary


def test_a_mail_within_mails_ends() -> None:
    raw = b"Subject: x\r\n"
    for depth in range(300):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
    assert report_of(raw + b"\r\nwords").summary == "x"


@pytest.mark.parametrize("year", ["1970", "9999"])
def test_a_mail_of_another_age_is_of_the_time_when_it_came(year: str) -> None:
    raw = f"Subject: x\r\nDate: Fri, 31 Dec {year} 23:59:59 -1200\r\n\r\nwords"
    assert report_of(raw.encode()).occurred_at is None


HTML = b"Subject: x\r\nContent-Type: text/html\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("tags without an end", HTML + b"<a " * 300_000),
        ("declarations without an end", HTML + b"<![if " * 100_000 + b"</" * 100_000),
        ("comments without an end", HTML + b"<!--" * 200_000),
        ("styles without an end", HTML + b"<style>" * 100_000),
        ("brackets in an address", b"Subject: x\r\nTo: " + b"(" * 200_000 + b"\r\n\r\nwords"),
        ("words in code", b"Subject: x " + b"=?utf-8?q?a?=" * 10_000 + b"\r\n\r\nwords"),
        (
            "brackets in a type",
            b"Subject: x\r\nContent-Type: text/plain; " + b"(" * 200_000 + b"\r\n\r\nwords",
        ),
        (
            "parameters in pieces",
            b"Subject: x\r\nContent-Type: text/plain; " + b"a*0=b;" * 20_000 + b"\r\n\r\nwords",
        ),
        (
            "lines within many parts",
            b"Subject: x\r\n"
            + b"".join(
                b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(900)
            )
            + b"\n" * 3_000_000,
        ),
    ],
)
def test_no_mail_takes_longer_the_more_broken_it_is(name: str, raw: bytes) -> None:
    """Each took from seconds to minutes of all that the server does, when the whole of it was read as the standard library does."""
    began = time.process_time()
    assert report_of(raw).summary.startswith("x"), name
    assert time.process_time() - began < 2, name


def test_html_is_told_as_it_is_shown() -> None:
    html = "<style>p {color: red}</style><!-- <p>no --><P>One &amp; <b>two</b></p><div>three<br/>four</div><script>no"
    assert report_of(HTML + html.encode()).facts["seen"] == "One & two\n\nthree\nfour"
