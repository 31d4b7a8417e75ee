"""``python -m benchmarks.undo`` (`make bench-undo`): a thousand row updates taken back, beside as many plain updates of the same run."""

from __future__ import annotations

import sys

from benchmarks.__main__ import main

if __name__ == "__main__":
    sys.argv[1:1] = ["--only", "undo"]
    main()
