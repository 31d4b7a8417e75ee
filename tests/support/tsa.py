"""A small time-stamping authority (RFC 3161), with a certificate of its own: what it answers is spelled in DER by hand."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"
_SHA256, _RSA = "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.1"
_POLICY = "1.3.6.1.4.1.99999.1"
_INTEGER, _OCTETS, _TIME, _SEQUENCE, _SET = 0x02, 0x04, 0x18, 0x30, 0x31
_INNER_0 = 0xA0


def _der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def _number(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytes([40 * first + second])
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        content += bytes(reversed(digits))
    return _der(0x06, content)


def _algorithm(dotted: str) -> bytes:
    return _der(_SEQUENCE, _oid(dotted), b"\x05\x00")


class TimestampingAuthority:
    """Stamps what it is asked for with ``at``; ``root`` is the certificate, in PEM, that who trusts it has."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = self._issued()
        self.root = self._certificate.public_bytes(serialization.Encoding.PEM)
        self.stamps = 0

    def _issued(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test authority")])
        now = datetime.now(tz=UTC)
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), 7)
        builder = builder.not_valid_before(now - timedelta(days=3650)).not_valid_after(
            now + timedelta(days=1)
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        return builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())

    def answer(self, request: bytes, *, forged: bool = False) -> bytes:
        """Answer the reply to a request; a ``forged`` one is about something else."""
        imprint, nonce = _asked(request)
        self.stamps += 1
        info = _der(
            _SEQUENCE,
            _number(1),
            _oid(_POLICY),
            _der(_SEQUENCE, _algorithm(_SHA256), _der(_OCTETS, bytes(32) if forged else imprint)),
            _number(self.stamps),
            _der(_TIME, f"{self.at:%Y%m%d%H%M%SZ}".encode()),
            nonce,
        )
        return _der(_SEQUENCE, _der(_SEQUENCE, _number(0)), self._token(info))

    def _token(self, info: bytes) -> bytes:
        certificate = self._certificate.public_bytes(serialization.Encoding.DER)
        essence = _der(_SEQUENCE, _der(_SEQUENCE, _der(_OCTETS, hashlib.sha256(certificate).digest())))
        attributes = b"".join(
            sorted(
                _der(_SEQUENCE, _oid(kind), _der(_SET, value))
                for kind, value in (
                    (_CONTENT_TYPE, _oid(_TST_INFO)),
                    (_MESSAGE_DIGEST, _der(_OCTETS, hashlib.sha256(info).digest())),
                    (_SIGNING_CERTIFICATE, _der(_SEQUENCE, essence)),
                )
            )
        )
        signature = self._key.sign(_der(_SET, attributes), PKCS1v15(), hashes.SHA256())
        signer = _der(
            _SEQUENCE,
            _number(1),
            _der(
                _SEQUENCE, self._certificate.issuer.public_bytes(), _number(self._certificate.serial_number)
            ),
            _algorithm(_SHA256),
            _der(_INNER_0, attributes),
            _algorithm(_RSA),
            _der(_OCTETS, signature),
        )
        signed = _der(
            _SEQUENCE,
            _number(3),
            _der(_SET, _algorithm(_SHA256)),
            _der(_SEQUENCE, _oid(_TST_INFO), _der(_INNER_0, _der(_OCTETS, info))),
            _der(_INNER_0, certificate),
            _der(_SET, signer),
        )
        return _der(_SEQUENCE, _oid(_SIGNED_DATA), _der(_INNER_0, signed))


def _asked(request: bytes) -> tuple[bytes, bytes]:
    """Answer the digest of a request and its nonce, still in DER."""
    fields = _parts(_parts(request)[0][1])
    imprint = _parts(fields[1][1])[1][1]
    nonce = next(_der(tag, content) for tag, content in fields[2:] if tag == _INTEGER)
    return imprint, nonce


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start = 2 + (length & 0x7F)
            length = int.from_bytes(data[2:start], "big")
        found.append((tag, data[start : start + length]))
        data = data[start + length :]
    return found
