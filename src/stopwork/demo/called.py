"""How this program was called, so that a command which it prints can be pasted into the same shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def this_command(called: str | None = None) -> str:
    """Answer what to type for ``stopwork`` where this program was started: its name when the shell finds it, else its path."""
    called = sys.argv[0] if called is None else called
    path = Path(called) if Path(called).name == "stopwork" else Path(sys.executable).with_name("stopwork")
    found = shutil.which("stopwork")
    return "stopwork" if found and path.exists() and path.samefile(found) else shlex.quote(str(path))
