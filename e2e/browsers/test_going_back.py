"""Firefox without scripts, and Back, which restores the form as it was sent."""

from collections.abc import Iterator

import pytest

from e2e.browsers.drivers import Firefox
from e2e.browsers.test_browsers import sign_in
from tests import install
from tests.scenes import talk
from tests.servers import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=1, rooms=3, messages=0)


@pytest.fixture(scope="module")
def firefox(site: Site, keys: list[str]) -> Iterator[Firefox]:
    if not install.firefox():
        pytest.skip("Firefox is not installed")
    browser = Firefox(javascript=False)
    try:
        sign_in(browser, site)
        yield browser
    finally:
        browser.close()


@pytest.mark.parametrize(("slug", "how"), [("room-001", "edited"), ("room-002", "deleted"), ("room-003", "untouched")])
def test_a_new_text_in_a_form_restored_by_back_is_not_lost(firefox: Firefox, site: Site, slug: str, how: str) -> None:
    firefox.go(f"{site.url}/rooms/{slug}/")
    firefox.fill("#composer-body", "First text")
    sent = firefox.evaluate("document.querySelector('[name=client_id]').value")
    firefox.click("#composer button")
    firefox.until("document.querySelector('#messages .body')?.textContent.includes('First text')")
    message = int(firefox.evaluate("document.querySelector('#messages > .message').id.split('-')[1]"))
    if how == "edited":
        site.run(talk.edit, message, "Edited since")
    elif how == "deleted":
        site.run(talk.delete, message)
    firefox.command("browsingContext.traverseHistory", {"context": firefox.context, "delta": -1})
    firefox.until("document.querySelector('#composer-body')?.value === 'First text'")
    assert firefox.evaluate("document.querySelector('[name=client_id]').value") == sent
    firefox.fill("#composer-body", " and another")
    firefox.click("#composer button")
    # It has not been stored, so the page says so and keeps it.
    firefox.until("document.querySelector('#composer-errors')?.textContent.includes('Send it again')")
    typed = firefox.evaluate("document.querySelector('#composer-body').value")
    assert "and another" in typed
    firefox.click("#composer button")
    firefox.until(f"Array.from(document.querySelectorAll('#messages .body')).at(-1)?.innerText.trim() === '{typed}'")
    assert firefox.evaluate("document.querySelector('#composer-body').value") == ""
