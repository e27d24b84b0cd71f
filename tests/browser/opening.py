"""How a page is opened from disk in a real browser without a network, and what can be read off it."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
DESKTOP, PHONE = 1280, 390
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
SOFT_INK = {"light": "rgb(77, 86, 97)", "dark": "rgb(169, 178, 188)"}  # of the labels of axes

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and "MIDTRAIN_REQUIRE_BROWSER" not in os.environ,
    reason="no chromium on PATH; install it, or set MIDTRAIN_REQUIRE_BROWSER=1 to make this an error",
)


@dataclass(frozen=True)
class Opened:
    """A page, and all that went wrong or went out since it was opened."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def open_page(
    browser: Browser,
    address: str,
    charts: Sequence[str],
    *,
    width: int = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    has_touch: bool = False,
) -> Opened:
    """Open a page and wait until its charts are drawn."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=has_touch, is_mobile=has_touch)
    opened = Opened(page)
    page.on("console", lambda message: opened.errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(address)
    for chart in charts:
        page.wait_for_selector(f"#{chart} .main-svg")
    return opened


def luminance(color: str) -> float:
    """Of a colour as a browser tells it, roughly: 0 black, 1 white."""
    red, green, blue = (int(part) for part in re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
