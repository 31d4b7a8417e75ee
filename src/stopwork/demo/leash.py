"""Runs a command that must not outlive whoever started it: ``python -m stopwork.demo.leash GRACE_S COMMAND …``.

The leash is the pipe on standard input. When its other end closes, because the owner let go or died in whatever way,
the command is asked to stop, and after a grace made to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(grace_s: float, command: list[str]) -> int:
    """Run the command until it ends or the leash is let go; answer its exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        threading.Thread(target=_stop_when_let_go, args=(child, grace_s), daemon=True).start()
        code = child.wait()
    if os.getpgrp() == os.getpid():
        # The group is ours alone: what the command started goes with it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(0, signal.SIGTERM)
    return code


def _stop_when_let_go(child: subprocess.Popen[bytes], grace_s: float) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
