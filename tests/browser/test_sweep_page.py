"""The page of a sweep in a real browser, opened from disk without a network: what is shown, by pointer, finger and keyboard."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.opening import BACKGROUND, DESKTOP, PHONE, SOFT_INK, Opened, luminance, needs_browser, open_page
from tests.browser.sweeps import CHARTS, LAW, SWEEPS, shown
from tests.support.sweep_records import HOSTILE
from tests.support.typed import plain

pytestmark = needs_browser


def point(page: Page, setting: str) -> Locator:
    """The mark of a setting: that whose text begins with its name."""
    texts = page.evaluate("document.getElementById('frontier').data[4].customdata")
    (number,) = [number for number, text in enumerate(texts) if plain(text).startswith(f"<b>{setting}</b>")]
    return page.locator("#frontier .scatterlayer .trace").nth(4).locator("path.point").nth(number)


def center(mark: Locator) -> tuple[float, float]:
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def press(page: Page) -> None:
    """Press the pointer's button where it is."""
    page.mouse.down()
    page.mouse.up()


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_page_opens_without_an_error_asks_for_nothing_but_itself_and_never_scrolls_sideways(
    browser: Browser, addresses: dict[str, str], name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    charts = CHARTS[1:] if name == "unfinished" else CHARTS
    opened: Opened = open_page(browser, addresses[name], charts, width=width, scheme=scheme, has_touch=width == PHONE)
    opened.page.mouse.wheel(0, 10_000)
    opened.page.wait_for_load_state("networkidle")
    assert opened.errors == []
    assert opened.requests == [addresses[name]]
    assert opened.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    for chart in charts:
        box = opened.page.locator(f"#{chart} .main-svg").first.bounding_box()
        assert box
        assert box["width"] > 340
        assert box["height"] > 150
    opened.page.close()


def test_a_click_shows_the_curves_of_a_setting_and_another_one_hides_them(small: Page) -> None:
    before = shown(small)
    small.mouse.move(*center(point(small, "spec share 5 %")))
    expect(small.locator("#frontier .hoverlayer")).to_contain_text("uptake 7.0")
    press(small)
    expect(small.locator("#frontier-readout")).to_contain_text("Its curves are shown.")
    assert shown(small) == [*before[1:], "t004", "t005"]
    assert small.locator("#curves-heldout .trace path.js-line").count() == 8
    expect(small.locator("#curves-status")).to_contain_text("t002")
    expect(small.locator("#curves-status")).to_contain_text("made room: at most 8 are shown.")
    press(small)
    expect(small.locator("#frontier-readout")).to_contain_text("Its curves are hidden.")
    assert shown(small) == before[1:]


def test_a_tap_is_a_click_and_not_two(browser: Browser, addresses: dict[str, str]) -> None:
    page = open_page(browser, addresses["small"], CHARTS, width=PHONE, has_touch=True).page
    page.touchscreen.tap(*center(point(page, "spec share 5 %")))
    expect(page.locator("#frontier-readout")).to_contain_text("Its curves are shown.")
    assert shown(page)[-2:] == ["t004", "t005"]
    page.close()


def test_arrow_keys_move_between_points_enter_shows_curves_and_a_live_region_reads_them_out(small: Page) -> None:
    readout = small.locator("#frontier-readout[aria-live=polite]")
    small.locator("#frontier").focus()
    for key, said in [
        ("ArrowRight", "spec share 20 %"),
        ("ArrowLeft", "spec share 10 %"),
        ("ArrowUp", "spec share 20 %"),
        ("End", "spec share 50 %"),
        ("ArrowRight", "spec share 50 %"),
        ("Home", "untrained base model"),
        ("ArrowRight", "control"),
        ("ArrowRight", "spec share 2 %"),
        ("ArrowRight", "spec share 5 %"),
    ]:
        small.keyboard.press(key)
        assert plain(readout.inner_text()).startswith(f"{said};"), key
    assert "uptake 7.0 % [6.5, 7.5]; forgetting -0.06 % [-0.15, 0.05]; seeds 1 and 2" in plain(readout.inner_text())
    small.keyboard.press("Enter")
    expect(readout).to_contain_text("Its curves are shown.")
    assert shown(small)[-2:] == ["t004", "t005"]
    small.keyboard.press(" ")
    expect(readout).to_contain_text("Its curves are hidden.")


def test_the_base_model_has_no_curves_and_says_so(small: Page) -> None:
    before = shown(small)
    small.locator("#frontier").focus()
    small.keyboard.press("Home")
    small.keyboard.press("Enter")
    expect(small.locator("#frontier-readout")).to_contain_text("It has no curves.")
    assert shown(small) == before


def test_the_pointer_reads_off_a_setting_with_its_intervals(small: Page) -> None:
    small.mouse.move(*center(point(small, "spec share 20 %")))
    hover = small.locator("#frontier .hoverlayer")
    expect(hover).to_contain_text("14.6")
    for words in ("spec share 20 %", "uptake 14.6 % [14.0, 15.3]", "forgetting 0.7 % [0.6, 0.9]", "seed 2", "2.00 epochs of the spec"):
        assert words in plain(hover.text_content() or "")


def test_a_chip_is_removed_by_keyboard_and_the_next_one_has_the_focus(small: Page) -> None:
    chips = small.locator("#chips button")
    chips.nth(1).focus()
    small.keyboard.press("Enter")
    assert shown(small) == ["t002", "t012", "t013", "t000", "t001", "t009"]
    expect(chips.nth(1)).to_be_focused()
    for _ in range(6):
        chips.first.click()
    expect(small.locator("#curves-heldout .annotation")).to_contain_text("no trial is chosen")


def test_trials_of_a_setting_share_colour_and_mark_and_no_two_lines_are_alike(small: Page) -> None:
    looks = small.evaluate("document.getElementById('curves-heldout').data.map((t) => [t.line.color, t.marker.symbol, t.line.dash])")
    assert len(looks) == len({tuple(look) for look in looks}) == 7
    assert [look[:2] for look in looks[::2]][:3] == [look[:2] for look in looks[1::2]]
    assert len({symbol for _, symbol, _ in looks}) == len({color for color, _, _ in looks}) == 4


def test_another_source_has_its_own_curves_and_a_control_none_of_training_on_the_spec(small: Page) -> None:
    assert small.locator("#curves-losses .trace path.js-line").count() == 5
    small.locator("#curves-source").select_option(label="code")
    assert small.locator("#curves-losses .trace path.js-line").count() == 7


def test_forgetting_of_one_source_has_an_axis_of_its_own_and_no_front(small: Page) -> None:
    lines = small.locator("#frontier .scatterlayer .trace path.js-line")
    assert lines.count() == 2  # the front and the limit
    small.locator("#frontier-source").select_option(label="web")
    expect(small.locator("#frontier .ytitle")).to_have_text("forgetting of web")
    expect(small.locator("#frontier-note")).to_contain_text("The front and the knee are of held-out losses")
    assert lines.count() == 0


def test_the_answers_to_a_probe_have_an_axis_of_their_own_and_are_read_out(small: Page) -> None:
    lines = small.locator("#frontier .scatterlayer .trace path.js-line")
    small.locator("#frontier-gain").select_option(label="probe recall")
    expect(small.locator("#frontier .xtitle")).to_have_text("probe recall: items answered right, change in percentage points")
    expect(small.locator("#frontier-note")).to_contain_text("The front and the knee are of held-out losses")
    assert lines.count() == 1  # the limit, which is of forgetting
    small.locator("#frontier").focus()
    small.keyboard.press("End")
    assert "spec share 50 %; probe recall +33.9 [31.8, 36.2] points;" in plain(small.locator("#frontier-readout").inner_text())


def test_a_second_key_colours_points_and_gives_each_value_a_mark(large: Page) -> None:
    assert large.locator("#frontier-scale .band").count() == 1
    large.locator("#frontier-key").select_option(label="total tokens")
    expect(large.locator("#frontier-scale .glyph")).to_have_count(5)
    symbols = large.evaluate("[...new Set(document.getElementById('frontier').data[4].marker.symbol)]")
    assert set(symbols) == {"x-thin", "diamond", "circle", "square", "triangle-up", "triangle-down", "pentagon"}


def test_light_and_dark_are_the_readers_choice_and_dark_paper_is_not_printed(small: Page) -> None:
    tick = small.locator("#frontier .ytick text").first
    expect(tick).to_have_css("fill", SOFT_INK["light"])
    light = small.evaluate("document.getElementById('frontier').data[4].marker.line.color")
    small.emulate_media(color_scheme="dark")
    expect(tick).to_have_css("fill", SOFT_INK["dark"])
    assert luminance(small.evaluate(BACKGROUND)) < 0.15
    assert small.evaluate("document.getElementById('frontier').data[4].marker.line.color") != light
    small.emulate_media(media="print", color_scheme="dark")
    expect(tick).to_have_css("fill", SOFT_INK["light"])


def test_names_that_look_like_html_are_shown_as_text_everywhere(browser: Browser, addresses: dict[str, str]) -> None:
    page = open_page(browser, addresses["hostile"], CHARTS + LAW).page
    assert page.locator("b").count() == page.locator("#frontier-scale b").count() == 1
    assert page.get_by_role("heading", level=1).inner_text() == f"sweep {HOSTILE}"
    assert page.locator("#frontier-key option").last.inner_text() == HOSTILE
    assert all(HOSTILE in chip for chip in shown(page))
    page.locator("#curves-heldout .nsewdrag").hover()
    expect(page.locator("#curves-heldout .hoverlayer")).to_contain_text(HOSTILE)
    page.locator("#frontier-key").select_option(index=1)
    page.locator("#frontier-gain").select_option(index=1)
    expect(page.locator("#frontier .xtitle")).to_contain_text(f"probe probe {HOSTILE}")
    page.locator("#frontier").focus()
    page.keyboard.press("ArrowRight")
    assert HOSTILE in page.locator("#frontier-readout").inner_text()
    page.close()


def test_every_chart_table_and_control_has_a_name(small: Page) -> None:
    for chart in LAW:
        assert small.get_by_role("img", name=re.compile("Line chart")).and_(small.locator(f"#{chart}")).count() == 1
    assert small.locator("#frontier").get_attribute("tabindex") == "0"
    unnamed = "control => !(control.labels?.length || control.ariaLabel || control.textContent.trim())"
    assert small.locator("select, input, button").evaluate_all(f"controls => controls.filter({unnamed}).length") == 0
    assert (
        small.locator("table").evaluate_all("tables => tables.filter(t => !t.ariaLabel && !t.hasAttribute('aria-labelledby')).length") == 0
    )
