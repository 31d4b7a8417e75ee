"""Stopwork: stop an unattended agent at the smallest unsafe part, and bring it back with signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Stopwork", "__version__"]

if TYPE_CHECKING:
    from stopwork.sdk import Stopwork


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `stopwork --help` does not pay for the HTTP client.
    if name == "Stopwork":
        from stopwork.sdk import Stopwork

        return Stopwork
    raise AttributeError(name)
