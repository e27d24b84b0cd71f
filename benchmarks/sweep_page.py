"""How large the page of a sweep of 200 trials is, and how long it takes to open: `python -m benchmarks.sweep_page`.

Needs chromium on PATH. Each try is a new browser context, so nothing is cached; the time is from the navigation to the second frame after
the last chart has been drawn, as a reader would see it. In turn with it, a page of nothing but plotly is opened: it cannot take less. What
a reader does next is timed with the table of trials in sight, until the page is laid out again.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks import machine
from orchestrator.report.frame import PLOTLY
from orchestrator.report.sweep.page import render_sweep_page
from tests.support.sweep_records import large_sweep

DRAWN = "[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('.scatterlayer .trace'))"
TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"


def main() -> None:
    """Write the page, open it some times, print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=5)
    tries = parser.parse_args().tries
    records = large_sweep()
    started = time.perf_counter()
    page = render_sweep_page(records)
    rendered = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path, bare = Path(folder) / "sweep.html", Path(folder) / "plotly.html"
        path.write_text(page, encoding="utf-8")
        bare.write_text(f"<!doctype html><script>{PLOTLY.read_text(encoding='utf-8')}</script>", encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        _open_seconds(browser, path.as_uri())  # the browser's own start is not the page's
        pairs = [(_open_seconds(browser, path.as_uri()), _open_seconds(browser, bare.as_uri())) for _ in range(tries)]
        used = _use_milliseconds(browser, path.as_uri())
        browser.close()
    result = {
        "trials": len(records.trials),
        "megabytes": round(len(page.encode()) / 1e6, 3),
        "render_seconds": round(rendered, 3),
        "open_seconds": [round(seconds, 3) for seconds, _ in pairs],
        "open_seconds_median": round(statistics.median(seconds for seconds, _ in pairs), 3),
        "plotly_alone_seconds_median": round(statistics.median(seconds for _, seconds in pairs), 3),
        "milliseconds": used,
        "machine": machine.facts(),
    }
    print(json.dumps(result, indent=2))


def _open_seconds(browser: Browser, address: str) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(address)
    assert page.evaluate(DRAWN), "a chart was not drawn when the page had loaded"
    seconds = float(page.evaluate(TWO_FRAMES)) / 1000
    context.close()
    return seconds


def _use_milliseconds(browser: Browser, address: str) -> dict[str, float]:
    """What the reader's next steps take, once all of the page is laid out: to filter the table, to sort it, to show a trial's curves."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.wait_for_selector(".late", state="detached")
    page.locator("#trials").scroll_into_view_if_needed()
    page.evaluate(TWO_FRAMES)
    steps = {
        "filter": "const find = document.getElementById('trials-find'); find.value = 'failed'; find.dispatchEvent(new Event('input'))",
        "sort": "document.querySelectorAll('#trials .sort')[7].click()",
        "show curves": "document.querySelectorAll('#trials .show:not(:disabled)')[20].click()",
    }
    timed = "() => {{ const start = performance.now(); {}; document.body.offsetHeight; return performance.now() - start; }}"
    return {name: round(float(page.evaluate(timed.format(step))), 1) for name, step in steps.items()}


if __name__ == "__main__":
    main()
