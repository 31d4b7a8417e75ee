"""What sensitive values look like, and where in a record's content they stand: pure, bounded, and never answering the values in words.

``sights(content)`` goes through arguments, a result or the facts of a step. Most content has nothing that could be sensitive; one pass over
its bytes tells so, and only what is left is read value by value.
"""

from stopwork.detect.patterns.reading import MOST_BYTES, MOST_SIGHTS, sights
from stopwork.detect.patterns.sight import Doubt, Kind, Sight

__all__ = ["MOST_BYTES", "MOST_SIGHTS", "Doubt", "Kind", "Sight", "sights"]
