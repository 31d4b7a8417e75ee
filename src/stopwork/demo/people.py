"""The people of the demo: each speaks to the server over its REST API, with a token of their own."""

from __future__ import annotations

from typing import Any, Final

import httpx

from stopwork.kernel.errors import Internal, StopworkError, Unavailable, by_code
from stopwork.server.auth import COOKIE

DANA: Final = "dana@acme.test"
LEE: Final = "lee@acme.test"
KIM: Final = "kim@acme.test"

ANSWER_WITHIN_S: Final = 30.0

Json = dict[str, Any]


class Person:
    """One holder of a token: a person, or the agent where the demo shows what an agent may not do.

    What the server refuses is raised as the error that it is: ``Conflict``, ``Denied``, …
    """

    def __init__(self, url: str, token: str, address: str) -> None:
        self.address = address
        self.token = token
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=ANSWER_WITHIN_S,
            # A proxy of the environment has no business between processes of one machine.
            trust_env=False,
        )

    def get(self, path: str, **query: Any) -> Any:
        """Answer what is at ``path``."""
        return self._json("GET", path, params=query)

    def post(self, path: str, **body: Any) -> Any:
        """Ask for a change and answer what came of it."""
        return self._json("POST", path, json=body)

    def put(self, path: str, **body: Any) -> Any:
        """Put something in the place of what is at ``path``."""
        return self._json("PUT", path, json=body)

    def fetch(self, path: str, **query: Any) -> bytes:
        """Answer the bytes of what is at ``path``."""
        return self._send("GET", path, params=query).content

    def page(self, path: str) -> str:
        """Answer a page of the console as this person's browser gets it."""
        return self._send("GET", path, headers={"Cookie": f"{COOKIE}={self.token}"}).text

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _json(self, method: str, path: str, **content: Any) -> Any:
        return self._send(method, path, **content).json()

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise Unavailable(f"the server did not answer {method} {path}: {type(error).__name__}") from error
        if answer.is_success:
            return answer
        try:
            problem: Json = answer.json()
        except ValueError:
            problem = {}
        kind = by_code(str(problem.get("code", "")))
        detail = str(
            problem.get("detail") or f"{method} {path} was answered with status {answer.status_code}"
        )
        raise (Internal if kind is StopworkError else kind)(detail, hint=str(problem.get("hint", "")))
