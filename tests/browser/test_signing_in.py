"""Contract: a one-time link signs in by a button, once; without a session there is nothing to see."""

from __future__ import annotations

from scripts.chromium import Browser
from stopwork.demo.company import Company
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor


def test_a_link_signs_in_once(browser: Browser, company: Company) -> None:
    page = browser.page()
    page.show()
    link = company.sign_in_link(company.dana)
    page.open(link)
    page.open(link)
    assert page.has("main form button", "Sign in as dana@acme.test"), "looking at a link does not spend it"
    with page.loading():
        page.click("main form button")
    assert page.address == f"{company.url}/"
    assert page.has(".menu-person", "dana@acme.test")
    page.open(link)
    assert page.has("h1", "This link was used already")
    assert page.complaints == []
    page.close()


def test_a_stranger_sees_how_to_sign_in_and_nothing_else(browser: Browser, company: Company) -> None:
    page = browser.page()
    page.open(f"{company.url}/incidents")
    assert page.address == f"{company.url}/sign-in"
    assert "stopwork user link" in page.text("main")
    assert not page.has("header nav")
    page.close()


def test_whoever_signs_out_is_a_stranger_again(company: Company, visit: Visit) -> None:
    kim: Visitor = visit(company.kim)
    kim.page.click(".menu > summary")
    kim.send(".menu form", "Sign out")
    kim.go("/")
    assert kim.page.address.endswith("/sign-in")


def test_an_address_without_a_page_says_what_to_do(browser: Browser, company: Company) -> None:
    dana = Visitor(browser, company, company.dana)
    dana.go("/nowhere")
    assert dana.page.has("h1", "There is no such thing")
    dana.follow("Go to the board")
    assert dana.page.address == f"{company.url}/"
    dana.page.close()
