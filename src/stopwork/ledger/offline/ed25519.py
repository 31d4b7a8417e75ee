"""Ed25519 signatures are checked here, in integers alone (RFC 8032, section 5.1.7).

Without the cofactor, as OpenSSL does. Slow (milliseconds) and not for signing: nothing here is secret.
"""

from __future__ import annotations

import hashlib

_Point = tuple[int, int, int, int]  # extended homogeneous coordinates
_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_NEUTRAL: _Point = (0, 1, 1, 0)


def _add(p: _Point, q: _Point) -> _Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _decode_point(data: bytes) -> _Point | None:
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if x * x % _P != x_squared:
        x = x * _ROOT_OF_MINUS_1 % _P
    if x * x % _P != x_squared or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _encode_point(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE = _decode_point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")) or _NEUTRAL


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` over ``message`` was made with the private half of ``public``."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key = _decode_point(public)
    s = int.from_bytes(signature[32:], "little")
    if key is None or s >= _ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _ORDER
    negated: _Point = (_P - key[0], key[1], 1, _P - key[3])
    steps = (_NEUTRAL, negated, _BASE, _add(_BASE, negated))
    found = _NEUTRAL  # becomes s*B - k*A, both products in one pass
    for bit in range(252, -1, -1):
        found = _add(found, found)
        step = (s >> bit & 1) << 1 | (k >> bit & 1)
        if step:
            found = _add(found, steps[step])
    return _encode_point(found) == signature[:32]
