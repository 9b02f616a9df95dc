"""The browsers driven by WebDriver."""

from collections.abc import Iterator

import pytest

from e2e.browsers.drivers import Browser, Firefox, WebKit
from tests import install


@pytest.fixture(
    scope="module", params=[(Firefox, install.firefox), (WebKit, install.webkit)], ids=["firefox", "webkit"]
)
def started(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser in which no user has signed in."""
    kind, find = request.param
    if not find():
        pytest.skip(f"{kind.__name__} is not installed")
    browser: Browser = kind()
    yield browser
    browser.close()
