"""The board as a reader has it, in a Chromium and from disk: opened, ranked, sorted, filtered, weighed anew."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.record import Record
from harness.report.formats import FORMATS
from harness.report.text import ranks
from harness.score import sigmoid
from harness.stats import times_less
from tests.builders import make_data, make_record, make_result
from tests.page.conftest import Open
from tests.page.making import board_of, cells, data_of, make_batches, make_entries, write_page

pytestmark = pytest.mark.xdist_group("browser")
_COLUMNS = (
    *("rank", "name", "score", "f1", "ratio", "p50", "p90", "p95"),
    *("parameters", "macs", "size", "format", "isolation", "date"),
)


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
    assert cells(board_page, 0)[0] == "1"
    assert board_page.inner_text(".board:not([hidden]) .ranked tr[data-i] .wide small").count("–") == 1
    board_page.click("#reset")
    assert cells(board_page) == before
    assert cells(board_page, 0) == [rank for rank in ranks(board.rows) if rank != "-"]


def test_under_the_rules_own_weights_the_page_finds_the_ranks_of_the_board(
    board_page: Any, records: list[Record]
) -> None:
    script = """() => {
        const ranked = boardNow().entries.filter((one) => one.rank !== undefined);
        return [placesOf(ranked, boardNow(), weights()), ranked.map((one) => errorOf(one, boardNow(), weights()))];
    }"""
    places, errors = board_page.evaluate(script)
    rows = [row for row in board_of(records).rows if row.rank is not None]
    assert places == [row.rank for row in rows]
    assert len(set(places)) < len(places)
    assert errors == pytest.approx([row.score_error for row in rows], rel=1e-3)


def test_what_a_rerun_could_swap_under_other_weights_shares_a_rank(open_page: Open, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    logs = [rng.normal(center, 0.05, 5).tolist() for center in (-1.0, -0.99, -0.5, -0.49)]
    entries = [make_record(f"entry{i}", result=make_result(its, 0.85 + 0.03 * (i % 2))) for i, its in enumerate(logs)]
    page = open_page(write_page(tmp_path, [*entries, make_record("once", result=make_result([-0.7], 0.85))]))
    page.locator("#wt").fill("2")
    page.locator("#wf").fill("0")
    page.locator("#k").fill("0")
    shown = dict(zip(cells(page, 1), cells(page, 0), strict=True))
    values = np.array([entry.result.time_ratio.value * 2 for entry in entries if entry.result is not None])
    errors = np.array([2 * r.time_ratio.value * (r.log_error or 0) for r in (e.result for e in entries) if r])
    _, ahead = times_less(values, errors, np.full(4, 4))
    assert ahead.tolist() == [0, 0, 2, 2]
    assert shown == {"entry0": "1=", "entry1": "1=", "once": "1=", "entry2": "3=", "entry3": "3="}


# --- batches


def test_a_board_of_batches_has_throughput_and_no_latencies(open_page: Open, tmp_path: Path) -> None:
    path = write_page(tmp_path, [*make_batches(3), *make_entries(3)])
    first, last = data_of(path.read_text())["boards"]
    page = open_page(path, f"#board={first['id']}")
    assert cells(page, 1) == ["batch4", "batch2", "batch1"]
    heads = page.locator(".board:not([hidden]) .ranked thead th").all_inner_texts()
    assert heads[5:7] == ["crops/s", "a request"]
    assert not set(heads) & {"p50 ms", "p90 ms", "p95 ms", "p99 ms"}
    row = page.locator(".board:not([hidden]) .ranked tr[data-i]").first
    assert row.locator("td").nth(4).inner_text() == "1000"
    assert row.locator("td").nth(5).inner_text() == "4"
    assert page.locator(".board:not([hidden]) .ref").last.locator("td").nth(4).inner_text() == "200"
    page.click(".board:not([hidden]) .ranked th[data-key=speed] button")
    assert cells(page, 1)[0] == "batch4"
    assert "speed" in page.eval_on_selector_all("#sortby option", "all => all.map((one) => one.value)")
    page.evaluate("(board) => change({ ...DEFAULTS, board })", last["id"])
    assert "p50" in page.eval_on_selector_all("#sortby option", "all => all.map((one) => one.value)")
    assert "p50 ms" in page.locator(".board:not([hidden]) .ranked thead th").all_inner_texts()


# --- many boards, long names, long tables


def test_many_boards_are_a_list_to_choose_from(open_page: Open, tmp_path: Path) -> None:
    path = write_page(tmp_path, [make_record(data=make_data(f"set{number}")) for number in range(9)])
    page = open_page(path, width=390)
    assert page.locator("nav a").count() == 0
    page.select_option("#boards", index=5)
    assert page.inner_text(".board:not([hidden]) h2") == "set5: stream"
    page.go_back()
    assert page.inner_text(".board:not([hidden]) h2") == "set0: stream"
    assert page.input_value("#boards") == page.evaluate("view.boards[0].id")
    assert open_page(path, script=False).locator("nav a").count() == 9


@pytest.mark.parametrize("width", [390, 1280])
def test_a_long_name_takes_three_lines_and_breaks_at_its_parts(open_page: Open, tmp_path: Path, width: int) -> None:
    entries = [make_record("part_" * 40), make_record("mobilenetv3_large_onnx")]
    page = open_page(write_page(tmp_path, entries), width=width)
    heights = [one.bounding_box()["height"] for one in page.locator("tr[data-i] th a").all()]
    assert max(heights) < 66
    assert sorted(cells(page)) == ["mobilenetv3_large_onnx", "part_" * 40]
    assert page.locator("tr[data-i] th a wbr").count() >= 40


def test_heads_stay_in_sight_and_columns_of_both_tables_stand_below_each_other(board_page: Any) -> None:
    across = "(table) => [...table.tHead.rows[0].cells].map((one) => Math.round(one.getBoundingClientRect().x))"
    tables = [board_page.eval_on_selector(f".board:not([hidden]) .{its}", across) for its in ("ranked", "unranked")]
    assert tables[0] == tables[1]
    board_page.evaluate("scrollTo(0, 1600)")
    box = board_page.locator(".board:not([hidden]) .ranked thead th").first.bounding_box()
    assert abs(box["y"]) <= 1


def test_every_column_and_mark_is_explained(board_page: Any) -> None:
    board_page.click(".about summary")
    said = board_page.locator(".about dt").all_inner_texts()
    heads = board_page.locator(".board:not([hidden]) .ranked thead th").all_inner_texts()
    assert {head.removesuffix(" ↑") for head in heads} | {"target", "wide", "local", "transfer"} <= set(said)
