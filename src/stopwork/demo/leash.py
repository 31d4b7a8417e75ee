"""Runs a command that must not outlive whoever started it: ``python -m stopwork.demo.leash COMMAND …``.

The leash is the pipe on standard input. When its other end closes, because the owner let go or died in whatever way,
the command is asked to stop, and after a grace made to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE_S = 5.0


def main(command: list[str]) -> int:
    """Run the command until it ends or the leash is let go; answer its exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        threading.Thread(target=_stop_when_let_go, args=(child,), daemon=True).start()
        return child.wait()


def _stop_when_let_go(child: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        # The whole group, this process included: the command may have started others.
        os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
