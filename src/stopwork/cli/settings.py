"""Which server, and as whom: options first, then the environment, then what ``stopwork login`` wrote down."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stopwork.kernel.errors import Invalid, Unauthenticated, Unavailable

URL_VARIABLE: Final = "STOPWORK_URL"
TOKEN_VARIABLE: Final = "STOPWORK_TOKEN"  # noqa: S105 - a name, not a secret
DEFAULT_URL: Final = "http://127.0.0.1:8321"


@dataclass(frozen=True, kw_only=True)
class Login:
    """A server's address and the token to use there. The token is never shown."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Login(url={self.url!r})"


def no_token(url: str) -> Unauthenticated:
    """Answer the error for a server that asks for a token when none is known."""
    return Unauthenticated(
        f"no token for {url}",
        hint="Sign in with the link that stopwork up or stopwork user link prints: stopwork login LINK "
        f"(or give --token, or set {TOKEN_VARIABLE}).",
        url=url,
    )


def config_file(environment: Mapping[str, str]) -> Path:
    """Answer where the login is kept."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME", "~"), ".config"))
    return Path(base).expanduser() / "stopwork" / "config.toml"


def find_login(url: str | None, token: str | None, environment: Mapping[str, str] = os.environ) -> Login:
    """Answer the server to talk to. A kept token is used for the server it was made for and for no other."""
    kept = _kept(config_file(environment))
    address = _tidy(url or environment.get(URL_VARIABLE) or (kept.url if kept else DEFAULT_URL))
    if kept is not None and kept.url != address:
        kept = None
    return Login(
        url=address, token=token or environment.get(TOKEN_VARIABLE, "") or (kept.token if kept else "")
    )


def keep_login(login: Login, environment: Mapping[str, str] = os.environ) -> Path:
    """Write the login down for the next command, readable by its owner only, and answer where."""
    path = config_file(environment)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    # A JSON string without control characters is a TOML basic string.
    text = "".join(
        f"{name} = {json.dumps(value)}\n" for name, value in (("url", login.url), ("token", login.token))
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}",
            hint=f"Set {URL_VARIABLE} and {TOKEN_VARIABLE} instead.",
        ) from error
    return path


def forget_login(environment: Mapping[str, str] = os.environ) -> bool:
    """Remove what :func:`keep_login` wrote; answer whether there was anything."""
    path = config_file(environment)
    found = path.exists()
    path.unlink(missing_ok=True)
    return found


def _kept(path: Path) -> Login | None:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return Login(url=_tidy(str(found["url"])), token=str(found["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise Invalid(
            f"{path} cannot be read: {error}", hint="Write it anew with: stopwork login URL", field=str(path)
        ) from error


def _tidy(url: str) -> str:
    return url.strip().rstrip("/")
