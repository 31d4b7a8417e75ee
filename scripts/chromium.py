"""A headless Chromium, driven over a pipe: pages are opened, read, clicked, typed into and pictured as a person would.

It speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) over ``--remote-debugging-pipe``, so that
nothing beyond the standard library is needed, no port is open, and the browser ends with the process that started it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
ANSWER_WITHIN_S: Final = 30.0
POLL_S: Final = 0.03
READ_BYTES: Final = 1 << 16
#: The script that finds the first element that a selector names and that says a text.
FIND: Final = """
(selector, text) => [...document.querySelectorAll(selector)].find(
  (it) => !text || it.innerText.replace(/\\s+/g, " ").includes(text))
"""

Json = dict[str, Any]


class BrowserError(Exception):
    """The browser is missing, has ended, or did not do in time what it was asked to."""


class Size(Enum):
    """How large the window is, in pixels."""

    WIDE = (1280, 900)
    PHONE = (390, 844)


class Browser:
    """One Chromium. Each :class:`Page` belongs to somebody: with cookies of its own."""

    def __init__(self, profile: Path) -> None:
        program = next((found for name in NAMES if (found := shutil.which(name))), None)
        if program is None:
            raise BrowserError(f"No browser was found on PATH. Install one of: {', '.join(NAMES)}.")
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        arguments = ["--headless", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]
        arguments += ["--force-color-profile=srgb", "--font-render-hinting=none"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium refuses its sandbox to root, as in most containers
        self._pid = os.posix_spawn(
            program,
            [program, *arguments, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            {"PATH": os.defpath, "HOME": str(profile), "TZ": "UTC"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                # Chromium reads commands from descriptor 3 and answers on 4.
                (os.POSIX_SPAWN_DUP2, command_end, 3),
                (os.POSIX_SPAWN_DUP2, answer_end, 4),
            ],
            setpgroup=0,
        )
        os.close(command_end)
        os.close(answer_end)
        self._buffer = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[Browser]:
        """A browser with an empty profile; nothing of it is left afterwards."""
        with tempfile.TemporaryDirectory(prefix="stopwork-chromium-", ignore_cleanup_errors=True) as profile:
            browser = cls(Path(profile))
            try:
                yield browser
            finally:
                browser._end()

    def page(self, *, script: bool = True) -> Page:
        """Answer a new page of somebody new; ``script`` is whether scripts run in it."""
        context = self.command("Target.createBrowserContext")["browserContextId"]
        target = self.command("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.command(f"{domain}.enable")
        if not script:
            page.command("Emulation.setScriptExecutionDisabled", value=True)
        return page

    def command(self, method: str, session: str = "", **params: Any) -> Json:
        """Send one command and answer its result."""
        self._number += 1
        message: Json = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while (answer := self._receive(deadline)).get("id") != self._number:
            pass
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: Json = answer["result"]
        return result

    def listen(self, for_s: float) -> None:
        """Take in what the browser says by itself, for at most so long."""
        with contextlib.suppress(TimeoutError):
            self._receive(time.monotonic() + for_s)

    def _receive(self, deadline: float) -> Json:
        """Answer the next message; an event is also told to the page that it is about."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser did not answer in time")
            read = os.read(self._answers, READ_BYTES)
            if not read:
                raise BrowserError("the browser has ended")
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: Json = json.loads(line)
        page = self._pages.get(message.get("sessionId", ""))
        if page is not None and "method" in message:
            page.told(message["method"], message["params"])
        return message

    def _end(self) -> None:
        os.close(self._commands)
        os.close(self._answers)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


