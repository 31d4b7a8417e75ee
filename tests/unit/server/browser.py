"""A browser in front of a house: it keeps cookies, reads forms from pages and sends them as a person would."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
from bs4 import BeautifulSoup

from stopwork.ledger.records import Principal
from stopwork.server.auth import COOKIE
from stopwork.server.pages.routes import FLASH
from tests.unit.server.house import House


class Browser:
    """One browser. Nothing is followed by itself, so that a test sees every answer."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.http = house.client()

    @classmethod
    def signed_in(cls, house: House, who: Principal) -> Browser:
        """A browser in which somebody has just spent a link."""
        found = cls(house)
        answer = found.spend(house.link(who))
        assert answer.status_code == 303, answer.text
        return found

    @property
    def session(self) -> str:
        return str(self.http.cookies.get(COOKIE, ""))

    @property
    def csrf(self) -> str:
        """The token in the sign-out form, which every page of a signed-in person has."""
        field = self.page("/holds").select_one('form[action="/sign-out"] input[name=csrf]')
        assert field is not None
        return str(field["value"])

    def page(self, path: str) -> BeautifulSoup:
        answer = self.http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return BeautifulSoup(answer.text, "html.parser")

    def spend(self, secret: str, **headers: str) -> httpx.Response:
        return self.http.post("/sign-in", data={"token": secret}, headers=headers)

    def send(self, path: str, *, referer: str = "", csrf: str | None = None, **fields: Any) -> httpx.Response:
        """Send a form with this session's token, or with the one that is given."""
        token = self.csrf if csrf is None else csrf
        headers = {"referer": referer} if referer else {}
        return self.http.post(path, data=fields | {"csrf": token}, headers=headers)


def said(answer: httpx.Response) -> str:
    """Answer what a form's answer tells the person on the next page."""
    return str(json.loads(base64.urlsafe_b64decode(answer.cookies[FLASH]))["text"])
