"""A real browser: the one that is installed. Without one the tests are skipped, under CI they fail."""

import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.serving import ROOT, Server

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: It runs as root in containers, without a screen, and calls no one.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LAPTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    is_built = (ROOT / "server/web/dist/index.html").exists()
    if not os.environ.get("CI") and (program is None or not is_built):
        pytest.skip("no browser" if program is None else "the page is not built")
    assert program, "no browser"
    assert is_built, "the page is not built"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        await browser.close()


class Visitors:
    """People at their browsers, each with storage of their own. What goes wrong in a page is kept in `problems`."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.problems: list[str] = []

    async def visit(self, server: Server, device: dict[str, Any] = LAPTOP) -> Page:
        """A new visitor before the gate."""
        page = await (await self._browser.new_context(**device)).new_page()
        self._watch(page)
        await page.goto(server.url)
        return page

    async def enter(self, server: Server, name: str, device: dict[str, Any] = LAPTOP) -> Page:
        """A new visitor in the world."""
        page = await self.visit(server, device)
        await page.get_by_label("Your name").fill(name)
        await page.get_by_role("button", name="Enter the world").click()
        await live(page)
        return page

    async def tab(self, context: BrowserContext, server: Server) -> Page:
        """One more tab of a visitor."""
        page = await context.new_page()
        self._watch(page)
        await page.goto(server.url)
        return page

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(str(error)))


@pytest.fixture
async def visitors(browser: Browser) -> AsyncIterator[Visitors]:
    visitors = Visitors(browser)
    yield visitors
    assert visitors.problems == []


async def live(page: Page) -> None:
    """Wait until the session is live."""
    await page.wait_for_function("window.holdfast.session?.getSnapshot().status === 'live'")


async def own(page: Page) -> dict[str, Any]:
    """The visitor's own character, as the page knows it."""
    character: dict[str, Any] = await page.evaluate(
        "(({ room, identity }) => room.state.players[identity.sessionId])(window.holdfast.session.getSnapshot())"
    )
    return character
