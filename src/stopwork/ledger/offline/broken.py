"""The only error of the verifier."""

from __future__ import annotations


class Broken(Exception):
    """Something is not as it was signed; ``where`` names the first file or entry."""

    def __init__(self, detail: str, where: str = "") -> None:
        super().__init__(detail)
        self.where = where
