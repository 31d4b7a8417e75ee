"""A time-stamping authority (RFC 3161): a third party signs that the checkpoint existed at a time. Needs the extra ``timestamps``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stopwork.anchors.base import Log, Receipt, post
from stopwork.kernel.errors import Invalid, Tampered, Unavailable
from stopwork.kernel.phrases import moment
from stopwork.ledger.words import AnchorKind
from stopwork.notify.web import host_of, refused, require_address

QUERY: Final = "application/timestamp-query"
REPLY: Final = "application/timestamp-reply"


class TimestampAnchor:
    """Has an authority sign the digest of each checkpoint. Nothing but the digest leaves the server."""

    kind = AnchorKind.TIMESTAMP

    def __init__(self, name: str, url: str, roots: Path, *, every_s: float) -> None:
        """``roots`` are the certificates, in PEM, from which the authority's one has to descend."""
        try:
            import rfc3161_client
        except ImportError as error:
            raise Unavailable(
                "time-stamps need a package that is not installed",
                hint="Install it with: pip install 'stopwork[timestamps]'",
            ) from error
        from cryptography import x509

        self.name, self.every_s = name, every_s
        self._url = require_address(url)
        self.place = f"time-stamping authority at {host_of(url)}"
        self._rfc3161 = rfc3161_client
        try:
            self._roots = x509.load_pem_x509_certificates(roots.read_bytes())
        except (OSError, ValueError) as error:
            raise Invalid(
                f"{roots} holds no certificate that can be read",
                hint="Save the authority's root certificate there, in PEM.",
                field="roots",
            ) from error

    def take(self, log: Log, message_id: str) -> Receipt:  # noqa: ARG002 - a nonce of its own ties the answer to the question
        message = log.note.encode()
        builder = self._rfc3161.TimestampRequestBuilder().data(message)
        request = builder.hash_algorithm(self._rfc3161.base.HashAlgorithm.SHA256).build()
        answer = post(self._url, request.as_bytes(), {"content-type": QUERY, "accept": REPLY})
        if answer.status != 200:
            raise refused(self._url, answer)
        try:
            stamp = self._rfc3161.decode_timestamp_response(answer.content)
        except ValueError as error:
            raise Unavailable(
                f"{host_of(self._url)} answered with no time-stamp",
                hint="Check the address of the authority.",
            ) from error
        verifier = self._rfc3161.VerifierBuilder.from_request(request)
        for root in self._roots:
            verifier = verifier.add_root_certificate(root)
        try:
            verifier.build().verify_message(stamp, message)
        except (self._rfc3161.VerificationError, ValueError) as error:
            raise Tampered(
                f"the time-stamp of {host_of(self._url)} does not verify: {error}",
                hint="Compare the certificates in `roots` with those that the authority publishes.",
            ) from error
        said = f"stamped {moment(stamp.tst_info.gen_time)}, serial number {stamp.tst_info.serial_number}"
        return Receipt(said=said, content=answer.content, media_type=REPLY)
