"""Contract of mail-in: a mail as it came becomes a report; plain text before HTML, what is attached is named and not kept, the
workflow is found by the address or the subject, and no broken mail that says anything is lost."""

from __future__ import annotations

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
