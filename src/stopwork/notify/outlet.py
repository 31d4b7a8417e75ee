"""The way out for approved messages: a folder of mail files, or an SMTP server.

A message leaves only after a person approved its exact text; that is decided elsewhere. An outlet answers per recipient
what became of it, and raises ``Unavailable`` when nothing could be handed over at all.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from stopwork.kernel.errors import Invalid, Unavailable

#: So long a mail server may be silent, and so long the whole of what is said with it may take.
TIMEOUT_S: Final = 20
LONGEST_S: Final = 60


class Outlet:
    """Hands a message over. ``name`` says where it goes, without any credential."""

    def __init__(self, name: str, sender: str, hand_over: Callable[[EmailMessage], dict[str, str]]) -> None:
        self.name = name
        self._sender = sender
        self._hand_over = hand_over

    @classmethod
    def to_folder(cls, folder: Path, *, sender: str = "stopwork@localhost") -> Outlet:
        """Write each message as a file that every mail program opens."""

        def hand_over(message: EmailMessage) -> dict[str, str]:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{message['X-Stopwork-Message']}.eml"
                path.write_bytes(message.as_bytes())
            except OSError as error:
                raise Unavailable(
                    f"the message cannot be written to {folder}: {error.strerror}",
                    hint="Free space, then send again.",
                ) from error
            return dict.fromkeys(_recipients(message), f"written to {path.name}")

        return cls(f"folder {folder.name}", sender, hand_over)

    @classmethod
    def to_smtp(
        cls, url: str, *, sender: str, password: str | None = None, longest_s: float = LONGEST_S
    ) -> Outlet:
        """Send through ``smtp://user@host:port``, or ``smtps://`` for TLS from the start; STARTTLS is used where offered.

        A server with which it takes longer is hung up on, though it says something all the time: it would keep everybody from being told.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise Invalid(
                "a mail server is given as smtp://host:port", hint="Check the address.", found=parts.scheme
            )
        host, port = parts.hostname, parts.port or (465 if parts.scheme == "smtps" else 25)

        def hand_over(message: EmailMessage) -> dict[str, str]:
            opened = _ImpatientTls if parts.scheme == "smtps" else _Impatient
            refused: dict[str, tuple[int, bytes]] | None = None
            try:
                with opened(host, port, longest_s=longest_s) as server:
                    server.ehlo_or_helo_if_needed()
                    if parts.scheme == "smtp" and server.has_extn("starttls"):
                        server.starttls()
                    if parts.username and password:
                        server.login(parts.username, password)
                    refused = server.send_message(message)
            except smtplib.SMTPRecipientsRefused as error:
                refused = error.recipients
            except (OSError, smtplib.SMTPException) as error:
                if refused is None:  # else it has the message, and went down before it said goodbye
                    raise Unavailable(
                        f"the mail server {host}:{port} did not say that it has the message: {error}",
                        hint="Check the server, then send again.",
                    ) from error
            return {
                address: "refused: " + _said(refused[address]) if address in refused else "accepted"
                for address in _recipients(message)
            }

        return cls(f"mail server {host}:{port}", sender, hand_over)

    def send(
        self, *, message_id: str, recipients: Sequence[str], subject: str, body: str, at: datetime
    ) -> dict[str, str]:
        """Hand one message over; answer recipient → what became of it."""
        message = EmailMessage()
        try:
            message["From"], message["To"], message["Subject"] = self._sender, ", ".join(recipients), subject
        except ValueError as error:
            raise Invalid(
                f"the message cannot be addressed: {error}", hint="Correct recipients and subject."
            ) from error
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{message_id}@stopwork>"
        message["X-Stopwork-Message"] = message_id
        message.set_content(body)
        return self._hand_over(message)


class _Impatient(smtplib.SMTP):
    """Talks with a mail server for so long at most, whatever it says and however slowly."""

    def __init__(self, host: str, port: int, *, longest_s: float) -> None:
        self._end = threading.Timer(longest_s, self._hang_up)
        self._end.daemon = True
        self._end.start()
        try:
            super().__init__(host, port, timeout=TIMEOUT_S)
        except BaseException:
            self._end.cancel()
            raise

    def _hang_up(self) -> None:
        sock = getattr(self, "sock", None)
        with contextlib.suppress(OSError):
            if sock is not None:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self._end.cancel()
        super().close()


class _ImpatientTls(_Impatient, smtplib.SMTP_SSL):
    """The same over TLS from the start."""


def _recipients(message: EmailMessage) -> list[str]:
    return [address.strip() for address in str(message["To"]).split(",")]


def _said(answer: tuple[int, bytes]) -> str:
    code, text = answer
    return f"{code} {text.decode(errors='replace')}"
