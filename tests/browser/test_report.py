"""The report of the bots in a real browser, opened as the file that it is."""

from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, expect

from server.tools.bots.html import render
from tests.bots.runs import PLAN, run
from tests.browser.conftest import LAPTOP, PHONE

HOSTILE = "</title></script></pre><script>alert(1)</script><img src='http://127.0.0.1:9/x' onerror='alert(2)'>"


@pytest.mark.parametrize("device", [LAPTOP, PHONE], ids=["laptop", "phone"])
async def test_the_report_opens_anywhere_asks_for_nothing_and_runs_nothing_strange(
    browser: Browser, tmp_path: Path, device: dict[str, object]
) -> None:
    file = tmp_path / "report.html"
    plan = msgspec.structs.replace(PLAN, room=HOSTILE, url=HOSTILE)
    file.write_text(render(run(plan=plan, errors={HOSTILE: 3}, problems=[HOSTILE], problem_count=1)))
    page = await (await browser.new_context(**device)).new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(file.as_uri())
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not all could be checked")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_text("The run as JSON").click()
    await expect(page.locator("#result")).to_be_visible()
    assert [file.as_uri()] == asked
    assert [] == wrong


async def test_the_report_tells_the_values_at_the_place_pointed_at(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(run()))
    page = await (await browser.new_context(**LAPTOP)).new_page()
    await page.goto(file.as_uri())
    plot = page.get_by_role("img", name="Latency by percentile")
    await plot.scroll_into_view_if_needed()
    box = await plot.bounding_box()
    assert box
    await page.mouse.move(box["x"] + 1, box["y"] + 20)
    await expect(page.locator(".told")).to_contain_text("p50")
    await expect(page.locator(".told")).to_contain_text("6.87 ms")
    await page.mouse.move(0, 0)
    await expect(page.locator(".told")).to_have_count(0)
