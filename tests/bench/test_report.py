"""The section in RESULTS.md: replaced as a whole, and nothing around it is touched."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results import write


def test_a_new_section_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    results = tmp_path / "RESULTS.md"
    write("bench", "first\n", results)
    results.write_text(results.read_text() + "\n## Something else\n")
    write("bench", "second\n", results)
    text = results.read_text()
    assert "first" not in text
    assert text.count("second") == 1
    assert text.endswith("## Something else\n")
