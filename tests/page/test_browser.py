"""The page as a reader has it: in a Chromium, from disk."""

import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli.watching import Served, server_of
from harness.record import Record
from harness.report.formats import FORMATS
from harness.report.page.html import page as page_of
from harness.report.page.view import view
from harness.report.rank import p_better
from harness.report.text import ranks
from harness.score import ScoreRule, sigmoid
from tests.builders import make_data, make_record
from tests.page import making
from tests.page.conftest import Open
from tests.page.making import RULES, data_of, made_boards, make_entries, write_page
from tests.report.test_formats import EVIL, evil_boards

pytestmark = pytest.mark.xdist_group("browser")
_COLUMNS = (
    *("rank", "name", "score", "f1", "ratio", "p50", "p90", "p95"),
    *("parameters", "macs", "size", "format", "isolation", "date"),
)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [*make_entries(40), make_record("elsewhere", data=make_data("other"))]


@pytest.fixture(scope="module")
def path(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page"), records)


def cells(page: Any, column: int = 1, table: str = ".board:not([hidden]) .ranked") -> list[str]:
    """Texts of the visible rows of entries: the rank, the name (1), the score ..."""
    script = """([table, column]) => [...document.querySelectorAll(`${table} tr[data-i]`)]
        .filter((row) => row.offsetParent).map((row) => row.cells[column].querySelector('b,a').textContent)"""
    found: list[str] = page.evaluate(script, [table, column])
    return found


def board_of(records: list[Record], data: str = "trash") -> Any:
    return next(board for board in made_boards(records) if board.data == data)


# --- opening


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_from_disk_and_asks_for_nothing(open_page: Open, path: Path, scheme: str, width: int) -> None:
    page = open_page(path, width=width, scheme=scheme)
    assert page.asked == [f"file://{path}"]
    assert page.locator("#pareto svg").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(245, 246, 248)"
    assert dark == (scheme == "dark")


def test_the_theme_is_the_readers_to_choose(open_page: Open, path: Path) -> None:
    page = open_page(path)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("records", [[], make_entries(1)], ids=["none", "one"])
def test_a_page_of_no_records_and_of_one(open_page: Open, tmp_path: Path, records: list[Record]) -> None:
    page = open_page(write_page(tmp_path, records))
    assert len(page.query_selector_all("tr[data-i]")) == len(records)


def test_without_scripts_it_is_a_ranked_table(open_page: Open, path: Path, records: list[Record]) -> None:
    page = open_page(path, script=False)
    board = board_of(records)
    shown = [
        (rank.inner_text(), name.inner_text())
        for rank, name in zip(
            page.locator(".ranked").last.locator("tr[data-i] .rank b").all(),
            page.locator(".ranked").last.locator("tr[data-i] th a").all(),
            strict=True,
        )
    ]
    expected = zip(ranks(board.rows), board.rows, strict=True)
    assert shown == [(rank, row.submission.name) for rank, row in expected if row.rank is not None]
    assert page.locator(".unranked").first.is_visible()
    assert page.locator("#theme").is_hidden()


# --- ranks


def test_ranks_are_those_of_the_command_line_and_of_json(open_page: Open, path: Path, records: list[Record]) -> None:
    page = open_page(path, f"#board={data_of(path.read_text())['boards'][-1]['id']}")
    shown = dict(zip(cells(page, 1), cells(page, 0), strict=True))
    text = FORMATS["text"]((board_of(records),)).splitlines()
    assert shown == {line.split()[2]: line.split()[0] for line in text if line[:1].isdigit()}
    rows = json.loads(FORMATS["json"]((board_of(records),)))[0]["rows"]
    assert [int(rank.rstrip("=")) for rank in shown.values()] == [row["rank"] for row in rows if row["rank"]]
    assert list(shown) == [row["submission"]["name"] for row in rows if row["rank"]]


# --- sorting, filtering


@pytest.fixture
def board_page(open_page: Open, path: Path) -> Any:
    return open_page(path, f"#board={data_of(path.read_text())['boards'][-1]['id']}")


@pytest.mark.parametrize("key", _COLUMNS)
def test_every_column_sorts_both_ways(board_page: Any, key: str) -> None:
    head = board_page.locator(f".board:not([hidden]) .ranked th[data-key={key}] button")
    order = f"""() => {{
        const table = document.querySelector('.board:not([hidden]) .ranked');
        const {{ found }} = rowsOf(table, boardNow());
        const rows = [...table.querySelectorAll('tr[data-i]')];
        return rows.map((row) => COLUMNS['{key}'](found.find((one) => one.row === row).of));
    }}"""
    directions = set()
    for _ in range(2):
        head.click()
        seen = board_page.evaluate(order)
        up = board_page.get_attribute(f".board:not([hidden]) .ranked th[data-key={key}]", "aria-sort") == "ascending"
        assert seen == sorted(seen, reverse=not up)
        directions.add(up)
    assert directions == {True, False}


def test_the_filter_finds_names_authors_and_reasons(board_page: Any) -> None:
    board_page.fill("#filter", "team 3")
    assert 0 < len(cells(board_page)) < 34
    board_page.fill("#filter", "entry0009")
    assert cells(board_page) == []
    assert cells(board_page, 1, ".board:not([hidden]) .unranked") == ["entry0009"]
    assert board_page.inner_text("#count") == "1 of 40 entries"
    board_page.fill("#filter", "not eligible")
    assert len(cells(board_page, 1, ".board:not([hidden]) .unranked")) >= 2
    board_page.fill("#filter", "")
    assert board_page.inner_text("#count") == "40 entries"


@pytest.mark.parametrize("wanted", ["ranked", "eligible", "target", "ineligible", "unranked", "flagged", "failed"])
def test_entries_are_shown_by_what_they_are(board_page: Any, records: list[Record], wanted: str) -> None:
    board_page.select_option("#show", wanted)
    rows = board_of(records).rows
    count = {
        "ranked": sum(row.rank is not None for row in rows),
        "eligible": sum(row.eligible for row in rows),
        "target": sum(row.target_met for row in rows),
        "ineligible": sum(row.status == "ok" and not row.eligible for row in rows),
        "unranked": sum(row.status == "ok" and row.rank is None for row in rows),
        "flagged": sum(bool(row.flags) for row in rows),
        "failed": sum(row.status != "ok" for row in rows),
    }[wanted]
    assert board_page.inner_text("#count") == f"{count} of 40 entries"


def test_the_address_holds_what_is_seen(board_page: Any, open_page: Open, path: Path) -> None:
    board_page.fill("#filter", "team")
    board_page.click(".board:not([hidden]) .ranked th[data-key=p50] button")
    board_page.locator("#wt").fill("1")
    fragment = board_page.evaluate("location.hash")
    again = open_page(path, fragment)
    assert cells(again) == cells(board_page)
    assert again.input_value("#filter") == "team"
    assert again.input_value("#wt") == "1"


def test_a_board_has_a_tab(open_page: Open, path: Path) -> None:
    page = open_page(path)
    page.locator("nav a").first.click()
    assert page.inner_text(".board:not([hidden]) h2") == "other: stream"
    page.locator("nav a").last.click()
    assert page.inner_text(".board:not([hidden]) h2") == "trash: stream"
    page.go_back()
    assert page.inner_text(".board:not([hidden]) h2") == "other: stream"


@pytest.mark.parametrize(
    "fragment", ["#board=none", "#sort=__proto__&show=x&wt=NaN&x=constructor", "#entry=none", "#%"]
)
def test_an_address_that_means_nothing_shows_the_board(open_page: Open, path: Path, fragment: str) -> None:
    assert open_page(path, fragment).locator(".board:not([hidden]) tr[data-i]").count() > 0


def test_a_long_table_follows_its_reader(open_page: Open, tmp_path: Path) -> None:
    page = open_page(write_page(tmp_path, make_entries(300)))
    rows = page.locator(".ranked tr[data-i]")
    everything = page.evaluate("tables.get(document.querySelector('.ranked')).visible.length")
    assert rows.count() < 60
    assert everything > 200
    assert f"of {everything} rows" in page.locator(".more").first.inner_text()
    last = page.evaluate("boardNow().entries.filter((one) => one.rank !== undefined).at(-1)")
    page.evaluate("(id) => select(id, true)", last["id"])  # as a click on its point does
    assert page.inner_text("tr.on th a") == last["name"]
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".more").first.is_hidden()


