# ruff: noqa: INP001 - a script, not a package
"""Pictures of the console, taken by a headless Chromium.

``tools/screenshots.py storybook OUTDIR``       every story, wide, phone and dark; needs no server
``tools/screenshots.py server URL LINK OUTDIR`` board, run and incident of a running server; LINK is a one-time sign-in link

Chromium is spoken to over a pipe (``--remote-debugging-pipe``), so that nothing beyond the standard library is needed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDE = (1280, 900)
PHONE = (390, 844)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MAX_HEIGHT = 6000


class Browser:
    """One Chromium with one page; every command waits for its answer."""

    def __init__(self, profile: str) -> None:
        program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
        if program is None:
            sys.exit(f"no browser found; install one of: {', '.join(BROWSERS)}")
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        devnull = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
        self.pid = os.posix_spawn(
            program,
            [
                *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
            ],
            {"PATH": os.defpath, "HOME": profile},
            file_actions=[
                *(devnull, (os.POSIX_SPAWN_DUP2, 1, 2)),
                # Chromium reads commands from descriptor 3 and answers on 4.
                *((os.POSIX_SPAWN_DUP2, command_end, 3), (os.POSIX_SPAWN_DUP2, answer_end, 4)),
            ],
        )
        os.close(command_end)
        os.close(answer_end)
        self._buffer = b""
        self._number = 0
        self._session = ""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.command("Page.enable")
        self.command("Runtime.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and answer its result; an error of the browser ends the program."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            if answer.get("method") == "Runtime.exceptionThrown":
                sys.stderr.write(f"script error: {json.dumps(answer['params'])[:400]}\n")

    def wait_for(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._answers, 1 << 16)
            if not read:
                sys.exit("the browser ended")
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, url: str, size: tuple[int, int], *, dark: bool = False, media: str = "screen") -> None:
        """Load a page at this size and wait until it is loaded."""
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.command("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")
        self.evaluate("new Promise(done => setTimeout(done, 150))")

    def evaluate(self, expression: str) -> Any:
        """Answer the value of a script expression; a promise is waited for."""
        return self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)[
            "result"
        ].get("value")

    def capture(self, path: Path) -> None:
        """Save the whole page, at most :data:`MAX_HEIGHT` pixels of it, as PNG."""
        width, height = self.evaluate(
            "[document.documentElement.clientWidth, document.documentElement.scrollHeight]"
        )
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, MAX_HEIGHT), "scale": 1}
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with an empty profile; it is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        running = Browser(profile)
        try:
            yield running
        finally:
            os.kill(running.pid, signal.SIGKILL)
            os.waitpid(running.pid, 0)


def storybook(folder: Path, names: list[str]) -> None:
    """Take every story, or those named."""
    from stopwork.server.pages.storybook import write  # the base tools must run without the server's packages

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as book, browser() as running:
        for page in write(Path(book)):
            if names and page.stem not in names:
                continue
            url = page.as_uri()
            for suffix, size, dark in (("", WIDE, False), ("-dark", WIDE, True), ("-phone", PHONE, False)):
                running.open(url, size, dark=dark)
                running.capture(folder / f"{page.stem}{suffix}.png")
            wider = running.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
            if wider:
                sys.stderr.write(f"{page.stem}: wider than the phone\n")


def server(url: str, link: str, folder: Path) -> None:
    """Take board, newest run and newest incident of a running server, wide and phone."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as running:
        running.open(link, WIDE)
        running.evaluate("document.querySelector('main form').requestSubmit()")
        running.wait_for("Page.loadEventFired")
        running.open(f"{url}/incidents?status=all", WIDE)
        incident = running.evaluate(
            "document.querySelector('.rows a[href^=\"/incidents/AI-INC\"]')?.getAttribute('href')"
        )
        shots = {"board": "/"}
        if incident:
            running.open(f"{url}{incident}", WIDE)
            run = running.evaluate(
                "document.querySelector('#open a[href^=\"/runs/\"]')?.getAttribute('href')"
            )
            shots |= {"incident": incident} | ({"run": run} if run else {})
        for name, path in shots.items():
            for suffix, size in (("wide", WIDE), ("phone", PHONE)):
                running.open(f"{url}{path}", size)
                running.capture(folder / f"{name}-{suffix}.png")


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    book = kinds.add_parser("storybook")
    book.add_argument("folder", type=Path)
    book.add_argument("names", nargs="*")
    live = kinds.add_parser("server")
    live.add_argument("url")
    live.add_argument("link")
    live.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.kind == "storybook":
        storybook(given.folder, given.names)
    else:
        server(given.url.rstrip("/"), given.link, given.folder)


if __name__ == "__main__":
    main()
