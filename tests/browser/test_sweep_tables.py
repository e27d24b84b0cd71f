"""The tables of a sweep's page in a real browser: sorted, filtered, with buttons that show curves and copy commands."""

from playwright.sync_api import Page, expect

from tests.browser.opening import needs_browser
from tests.browser.sweeps import shown
from tests.support.typed import plain

pytestmark = needs_browser


def ids(page: Page) -> list[str]:
    """The trials in the table, in its order, without those that are filtered out."""
    return page.locator("#trials tbody tr:not([hidden]) th").all_text_contents()


def test_a_column_is_sorted_up_then_down_and_empty_cells_come_last(small: Page) -> None:
    header = small.locator("#trials th", has_text="spec share")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert ids(small)[:2] == ["t002", "t003"]
    assert ids(small)[-2:] == ["t000", "t001"]
    header.get_by_role("button").focus()
    small.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert ids(small)[:2] == ["t012", "t013"]
    assert ids(small)[-2:] == ["t000", "t001"]
    small.locator("#trials th", has_text="uptake").get_by_role("button").click()
    assert header.get_attribute("aria-sort") is None
    assert ids(small)[0] == "t000"
    assert ids(small)[-1] == "t013"


def test_the_table_of_settings_is_sorted_too(large: Page) -> None:
    table = large.locator("table[aria-labelledby=settings-caption]")
    for _ in range(2):
        table.get_by_role("button", name="uptake").click()
    assert plain(table.locator("tbody tr").first.inner_text()).split()[:2] == ["35", "%"]
    assert table.locator("tbody tr").count() == 99


def test_the_table_of_trials_is_filtered_by_any_cell_and_by_state(large: Page) -> None:
    large.locator("#trials-find").fill("not FINITE")
    assert ids(large) == ["t017", "t044"]
    expect(large.locator("#trials-count")).to_have_text("2 of 200 trials")
    large.locator("#trials-find").fill("")
    large.locator("#trials-state").select_option("pruned")
    assert ids(large) == ["t090", "t091"]
    large.locator("#trials-state").select_option("")
    large.locator("#trials-find").fill("3e-05")
    assert len(ids(large)) == 100


def test_a_trials_button_shows_its_curves_and_tells_whether_they_are_shown(small: Page) -> None:
    button = small.locator("#trials tbody tr", has_text="t006").get_by_role("button", name="curves")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert shown(small)[-1] == "t006"
    small.locator("#chips button").last.click()
    assert button.get_attribute("aria-pressed") == "false"


def test_a_command_is_copied_and_shown_from_a_page_on_disk(small: Page) -> None:
    row = small.locator("#trials tbody tr", has_text="t004")
    row.get_by_role("button", name="copy").click()
    expect(small.locator("#trials-status")).to_have_text("The command is copied.")
    small.locator("#trials-find").focus()
    small.keyboard.press("Control+V")
    command = "midtrain train experiment=ratios run.name=t004 mixture.spec_share=0.05 seed=1"
    expect(small.locator("#trials-find")).to_have_value(command)
    assert ids(small) == ["t004"]
    row.locator("summary").click()
    expect(row.locator("code")).to_be_visible()
    assert row.locator("code").inner_text() == command


def test_a_long_table_is_laid_out_whether_or_not_it_is_scrolled_to(large: Page) -> None:
    expect(large.locator(".scroll.long")).to_have_count(2)
    expect(large.locator(".late")).to_have_count(0)
    box = large.locator("#trials tbody tr").nth(3).bounding_box()
    assert box
    assert box["height"] > 20
