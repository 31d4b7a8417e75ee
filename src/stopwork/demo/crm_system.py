"""The demo CRM as a system: how Stopwork sees accounts and tasks, and puts them back."""

from __future__ import annotations

from typing import Any

import httpx

from stopwork.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from stopwork.ledger.records import Image, ImageState, ObjectRef

_PATHS = {"account": "accounts", "task": "tasks"}


class CrmSystem:
    """Reads and restores objects over the CRM's own HTTP API, with a key of its own.

    ``replace`` holds under concurrency: the CRM compares the version (``ETag``) of the content that was compared here.
    """

    scans = True

    def __init__(self, url: str, key: str, *, name: str = "crm", timeout_s: float = 5.0) -> None:
        self.name = name
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout_s, trust_env=False
        )

    def read(self, ref: ObjectRef) -> Image:
        return self._look(ref)[0]

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        if ImageState.UNKNOWN in (expected.state, target.state):
            raise Invalid(f"{ref} cannot be replaced from or by an unknown image.", object=str(ref))
        found, version = self._look(ref)
        if (found.state, found.content) != (expected.state, expected.content):
            raise Conflict(
                f"{ref} is not as expected.",
                hint="Somebody changed it; look at it and decide again.",
                object=str(ref),
                expected=expected.content,
                found=found.content,
            )
        condition = {"If-None-Match": "*"} if version is None else {"If-Match": version}
        if target.state is ImageState.PRESENT:
            self._send("PUT", ref, json=target.content, headers=condition)
        elif version is not None:
            self._send("DELETE", ref, headers=condition)

    def scan(self) -> dict[ObjectRef, Any]:
        return {
            ObjectRef(system=self.name, type=kind, id=object_id): content
            for kind, path in _PATHS.items()
            for object_id, content in self._request("GET", f"/{path}").json()["items"].items()
        }

    def close(self) -> None:
        self._http.close()

    def _look(self, ref: ObjectRef) -> tuple[Image, str | None]:
        answer = self._send("GET", ref)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Image.absent(), None
        return Image.present(answer.json()), answer.headers["ETag"]

    def _send(self, method: str, ref: ObjectRef, **request: Any) -> httpx.Response:
        path = _PATHS.get(ref.type)
        if path is None or ref.system != self.name:
            raise NotFound(f"{ref} is not an object of the CRM.", hint=f"It has {', '.join(_PATHS)}.")
        return self._request(method, f"/{path}/{ref.id}", **request)

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unavailable(f"The CRM does not answer: {error!r}.", hint="See that it runs.") from error
        if answer.status_code == httpx.codes.PRECONDITION_FAILED:
            raise Conflict(f"{path} was changed meanwhile.", hint="Look at it and decide again.")
        gone = method == "GET" and answer.status_code == httpx.codes.NOT_FOUND
        if answer.is_error and not gone:
            raise Unavailable(f"The CRM answered {answer.status_code} to {method} {path}: {answer.text}")
        return answer
