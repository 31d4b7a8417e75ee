"""Contract: every address that a command asks for is a row of the API, with the same method."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from stopwork.server.api import guard
from stopwork.server.app import AFTER_THE_GUARD
from tests.repository.tree import modules

METHODS = {"get": "GET", "page": "GET", "text": "GET", "download": "GET", "post": "POST", "put": "PUT"}
ROWS = {(row.method, row.path) for row in (*guard.ENDPOINTS, *AFTER_THE_GUARD)} | {
    ("GET", each) for each in ("/v1/health", "/v1/log")
}


def asked() -> Iterator[tuple[str, str]]:
    """The (method, path) pairs that stand in the commands as they are written."""
    for text in modules("src/stopwork/cli/").values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                path, method = node.args[0], METHODS.get(node.func.attr)
                if method and isinstance(path, ast.Constant) and str(path.value).startswith("/v1/"):
                    yield method, str(path.value)


@pytest.mark.parametrize(("method", "path"), sorted(set(asked())))
def test_is_a_row_of_the_api(method: str, path: str) -> None:
    assert (method, path) in ROWS


def test_this_finds_them() -> None:
    assert len(set(asked())) > 40
