"""The picture, an entry's own view, hostile names, a page that is watched, and what axe says, in a Chromium."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli.watching import Served, server_of
from harness.record import Record
from harness.report.page.html import page as page_of
from harness.report.page.picture import named
from harness.report.page.view import view
from harness.report.pareto import curves, domains, left_out, near, points_of
from harness.report.profiled import with_profiles
from harness.report.rank import p_better
from harness.report.verdict import verdict
from harness.score import ScoreRule
from tests.builders import make_data, make_failed, make_record
from tests.page import making
from tests.page.conftest import Open
from tests.page.making import RULES, board_of, cells, data_of
from tests.report.test_formats import EVIL, evil_boards

pytestmark = pytest.mark.xdist_group("browser")


# --- the picture, by hand and by keyboard


def test_arrow_keys_name_entries_and_enter_opens_one(board_page: Any) -> None:
    board_page.focus("#pareto")
    board_page.keyboard.press("ArrowRight")
    said = board_page.inner_text("#said")
    name = said.split(",")[0]
    assert name.startswith("entry")
    assert "time ratio" in said
    assert board_page.inner_text("tr.on th a") == name
    board_page.keyboard.press("ArrowRight")
    assert not board_page.inner_text("#said").startswith(name)
    board_page.keyboard.press("Enter")
    assert board_page.inner_text("#entry h2") == board_page.inner_text("#said").split(",")[0]
    board_page.keyboard.press("Shift+Tab")
    board_page.keyboard.press("Enter")
    assert board_page.locator("#entry").is_hidden()


def test_a_click_on_a_point_selects_its_row_and_hovering_names_it(board_page: Any) -> None:
    box = board_page.locator("#pareto svg .mark-symbol path[transform]").first.bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    board_page.mouse.move(*at)
    name = board_page.inner_text("#tip").split("\n")[0]
    assert name.startswith("entry")
    board_page.mouse.click(*at, delay=80)  # as a hand does
    assert board_page.inner_text("tr.on th a") == name


def test_the_picture_is_against_parameters_or_macs_too(board_page: Any) -> None:
    for axis in ("parameters", "macs"):
        board_page.select_option("#axis", axis)
        board_page.wait_for_function(f"pareto.view !== null && pareto.drawn.includes('{axis}')")
        assert axis in board_page.evaluate("location.hash")
        xs, ys = (board_page.evaluate(f"pareto.values.front.map((one) => one.{name})") for name in "xy")
        assert xs == sorted(xs)
        assert ys == sorted(ys)
        assert board_page.evaluate("pareto.values.curves") == []


def test_a_board_whose_records_know_no_multiply_adds_shows_those_of_profiles(open_page: Open, tmp_path: Path) -> None:
    from harness.profile import Published

    bare = [make_record(f"entry{number}", created_utc=f"2026-11-2{number}T08:00:00Z") for number in range(3)]
    kept = [
        Published(
            digest=one.submission.digest,
            name="",
            parameters=10**5,
            macs=10**6 * number,
            size=None,
            weight_bytes=1,
            counted="",
        )
        for number, one in enumerate(bare[1:], 1)
    ]
    boards = with_profiles(making.made_boards(bare), {one.digest: one for one in kept})
    path = tmp_path / "index.html"
    path.write_text(page_of(view(boards, bare, RULES), making.library()), encoding="utf-8")
    page = open_page(path)
    page.select_option("#axis", "macs")
    page.wait_for_function("pareto.view !== null && pareto.drawn.includes('macs')")
    assert sorted(page.evaluate("pareto.values.points.map((one) => one.x)")) == [10**6, 2 * 10**6]
    heads = page.locator(".board:not([hidden]) .ranked thead th").all_inner_texts()
    assert {"params", "MACs"} <= {head.strip() for head in heads}


def test_a_column_sorts_by_keyboard(board_page: Any) -> None:
    board_page.focus(".board:not([hidden]) .ranked th[data-key=f1] button")
    board_page.keyboard.press("Enter")
    assert board_page.get_attribute(".board:not([hidden]) .ranked th[data-key=f1]", "aria-sort") == "descending"


# --- an entry


def test_an_entry_has_its_run_its_classes_and_its_machine(board_page: Any) -> None:
    board_page.locator(".board:not([hidden]) .ranked tr[data-i] th a").first.click()
    board_page.wait_for_selector("#entry .card .plot svg")
    heads = board_page.locator("#entry h3").all_inner_texts()
    assert heads == [
        *(
            "Verdict on the newest run",
            "Against another entry",
            "Latency",
            "Answered within",
            "Along the run",
            "Passes",
            "Confusion matrix",
            "Classes",
        ),
        *("History", "Machine and versions"),
    ]
    assert board_page.locator("#entry .plot svg").count() == 4
    board_page.click(".back")
    assert board_page.locator("#entry").is_hidden()


def test_an_entry_shows_its_verdict_and_what_it_took(open_page: Open, tmp_path: Path) -> None:
    broken = make_failed("broken", message="no <b>weights</b>", data=make_data("batches"), scenario="batch")
    records = [*making.make_batches(2), broken]
    path = making.write_page(tmp_path, records)
    (board,) = data_of(path.read_text())["boards"]
    page = open_page(path, f"#entry={board['entries'][0]['id']}")
    (made,) = making.made_boards(records)
    (record,) = [one for one in records if one.digest in made.rows[0].records]
    assert page.text_content("#entry .verdict") == verdict(record, RULES, made)
    tiles = page.locator("#entry .tile").all_inner_texts()
    (memory,) = [text.split("\n") for text in tiles if text.startswith("memory")]
    assert memory[1:] == ["202 MiB", "at most; baseline 300 MiB"]
    (speed,) = [text.split("\n") for text in tiles if text.startswith("crops/s")]
    assert speed[1:] == ["500", "2 a request; baseline 200, 32 a request"]
    assert not [text for text in tiles if text.startswith("p50")]
    page.evaluate("(id) => change({ entry: id })", board["entries"][-1]["id"])
    assert page.text_content("#entry .verdict") == "submission: raised: no <b>weights</b>"


def test_p_better_is_that_of_the_command_line(board_page: Any, records: list[Record]) -> None:
    rows = [row for row in board_of(records).rows if row.rank is not None]
    script = "([a, b]) => compared(...[a, b].map((name) => boardNow().entries.find((one) => one.name === name)))[0][1]"
    for other in rows[1:4]:
        said = board_page.evaluate(script, [rows[0].submission.name, other.submission.name])
        assert float(said) == pytest.approx(p_better(rows[0], other), abs=0.0006)


def test_students_t_is_right(board_page: Any) -> None:
    from scipy.special import stdtr, stdtrit

    for degrees in (1, 2, 4.5, 30, 400):
        assert board_page.evaluate(f"tBelow(1.7, {degrees})") == pytest.approx(float(stdtr(degrees, 1.7)), abs=1e-9)
        assert board_page.evaluate(f"tCritical({degrees})") == pytest.approx(float(stdtrit(degrees, 0.975)), rel=1e-6)


def test_the_picture_is_that_of_the_files(board_page: Any, records: list[Record]) -> None:
    board = board_of(records)
    lines = [{"name": line.name, "x": line.time_ratio, "y": line.f1} for line in board.references]
    points, far = near(points_of(board), lines)
    assert len(far) == 2
    shown = board_page.evaluate("pareto.values")
    assert {p["name"] for p in shown["front"] if "name" in p} <= {p["name"] for p in points if p["look"] == "front"}
    assert {(p["name"], p["look"]) for p in shown["points"]} == {(p["name"], p["look"]) for p in points}
    rule = ScoreRule()
    expected = curves((rule.time_weight, rule.f1_slope), board.baseline_f1, domains([*points, *lines]))
    assert len(shown["curves"]) == pytest.approx(len(expected), abs=3)
    assert shown["domains"] == [pytest.approx(ends, rel=1e-4) for ends in domains([*points, *lines])]
    assert [row["name"] for row in shown["names"]] == [row["name"] for row in named(points, lines, expected)]
    assert board_page.inner_text("#far") == left_out(far) == "far off and not shown: entry0009, entry0029"


_NAMES = """[...document.querySelectorAll('#pareto svg text')]
    .filter((one) => one.textContent.startsWith('entry') && one.getAttribute('opacity') !== '0')
    .map((one) => one.getBoundingClientRect().toJSON())"""


@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_the_picture_are_whole_and_hide_neither_each_other_nor_a_point(
    open_page: Open, tmp_path: Path, width: int
) -> None:
    page = open_page(making.write_page(tmp_path, making.make_entries(18)), width=width)
    names = page.evaluate(_NAMES)
    assert len(names) >= (6 if width == 390 else 10)
    place = page.locator("#pareto").bounding_box()
    points = [one.bounding_box() for one in page.locator("#pareto svg .mark-symbol path[transform]").all()]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in points]
    for i, one in enumerate(names):
        assert place["x"] <= one["left"] < one["right"] <= place["x"] + place["width"]
        for other in names[:i]:
            apart = one["left"] >= other["right"] or other["left"] >= one["right"]
            assert apart or abs(one["top"] - other["top"]) >= 9
        for x, y in middles:
            assert not (one["left"] < x < one["right"] and one["top"] + 2 < y < one["bottom"] - 2)


def test_the_picture_shows_the_entries_that_the_table_shows(board_page: Any) -> None:
    every = board_page.evaluate("pareto.values.points.length")
    board_page.select_option("#show", "target")
    board_page.wait_for_function("pareto.view !== null")
    chosen = board_page.evaluate("pareto.values.points.length")
    assert 0 < chosen == len(cells(board_page)) < every
    before = board_page.evaluate("pareto.values.domains")
    board_page.fill("#filter", cells(board_page)[0])
    assert board_page.evaluate("pareto.values.points.length") == 1
    assert board_page.evaluate("pareto.values.domains") == before
    board_page.select_option("#show", "failed")
    assert "No entry" in board_page.inner_text("#pareto")


# --- hostile names


def test_hostile_names_do_nothing(open_page: Open, tmp_path: Path) -> None:
    made = view(evil_boards(), [], RULES)
    raw = [name.encode(errors="replace").decode() for name in EVIL]
    entries = [  # as they are, not cleaned: what escapes them is the page itself
        msgspec.structs.replace(
            entry, name=raw[i % len(raw)], authors=raw[-i % len(raw)], description=raw[i % len(raw)]
        )
        for i, entry in enumerate(made.boards[0].entries)
    ]
    board = msgspec.structs.replace(
        made.boards[0], entries=tuple(entries), title=raw[0], baseline=raw[0], machine=raw[2]
    )
    path = tmp_path / "evil.html"
    making.make_page([])
    path.write_text(page_of(msgspec.structs.replace(made, boards=(board,)), making._LIBRARY[0]), encoding="utf-8")
    page = open_page(path)
    assert page.locator("table script, table img, h2 script").count() == 0
    links = page.locator("tr[data-i] th a").all()
    assert len(links) == len(entries)
    for entry in entries[:8]:
        page.evaluate("(id) => change({ entry: id })", entry.id)
        assert page.locator("#entry img, #entry script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


# --- watched


def test_a_page_that_is_watched_takes_a_newer_one_and_keeps_its_address(open_page: Open, records: list[Record]) -> None:
    shown = [Served(making.make_page(records[:10], watched=True).encode(), "0")]
    with server_of(lambda: shown[0], 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = open_page(f"http://127.0.0.1:{server.server_port}/", "#sort=f1")
        assert page.inner_text("#count") == "10 entries"
        page.wait_for_timeout(1500)  # it has asked once
        shown[0] = Served(making.make_page(records[:12], watched=True).encode(), "1")
        page.wait_for_function("document.querySelector('#count')?.textContent === '12 entries'")
        assert page.evaluate("location.hash") == "#sort=f1"
        page.close()
        server.shutdown()


# --- for everybody


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("entry", [False, True], ids=["board", "entry"])
def test_axe_finds_nothing_serious(open_page: Open, path: Path, width: int, scheme: str, entry: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    board = data_of(path.read_text())["boards"][-1]
    fragment = f"#board={board['id']}" + (f"&entry={board['entries'][0]['id']}" if entry else "")
    page = open_page(path, fragment, width=width, scheme=scheme)
    if entry:
        page.wait_for_selector("#entry .card .plot svg")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
