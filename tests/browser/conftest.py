"""One browser for all tests of pages, and the pages of sweeps."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from orchestrator.report.sweep.page import render_sweep_page
from tests.browser.opening import CHROMIUM, open_page
from tests.browser.sweeps import CHARTS, LAW, SWEEPS

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "MIDTRAIN_REQUIRE_BROWSER is set and there is no chromium on PATH"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the page of each made-up sweep."""
    folder = tmp_path_factory.mktemp("sweeps")
    for name, made_up in SWEEPS.items():
        (folder / f"{name}.html").write_text(render_sweep_page(made_up()), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in SWEEPS}


@pytest.fixture
def small(browser: Browser, addresses: dict[str, str]) -> Iterator[Page]:
    """The page of the small sweep, opened anew."""
    page = open_page(browser, addresses["small"], CHARTS + LAW).page
    yield page
    page.close()


@pytest.fixture
def large(browser: Browser, addresses: dict[str, str]) -> Iterator[Page]:
    """The page of the large sweep, opened anew."""
    page = open_page(browser, addresses["large"], CHARTS).page
    yield page
    page.close()
