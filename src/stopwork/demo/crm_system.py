"""The demo CRM as a system: how Stopwork sees accounts and tasks, and puts them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from stopwork.kernel.errors import Conflict, NotFound
from stopwork.systems.python import PythonSystem

_PATHS = {"account": "accounts", "task": "tasks"}

Content = dict[str, Any]


class Crm:
    """Objects over the CRM's own HTTP API, with a key of its own.

    ``write`` holds under concurrency: the version (``ETag``) of the content that was compared must still be there.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 5.0) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_s,
            # No connection is kept, so that nothing has to be closed.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    def system(self) -> PythonSystem:
        """Answer it as the system that the manifest calls ``crm``."""
        return PythonSystem("crm", self.read, self.write, self.scan)

    def read(self, kind: str, object_id: str) -> Content | None:
        """Answer the fields of an account or task."""
        return self._look(kind, object_id)[0]

    def write(self, kind: str, object_id: str, content: Content | None, expected: Content | None) -> None:
        """Replace, recreate or, for ``None``, delete what is there, if that is still ``expected``."""
        found, version = self._look(kind, object_id)
        if found != expected:
            raise _changed(kind, object_id)
        condition = {"If-None-Match": "*"} if version is None else {"If-Match": version}
        address = _address(kind, object_id)
        if content is None:
            answer = self._http.delete(address, headers=condition)
        else:
            answer = self._http.put(address, json=content, headers=condition)
        if answer.status_code == httpx.codes.PRECONDITION_FAILED:
            raise _changed(kind, object_id)
        answer.raise_for_status()

    def scan(self) -> Iterator[tuple[str, str, Content]]:
        """Answer every account and task."""
        for kind, path in _PATHS.items():
            items = self._http.get(f"/{path}").raise_for_status().json()["items"]
            for object_id, content in items.items():
                yield kind, object_id, content

    def _look(self, kind: str, object_id: str) -> tuple[Content | None, str | None]:
        answer = self._http.get(_address(kind, object_id))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None, None
        return answer.raise_for_status().json(), answer.headers["ETag"]


def _address(kind: str, object_id: str) -> str:
    if kind not in _PATHS:
        raise NotFound(f"The CRM has no {kind}.", hint=f"It has {' and '.join(_PATHS)}.")
    return f"/{_PATHS[kind]}/{object_id}"


def _changed(kind: str, object_id: str) -> Conflict:
    return Conflict(f"{kind} {object_id} was changed meanwhile.", hint="Look at it and decide again.")
