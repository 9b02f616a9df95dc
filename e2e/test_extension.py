"""What a room's scripts need of htmx's WebSocket extension beyond its documentation: a new version must still do it."""

import json

import pytest
from playwright.sync_api import Request, WebSocket

from e2e.conftest import Join
from tests.servers import Site
from tests.sockets import IS_LIVE, SOCKET


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=1, rooms=2, messages=0)


def test_a_message_goes_over_the_socket_in_one_frame_with_nothing_but_its_text_and_id(
    site: Site, keys: list[str], person: Join
) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    frames: list[str | bytes] = []
    posts: list[Request] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: frames.append(frame))

    ada.page.on("websocket", listen)
    ada.open_room("room-001")
    address = ada.page.locator("#composer").evaluate("form => form.action")
    ada.page.on("request", lambda request: posts.append(request) if request.url == address else None)
    for text in ("First", "Second\nin two lines"):
        ada.page.locator("#composer-body").fill(text)
        ada.page.locator("#composer-body").press("Enter")
    ada.expect_message("Second in two lines")
    ada.expect_nothing_pending()
    sent = [json.loads(frame) for frame in frames]
    assert [one["body"] for one in sent] == ["First", "Second\nin two lines"]
    assert {frozenset(one) for one in sent} == {frozenset(["body", "client_id"])}
    assert posts == []


def test_a_connection_that_is_given_up_is_closed_and_replaced_at_once(
    site: Site, keys: list[str], person: Join
) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-002")
    # As when the browser shows a page again that it had kept.
    states = page.evaluate(
        f"""() => {{
          window.first = {SOCKET};
          dispatchEvent(new PageTransitionEvent("pageshow", {{ persisted: true }}));
          return [window.first.readyState, {SOCKET}.readyState, {SOCKET} !== window.first];
        }}"""
    )
    assert states == [2, 0, True]
    page.wait_for_function(f"() => {IS_LIVE} && window.first.readyState === 3")
    ada.write("Here")
    ada.expect_message("Here")
    ada.expect_nothing_pending()
