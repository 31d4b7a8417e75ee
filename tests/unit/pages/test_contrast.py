"""Text is readable in both themes: every pair of ink and ground that the stylesheet uses has WCAG AA contrast (4.5 to 1)."""

from __future__ import annotations

import re

import pytest

from stopwork.server.pages.rendering import STATIC

PAIRS = [
    *(
        (ink, ground)
        for ink in ("ink", "muted", "accent", "bad")
        for ground in ("ground", "surface", "sunken")
    ),
    *((tone, f"{tone}-soft") for tone in ("accent", "bad", "good", "caution")),
    *(("ink", f"{tone}-soft") for tone in ("accent", "bad", "good", "caution")),
    ("good", "surface"),
    ("muted", "accent-soft"),
    ("accent-ink", "accent"),
    ("stop-ink", "stop"),
    ("bar-ink", "bar"),
    ("bar-muted", "bar"),
    *(("white", f"sev{level}") for level in range(4)),
]


def themes() -> dict[str, dict[str, str]]:
    css = (STATIC / "stopwork.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css.split("@media print")[0], re.DOTALL)
    read = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in (light, dark)]
    return {"light": read[0], "dark": read[0] | read[1]}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_contrast(theme: str, ink: str, ground: str) -> None:
    colours = themes()[theme] | {"white": "#ffffff"}
    bright, dim = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5
