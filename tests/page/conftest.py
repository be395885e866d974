"""A real Chromium, the system's, driven by Playwright, and pages for it. Without one these tests skip."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.record import Record
from tests.builders import make_data, make_record
from tests.page.making import data_of, make_entries, write_page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, of $HARNESS_CHROMIUM or of the system."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("HARNESS_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: on Debian apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # its own sandbox does not run as root
        started = playwright.chromium.launch(executable_path=found, args=flags)
        yield started
        started.close()


class Tabs:
    """Pages to use again: in a fresh one Chromium takes three times as long to draw."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.free: dict[tuple[int, str], list[Any]] = {}

    def take(self, width: int, scheme: str, script: bool) -> Any:
        """An empty page. Its lists `asked` and `wrong` fill with its requests and with what goes wrong in it."""
        there = self.free.get((width, scheme), [])
        if script and there:
            return there.pop()
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.asked, page.wrong = [], []
        page.on("console", lambda said: page.wrong.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (page.wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        page.again = (width, scheme) if script else None
        return page

    def give_back(self, page: Any) -> list[str]:
        """What went wrong in it; a page where nothing did is emptied for the next test."""
        if page.again is None or page.wrong or page.is_closed():
            page.context.close()
            return list(page.wrong)
        page.evaluate("localStorage.clear()")
        page.emulate_media(media="null")
        page.goto("about:blank")
        page.asked.clear()
        self.free.setdefault(page.again, []).append(page)
        return []


@pytest.fixture(scope="session")
def tabs(browser: Any) -> Tabs:
    return Tabs(browser)


@pytest.fixture
def open_page(tabs: Tabs) -> Iterator[Open]:
    """open_page(path, fragment, width=..., scheme=..., script=...): the page; at the end nothing went wrong in it."""
    taken = []

    def opened(
        path: Path | str, fragment: str = "", width: int = 1280, scheme: str = "light", script: bool = True
    ) -> Any:
        page = tabs.take(width, scheme, script)
        taken.append(page)
        page.goto(f"file://{path}{fragment}" if isinstance(path, Path) else f"{path}{fragment}")
        if script:
            page.wait_for_function("!document.querySelector('#pareto') || !pareto || pareto.view !== null")
        return page

    yield opened
    assert [wrong for page in taken for wrong in tabs.give_back(page)] == []


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [*make_entries(40), make_record("elsewhere", data=make_data("other"))]


@pytest.fixture(scope="module")
def path(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page"), records)


@pytest.fixture
def board_page(open_page: Open, path: Path) -> Any:
    return open_page(path, f"#board={data_of(path.read_text())['boards'][-1]['id']}")