# --- what if


def test_sliders_rank_anew_and_reset(board_page: Any, records: list[Record]) -> None:
    before = cells(board_page)
    board_page.locator("#wt").fill("1.5")
    board_page.locator("#k").fill("40")
    board = board_of(records)

    def score(row: Any) -> float:
        return float(1.5 * row.time_ratio.value + sigmoid(40 * (board.baseline_f1 - row.f1.value)))

    ranked = sorted((row for row in board.rows if row.rank is not None), key=score)
    assert cells(board_page) == [row.submission.name for row in ranked] != before
    assert [float(text) for text in cells(board_page, 2)] == pytest.approx([score(row) for row in ranked], abs=1.1e-4)
    assert cells(board_page, 0) == [str(place) for place in range(1, len(ranked) + 1)]
    board_page.click("#reset")
    assert cells(board_page) == before
    assert cells(board_page, 0) == [rank for rank in ranks(board.rows) if rank != "-"]


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
        *("Latency", "Answered within", "Along the run", "Passes", "Confusion matrix", "Classes"),
        *("Against another entry", "History", "Machine and versions"),
    ]
    assert board_page.locator("#entry .plot svg").count() == 4
    board_page.click(".back")
    assert board_page.locator("#entry").is_hidden()


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
    from harness.report.pareto import curves, domains, points_of

    board = board_of(records)
    points = points_of(board)
    lines = [{"x": line.time_ratio, "y": line.f1} for line in board.references]
    shown = board_page.evaluate("pareto.values")
    assert {p["name"] for p in shown["front"] if "name" in p} <= {p["name"] for p in points if p["look"] == "front"}
    assert {(p["name"], p["look"]) for p in shown["points"]} == {(p["name"], p["look"]) for p in points}
    rule = ScoreRule()
    expected = curves((rule.time_weight, rule.f1_slope), board.baseline_f1, domains([*points, *lines]))
    assert len(shown["curves"]) == pytest.approx(len(expected), abs=3)


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
