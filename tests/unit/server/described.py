"""The API's description as a judge: what it says a request and an answer look like is what they have to look like."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import httpx
from jsonschema import Draft202012Validator, FormatChecker

from stopwork.server.api.endpoint import Endpoint
from stopwork.server.api.openapi import document
from stopwork.server.app import all_endpoints
from stopwork.worker.crew import Crew

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


class Description:
    """One OpenAPI document, and the names of the operations that were seen to keep to it."""

    def __init__(self, spelled: dict[str, Any]) -> None:
        self.document = spelled
        self.seen: set[str] = set()
        self._validators: dict[str, Draft202012Validator] = {}
        self._operations = [
            (method.upper(), re.compile(re.sub(r"{\w+}", r"[^/]+", path)), operation)
            for path, methods in spelled["paths"].items()
            for method, operation in methods.items()
        ]

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Answer the operation at an address; the one with more fixed words where two would do."""
        found = [each for of, form, each in self._operations if of == method and form.fullmatch(path)]
        if path.startswith("/v1/containment/"):  # the one id that holds a slash
            found = [each for _, _, each in self._operations if each["operationId"] == "record_containment"]
        if path.startswith("/v1/log/tile/"):  # so does this one
            found = [each for _, _, each in self._operations if each["operationId"] == "log_tile"]
        assert found, f"{method} {path} is not described"
        return dict(found[0])

    def names(self) -> set[str]:
        return {operation["operationId"] for _, _, operation in self._operations}

    def judge(self, answer: httpx.Response) -> None:
        """Hold an answer, and the request that it answers when it was a good one, to the description."""
        answer.read()
        request = answer.request
        if not request.url.path.startswith("/v1/") or request.url.path == "/v1/openapi.json":
            return
        operation = self.operation(request.method, request.url.path)
        declared = operation["responses"].get(str(answer.status_code))
        media_type = answer.headers["content-type"].partition(";")[0]
        if declared is None:
            assert not answer.is_success, f"{operation['operationId']} answered {answer.status_code}"
            assert media_type == PROBLEM
            self._hold({"$ref": "#/components/schemas/Problem"}, answer.json())
            return
        assert media_type in declared["content"], f"{operation['operationId']} answered {media_type}"
        if media_type == JSON:
            self._hold(declared["content"][JSON]["schema"], answer.json())
        if "requestBody" in operation:
            taken = operation["requestBody"]["content"]
            sent = request.headers["content-type"].partition(";")[0]
            assert sent in taken, f"{operation['operationId']} was sent {sent}"
            if "schema" in taken[sent]:
                self._hold(taken[sent]["schema"], json.loads(request.content))
        self.seen.add(operation["operationId"])

    def _hold(self, schema: dict[str, Any], value: Any) -> None:
        spelled = json.dumps(schema)
        if spelled not in self._validators:
            whole = {"$schema": DIALECT, "components": self.document["components"], "allOf": [schema]}
            self._validators[spelled] = Draft202012Validator(whole, format_checker=FormatChecker())
        self._validators[spelled].validate(value)


def endpoints(crew: Crew) -> tuple[Endpoint, ...]:
    return all_endpoints(crew)


def description(crew: Crew) -> Description:
    return Description(json.loads(json.dumps(document(all_endpoints(crew)))))
