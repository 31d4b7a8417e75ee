"""An HTTP call, or a signed webhook. The address is the operator's; of an item's facts only values get into it, each quoted whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stopwork.hooks.base import MAX_ANSWER_BYTES, Answer, Ended, Facts, json_in
from stopwork.hooks.filling import address, filled
from stopwork.hooks.redacting import Redactor
from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.clock import Clock
from stopwork.kernel.errors import Invalid, Unavailable
from stopwork.notify import web
from stopwork.notify.signing import signed_headers

_FAILS: Final = 500


class HttpCall:
    """One call of an HTTP interface. What it answers with 5xx it may have begun: nobody knows."""

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Any,
        within_s: float,
        redactor: Redactor,
    ) -> None:
        self.within_s = within_s
        self._method, self._url, self._headers, self._body = method, url, dict(headers), body
        self._redactor = redactor

    def do(self, facts: Facts) -> Answer:
        """Call once."""
        try:
            url = address(self._url, facts)
            content = None if self._body is None else canonical_bytes(filled(self._body, facts))
        except Invalid as error:
            return Answer(ended=Ended.NO, said=f"nothing was called: {error.detail}")
        typed = {"content-type": "application/json"} if content is not None else {}
        return asked(self._method, url, content, typed | self._headers, self.within_s, self._redactor)


class Webhook:
    """Tells another system, as JSON and signed as Standard Webhooks has it; the same try bears the same id."""

    def __init__(self, url: str, *, secret: bytes, clock: Clock, within_s: float, redactor: Redactor) -> None:
        self.within_s = within_s
        self._url, self._secret, self._clock, self._redactor = url, secret, clock, redactor

    def do(self, facts: Facts) -> Answer:
        """Send once."""
        at = self._clock.now()
        body = canonical_bytes({"type": "containment.wanted", "timestamp": at, "data": facts.words()})
        headers = signed_headers(self._secret, facts.key, int(at.timestamp()), body)
        typed = {"content-type": "application/json"} | headers
        return asked("POST", self._url, body, typed, self.within_s, self._redactor)


def asked(
    method: str,
    url: str,
    content: bytes | None,
    headers: Mapping[str, str],
    within_s: float,
    redactor: Redactor,
) -> Answer:
    """Ask once and answer how that ended."""
    try:
        answer = web.ask(method, url, content, headers, within_s=within_s, most_bytes=MAX_ANSWER_BYTES)
    except web.Unreached as error:
        return Answer(ended=Ended.NO, said=redactor.told(error.detail))
    except Unavailable as error:
        return Answer(ended=Ended.UNKNOWN, said=redactor.told(error.detail))
    said = f"{method} at {web.host_of(url)} answered {answer.status}"
    if not 200 <= answer.status < 300:
        # Whole: a secret that is cut is not known for one.
        if told := redactor.told(answer.content.decode(errors="replace")):
            said = f"{said}: {told}"
        ended = Ended.UNKNOWN if answer.status >= _FAILS else Ended.NO
    else:
        ended = Ended.YES
    return Answer(ended=ended, said=said, code=answer.status, content=json_in(answer.content))
