"""The page in a real browser, with the real SDK, on a real server."""

from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Visitors, live, own
from tests.serving import Server, Servers

#: Whether this page sees a character of that name standing somewhere else than at a place.
_MOVED = """([name, x, y]) => Object.values(window.holdfast.session.getSnapshot().room.state.players)
    .some((player) => player.name === name && (player.x !== x || player.y !== y))"""


async def said(page: Page, text: str) -> None:
    await page.keyboard.press("Enter")
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")


async def test_a_visitor_enters_the_world_and_walks_and_others_see_it(server: Server, visitors: Visitors) -> None:
    ada = await visitors.enter(server, "Ada")
    grace = await visitors.enter(server, "Grace")
    await expect(ada.locator("#self-name")).to_have_text("Ada")
    before = await own(ada)
    # Every spawn tile is open on all sides.
    await ada.keyboard.press("ArrowRight")
    for page in (ada, grace):
        await page.wait_for_function(_MOVED, arg=["Ada", before["x"], before["y"]])
    assert (await own(ada))["facing"] == "right"


async def test_what_is_said_is_read_by_everyone_once(server: Server, visitors: Visitors) -> None:
    ada = await visitors.enter(server, "Ada")
    grace = await visitors.enter(server, "Grace")
    await said(ada, "The tide is low.")
    for page in (ada, grace):
        await expect(page.locator("#chat-log li", has_text="The tide is low.")).to_have_count(1)


async def test_a_refusal_is_shown_in_the_servers_words(server: Server, visitors: Visitors) -> None:
    ada = await visitors.enter(server, "Ada")
    await ada.keyboard.press("g")
    await expect(ada.get_by_text("You carry nothing.")).to_be_visible()


async def test_a_reload_is_the_same_player_and_another_tab_is_another(server: Server, visitors: Visitors) -> None:
    first = await visitors.enter(server, "Ada")
    player_id = (await own(first))["playerId"]
    await first.reload()
    await live(first)
    assert (await own(first))["playerId"] == player_id
    second = await visitors.tab(first.context, server)
    await second.get_by_role("button", name="Enter the world").click()
    await live(second)
    assert (await own(second))["playerId"] != player_id


async def test_after_a_cut_the_page_comes_back_by_itself_with_what_was_said_meanwhile(
    server: Server, visitors: Visitors
) -> None:
    ada = await visitors.enter(server, "Ada")
    grace = await visitors.enter(server, "Grace")
    await ada.context.set_offline(True)
    await expect(ada.get_by_text("Reconnecting")).to_be_visible()
    await said(grace, "Are you still there?")
    await said(ada, "I am.")
    await ada.context.set_offline(False)
    await live(ada)
    for page in (ada, grace):
        for text in ("Are you still there?", "I am."):
            await expect(page.locator("#chat-log li", has_text=text)).to_have_count(1)
    await expect(ada.locator("#banner")).to_be_hidden()


async def test_a_server_killed_and_started_again_has_the_player_where_they_stood(
    serve: Servers, visitors: Visitors, tmp_path: Path
) -> None:
    server = await serve(data_dir=tmp_path / "data")
    ada = await visitors.enter(server, "Ada")
    before = await own(ada)
    await ada.keyboard.press("ArrowDown")
    await ada.wait_for_function(_MOVED, arg=["Ada", before["x"], before["y"]])
    stood = await own(ada)
    await server.kill()
    await expect(ada.get_by_text("Reconnecting")).to_be_visible()
    await serve.again(server)
    await live(ada)
    after = await own(ada)
    assert (after["x"], after["y"], after["connected"]) == (stood["x"], stood["y"], True)


async def test_a_page_of_another_version_says_so_and_offers_to_reload(serve: Servers, visitors: Visitors) -> None:
    server = await serve(later=True)
    page = await visitors.visit(server)
    await page.get_by_role("button", name="Enter the world").click()
    await expect(page.get_by_role("heading", name="There is a new version")).to_be_visible()
    await expect(page.get_by_role("button", name="Reload the page")).to_be_focused()


async def test_one_who_leaves_may_join_again_or_be_someone_else(server: Server, visitors: Visitors) -> None:
    ada = await visitors.enter(server, "Ada")
    await ada.get_by_role("button", name="Leave").click()
    await expect(ada.get_by_role("heading", name="You left the room")).to_be_visible()
    await ada.get_by_role("button", name="Join again").click()
    await expect(ada.locator("#self-name")).to_have_text("Ada")
    await live(ada)
    await ada.get_by_role("button", name="Leave").click()
    await ada.get_by_role("button", name="Play under another name").click()
    await ada.get_by_label("Your name").fill("Grace")
    await ada.get_by_role("button", name="Enter the world").click()
    await expect(ada.locator("#self-name")).to_have_text("Grace")


async def test_on_a_phone_a_finger_walks_and_writes(server: Server, visitors: Visitors) -> None:
    ada = await visitors.enter(server, "Ada", PHONE)
    before = await own(ada)
    await ada.locator("#pad .right").tap(force=True)
    await ada.wait_for_function(_MOVED, arg=["Ada", before["x"], before["y"]])
    await ada.get_by_role("button", name="Chat").tap()
    await ada.keyboard.type("From a phone.")
    await ada.get_by_role("button", name="Send").tap()
    await expect(ada.locator("#chat-log li", has_text="From a phone.")).to_have_count(1)


async def test_nothing_of_the_page_is_cut_off_on_a_small_screen(server: Server, visitors: Visitors) -> None:
    ada = await visitors.enter(server, "A name as long as names may be..", PHONE)
    for part in (".self", ".map", ".pad", ".deck", "#diagnostics"):
        box = await ada.locator(part).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= 390 - box["width"], part
        assert 0 <= box["y"] <= 844 - box["height"], part
