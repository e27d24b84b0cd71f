"""The page in a real browser, opened from disk without a network."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.commands.report import make_report
from orchestrator.runs.attempts import Stop
from tests.browser.opening import BACKGROUND, DESKTOP, PHONE, SOFT_INK, Opened, luminance, needs_browser
from tests.browser.opening import open_page as open_with
from tests.support.run_directory import SOURCES, MadeUpRun, write_run

HOSTILE = "</script><b>"
CHARTS = ("heldout", "loss", "deviation", "learning-rate", "gradient-norm")

pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run with a source, a model and a stop that try to break out of it."""
    names = {"spec": "spec", "python_source": HOSTILE, "package_docs": "a_rather_long_name_of_a_source_of_documentation"}
    made_up = MadeUpRun(
        sources={names[name]: source for name, source in SOURCES.items()},
        changes={"model.description": f"'a model {HOSTILE}'"},
        attempts=[
            Stop(step=30, reason=f"stopped by {HOSTILE}", reason_class="preempted", exit_code=75),
            Stop(step=60, reason="all steps are done", reason_class="done", exit_code=0),
        ],
    )
    run = write_run(tmp_path_factory.mktemp("report"), made_up)
    make_report(run)
    return run.report.as_uri()


def open_page(browser: Browser, address: str, *, width: int = DESKTOP, scheme: Literal["light", "dark"] = "light") -> Opened:
    return open_with(browser, address, CHARTS, width=width, scheme=scheme)


@pytest.fixture(scope="module")
def desktop(browser: Browser, address: str) -> Page:
    """For tests that leave it as they found it."""
    return open_page(browser, address).page


@pytest.fixture(scope="module")
def phone(browser: Browser, address: str) -> Page:
    return open_page(browser, address, width=PHONE).page


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_the_page_opens_without_an_error_and_asks_for_nothing_but_itself(
    browser: Browser, address: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    opened = open_page(browser, address, width=width, scheme=scheme)
    opened.page.mouse.wheel(0, 10_000)
    opened.page.wait_for_load_state("networkidle")
    assert opened.errors == []
    assert opened.requests == [address]
    opened.page.close()


def test_every_chart_is_drawn_with_its_lines_and_a_size(desktop: Page, phone: Page) -> None:
    for page, least_width in ((desktop, 450), (phone, 350)):
        for chart, num_lines in zip(CHARTS, (3, 6, 6, 1, 1), strict=True):
            assert page.locator(f"#{chart} .trace path.js-line").count() == num_lines, chart
            box = page.locator(f"#{chart} .main-svg").first.bounding_box()
            assert box
            assert box["width"] > least_width
            assert box["height"] > 150


def test_a_phone_never_scrolls_sideways_and_wide_tables_do_in_their_own_box(phone: Page) -> None:
    assert phone.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    wider = phone.locator(".scroll").evaluate_all("boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length")
    assert wider == 3


def test_light_and_dark_are_the_readers_choice_and_the_charts_follow(browser: Browser, address: str) -> None:
    page = open_page(browser, address).page
    tick = page.locator("#loss .ytick text").first
    assert luminance(page.evaluate(BACKGROUND)) > 0.9
    expect(tick).to_have_css("fill", SOFT_INK["light"])
    page.emulate_media(color_scheme="dark")
    expect(tick).to_have_css("fill", SOFT_INK["dark"])
    assert luminance(page.evaluate(BACKGROUND)) < 0.15
    page.close()


def test_dark_paper_is_not_printed(browser: Browser, address: str) -> None:
    page = open_page(browser, address, scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("#loss .ytick text").first).to_have_css("fill", SOFT_INK["light"])
    assert luminance(page.evaluate("getComputedStyle(document.querySelector('h1')).color")) < 0.2
    page.close()


def test_a_name_that_looks_like_html_is_shown_as_text_everywhere(desktop: Page) -> None:
    assert desktop.locator("b").count() == 0
    assert desktop.locator(".headline").inner_text().count(HOSTILE) == 1
    assert desktop.locator(".model").inner_text() == f"a model {HOSTILE}"
    assert desktop.locator("tbody th", has_text=HOSTILE).count() == 2
    assert desktop.locator(".reason", has_text=HOSTILE).count() == 1
    desktop.locator("#loss .nsewdrag").hover()
    expect(desktop.locator("#loss .hoverlayer")).to_contain_text(HOSTILE)


def test_the_legend_hides_and_shows_a_source_and_says_so(browser: Browser, address: str) -> None:
    page = open_page(browser, address).page
    button = page.locator("button[data-chart=loss]", has_text="spec").first
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator("#loss .trace path.js-line").count() == 4
    page.emulate_media(color_scheme="dark")
    assert page.locator("#loss .trace path.js-line").count() == 4
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("#loss .trace path.js-line").count() == 6
    page.close()


def test_every_chart_has_words_for_those_who_cannot_see_it_and_can_be_focused(desktop: Page) -> None:
    for chart in CHARTS:
        figure = desktop.get_by_role("img", name=re.compile("Line chart")).and_(desktop.locator(f"#{chart}"))
        assert figure.get_attribute("tabindex") == "0"
    assert desktop.get_by_role("main").count() == desktop.get_by_role("banner").count() == desktop.get_by_role("contentinfo").count() == 1
    assert desktop.get_by_role("heading", level=1).inner_text() == "tiny"


def test_the_configuration_is_there_once_it_is_unfolded(desktop: Page) -> None:
    text = desktop.locator("details pre")
    assert not text.is_visible()
    desktop.locator("summary").click()
    assert text.is_visible()
    assert "sequence_length: 32" in text.inner_text()
