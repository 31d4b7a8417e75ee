"""Contract: options win over the environment, the environment over the kept login; a kept token goes to its own server only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stopwork.cli.settings import DEFAULT_URL, Login, config_file, find_login, forget_login, keep_login
from stopwork.kernel.errors import Invalid, Unavailable

HERE, THERE = "https://stopwork.acme.test", "https://elsewhere.test"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_nothing_said_means_this_machine(home: dict[str, str]) -> None:
    assert find_login(None, None, home) == Login(url=DEFAULT_URL, token="")


@pytest.mark.parametrize(
    ("url", "token", "environment", "expected"),
    [
        (None, None, {}, (HERE, "kept")),
        (None, None, {"STOPWORK_TOKEN": "set"}, (HERE, "set")),
        (None, "given", {"STOPWORK_TOKEN": "set"}, (HERE, "given")),
        (None, None, {"STOPWORK_URL": HERE + "/"}, (HERE, "kept")),
        (None, None, {"STOPWORK_URL": THERE}, (THERE, "")),
        (THERE, None, {}, (THERE, "")),
        (THERE, None, {"STOPWORK_TOKEN": "set"}, (THERE, "set")),
        (HERE, None, {"STOPWORK_URL": THERE}, (HERE, "kept")),
    ],
)
def test_who_wins(
    home: dict[str, str],
    url: str | None,
    token: str | None,
    environment: dict[str, str],
    expected: tuple[str, str],
) -> None:
    keep_login(Login(url=HERE, token="kept"), home)
    found = find_login(url, token, home | environment)
    assert (found.url, found.token) == expected


def test_what_is_kept_is_for_its_owner_only(home: dict[str, str]) -> None:
    path = keep_login(Login(url=HERE, token="first"), home)
    path.chmod(0o644)
    keep_login(Login(url=HERE, token='a "second" \\ one'), home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_login(None, None, home).token == 'a "second" \\ one'
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_token_is_not_in_what_is_printed_of_a_login() -> None:
    assert "secret" not in repr(Login(url=HERE, token="secret"))


def test_a_login_can_be_forgotten(home: dict[str, str]) -> None:
    keep_login(Login(url=HERE, token="kept"), home)
    assert forget_login(home)
    assert not forget_login(home)
    assert find_login(None, None, home).token == ""


def test_a_broken_file_is_named(home: dict[str, str]) -> None:
    path = config_file(home)
    path.parent.mkdir(parents=True)
    path.write_text("url = ")
    with pytest.raises(Invalid, match=r"config\.toml cannot be read"):
        find_login(None, None, home)


def test_a_place_that_cannot_be_written_says_what_to_do_instead(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="STOPWORK_TOKEN instead"):
        keep_login(Login(url=HERE, token="kept"), {"XDG_CONFIG_HOME": str(tmp_path / "file")})