class Page:
    """One page in a window. ``complaints`` collects what its console says of errors, and what its policy refused."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self._loads = 0
        self.complaints: list[str] = []

    # --- looking -------------------------------------------------------------------------------

    def show(self, *, size: Size = Size.WIDE, dark: bool = False, paper: bool = False) -> None:
        """Set the window's size and colours, or show the page as it is printed."""
        width, height = size.value
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size is Size.PHONE,
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.command("Emulation.setEmulatedMedia", media="print" if paper else "screen", features=features)

    def open(self, url: str) -> None:
        """Go to an address and wait until the page is loaded."""
        with self.loading():
            self.command("Page.navigate", url=url)

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Wait, after what is done in the block, until another page is loaded."""
        before = self._loads
        yield
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while self._loads == before:
            if time.monotonic() > deadline:
                raise BrowserError(f"no page was loaded after {self.address}")
            self._browser.listen(POLL_S)

    def value(self, expression: str) -> Any:
        """Answer what a script's expression answers; a promise is waited for."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails'].get('exception', answer)}")
        return answer["result"].get("value")

    def until(self, expression: str, *, within_s: float = ANSWER_WITHIN_S) -> None:
        """Wait until a script's expression answers something that counts as true."""
        deadline = time.monotonic() + within_s
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise BrowserError(f"{self.address}: not within {within_s:g} s: {expression}")
            self._browser.listen(POLL_S)

    def wait(self, for_s: float) -> None:
        """Let the page go on by itself for so long."""
        until = time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0:
            self._browser.listen(left)

    @property
    def address(self) -> str:
        """Where the page is."""
        return str(self.value("location.href"))

    def text(self, selector: str = "body") -> str:
        """Answer what a part of the page says, as it is shown, on one line; empty when there is no such part."""
        script = f"({FIND})({json.dumps(selector)})?.innerText ?? ''"
        return " ".join(str(self.value(script)).split())

    def has(self, selector: str, text: str = "") -> bool:
        """Answer whether there is such an element and a person can see it."""
        found = f"({FIND})({json.dumps(selector)}, {json.dumps(text)})"
        return bool(self.value(f"{found}?.checkVisibility({{visibilityProperty: true}}) ?? false"))

    def picture(self, path: Path, *, part: str = "", max_height: int) -> None:
        """Save the page from its top, or a part of it, as PNG: at most so many pixels high."""
        x, y, width, height = self.value(f"""(() => {{
          scrollTo({{top: 0, behavior: "instant"}});
          const root = document.documentElement;
          const box = {json.dumps(part)} && document.querySelector({json.dumps(part)}).getBoundingClientRect();
          return box ? [box.x, box.y, box.width, box.height] : [0, 0, root.clientWidth, root.scrollHeight];
        }})()""")
        clip = {"x": x, "y": y, "width": width, "height": min(height, max_height), "scale": 1}
        taken = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(taken["data"]))

    # --- doing ---------------------------------------------------------------------------------

    def click(self, selector: str, text: str = "") -> None:
        """Click an element where it is on the screen; ``BrowserError`` when a person could not."""
        x, y = self._resting_spot(selector, text)
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def fill(self, selector: str, text: str) -> None:
        """Type into a field in place of what it holds."""
        self.click(selector)
        self.value("document.activeElement.select?.()")
        self.type(text)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a list."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.value(
            f"{element}.value = {json.dumps(value)};"
            f"{element}.dispatchEvent(new Event('input', {{bubbles: true}}));"
            f"{element}.dispatchEvent(new Event('change', {{bubbles: true}}))"
        )

    def type(self, text: str) -> None:
        """Type where the keyboard is."""
        self.command("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and release one key: a letter, or ``Tab``, ``Enter``, ``Space``, ``ArrowDown``, …"""
        named = {"Tab": 9, "Enter": 13, "Space": 32, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38}
        typed = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
        code = named.get(key, ord(key.upper()[0]))
        name = " " if key == "Space" else key
        down = {"key": name, "code": key, "windowsVirtualKeyCode": code, **({"text": typed} if typed else {})}
        self.command("Input.dispatchKeyEvent", type="keyDown", **down)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=name, code=key, windowsVirtualKeyCode=code)

    def command(self, method: str, **params: Any) -> Json:
        """Send one command about this page and answer its result."""
        return self._browser.command(method, self._session, **params)

    def close(self) -> None:
        """Close the page."""
        self._browser.command("Target.closeTarget", targetId=self._target)

    # --- what the browser says -----------------------------------------------------------------

    def told(self, event: str, params: Json) -> None:
        """Take in an event of the browser that is about this page."""
        match event:
            case "Page.loadEventFired":
                self._loads += 1
            case "Runtime.exceptionThrown":
                self.complaints.append(f"exception: {params['exceptionDetails']}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(f"{params['type']}: {[it.get('value') for it in params['args']]}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                entry = params["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
            case _:
                pass

    def _resting_spot(self, selector: str, text: str) -> tuple[float, float]:
        """Answer where to click, once the page no longer moves under it."""
        spot = self._spot(selector, text)
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while True:
            self.wait(POLL_S)
            before, spot = spot, self._spot(selector, text)
            if before == spot:
                return spot
            if time.monotonic() > deadline:
                raise BrowserError(f"{selector} {text!r} on {self.address} does not come to rest")

    def _spot(self, selector: str, text: str) -> tuple[float, float]:
        found = f"({FIND})({json.dumps(selector)}, {json.dumps(text)})"
        what = f"{selector} {text!r}"
        spot = self.value(f"""(() => {{
          const it = {found};
          if (!it) return "not there";
          if (it.disabled) return "disabled";
          it.scrollIntoView({{block: "center", behavior: "instant"}});
          const box = it.getClientRects()[0];
          if (!box || !box.width || !box.height) return "not to be seen";
          const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
          const top = document.elementFromPoint(x, y);
          if (!top || !(it.contains(top) || top.contains(it))) return `covered by ${{top?.outerHTML.slice(0, 120)}}`;
          return [x, y];
        }})()""")
        if isinstance(spot, str):
            raise BrowserError(f"{what} on {self.address} cannot be clicked: it is {spot}")
        return spot[0], spot[1]
