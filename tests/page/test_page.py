"""The page as text: what it holds, how it is escaped, how large it is; the pictures; which files are current."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness import records
from harness.record import Record
from harness.report.clean import columns
from harness.report.colour import coloured
from harness.report.files import MARKER, board_path
from harness.report.formats import FORMATS
from harness.report.page.files import page_files, same_file
from harness.report.page.html import embedded, library, library_of, same_page
from harness.report.page.picture import VERSION, drawn_by, png, same_picture, svg
from harness.report.page.trace import trace
from harness.report.page.view import view
from harness.report.pareto import curves, near, points_of
from harness.report.plot import plot
from harness.score import score
from harness.timed import floor_ns
from tests.builders import make_failed, make_machine, make_package, make_raw, make_record, make_result
from tests.page.making import RULES, data_of, made_boards, make_entries, make_page, make_traces
from tests.report.test_formats import EVIL, evil_boards

RULE = (RULES.score.time_weight, RULES.score.f1_slope)
_REQUEST = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?(?!#|&)|url\(|@import""", re.IGNORECASE)


def without_library(text: str) -> str:
    return re.sub(r'<script type="text/plain" id="library".*?</script>', "", text, flags=re.DOTALL)


# --- the page


def test_a_page_of_a_hundred_records_is_below_2_mb() -> None:
    assert len(make_page(make_entries(100)).encode()) < 2_000_000


def test_a_page_has_one_start_and_the_marker() -> None:
    text = make_page(make_entries(3))
    assert text.startswith(f"{MARKER}\n<!doctype html>")
    assert without_library(text).count("<html") == without_library(text).count("</html>") == 1


def test_a_page_names_no_other_file_and_no_address() -> None:
    text = without_library(make_page(make_entries(3)))
    body = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", text, flags=re.DOTALL)
    assert not [found for found in re.findall(r'(?:src|href)="([^"]*)"', body) if not found.startswith("#")]
    assert not re.search(r"url\(|@import", text)
    assert "http" not in re.sub(r'http-equiv="|https://vega\.github\.io/schema[^"]*', "", body)


def test_ranks_on_the_page_are_those_of_the_board() -> None:
    entries = make_entries(30)
    (board,) = made_boards(entries)
    (shown,) = data_of(make_page(entries))["boards"]
    assert [one.get("rank") for one in shown["entries"]] == [row.rank for row in board.rows]
    assert [one["name"] for one in shown["entries"]] == [row.submission.name for row in board.rows]


def test_nothing_in_the_data_ends_its_element() -> None:
    for text in [*EVIL, "</script><script>alert(1)</script>", "<!--<script>", "\u2028\u2029", "]]>"]:
        clean = text.encode(errors="replace").decode()
        assert json.loads(embedded(clean)) == clean
        assert not re.search(r"[<>&\u2028\u2029]", embedded(clean))


def test_hostile_names_are_text_on_the_page() -> None:
    made = evil_boards()
    from harness.report.page.html import page

    text = without_library(page(view(made, [], RULES), ""))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", text)
    assert text.count("</script>") == text.count("<script")


def test_machines_and_classes_are_cleaned() -> None:
    machine = make_machine(cpu="\x1b[31mred\u202e", versions={"torch\n": "\u2066" + "9" * 500})
    made = view(made_boards([make_record(machine=machine)]), [make_record(machine=machine)], RULES)
    assert made.machines[0].cpu == "red"
    assert list(made.machines[0].versions) == ["torch"]
    assert len(made.machines[0].versions["torch"]) <= 40


def test_a_large_confusion_matrix_is_left_out() -> None:
    many = tuple(tuple(float(i == j) for j in range(200)) for i in range(200))
    record = make_record(result=make_result(confusion=many))
    (entry,) = view(made_boards([record]), [record], RULES).boards[0].entries
    assert entry.confusion == ()


def test_an_entry_has_all_of_its_runs_and_those_not_counted() -> None:
    good, late = make_record(), make_record(created_utc="2026-11-25T08:45:32Z", seed=2)
    disturbed = make_record(
        created_utc="2026-11-26T08:45:32Z", seed=3, result=make_result(flags=("baseline_disturbed",))
    )
    every = [good, late, disturbed]
    (entry,) = view(made_boards(every), every, RULES).boards[0].entries
    assert [run.pooled for run in entry.runs] == [True, True, False]


# --- the trace


def test_a_trace_holds_the_times_of_both_sides() -> None:
    made = trace(make_raw(passes=4, ratio=0.8), RULES.protocol)
    assert made.crops == 240
    assert [sum(counts) for counts in made.counts] == [240, 240]
    assert made.quantiles[0][50] == pytest.approx(4000 - 30, rel=0.02)
    assert made.quantiles[1][50] == pytest.approx(5000 - 40, rel=0.02)
    assert sum(made.passes) == len(made.along[0]) == len(made.along[1]) == 120


def test_a_trace_is_what_numpy_says_of_the_times() -> None:
    raw = make_raw(passes=3, crops=97)
    made = trace(raw, RULES.protocol)
    floor = floor_ns(raw.floor, float(np.mean([one.submission_ns for one in raw.passes])))
    times = [(np.array(one.submission_ns) - floor) / 1e3 for one in raw.passes]
    every = np.concatenate(times)
    assert made.quantiles[0] == pytest.approx(np.quantile(every, np.linspace(0, 1, 101)), abs=1)
    bins = np.geomspace(*made.edges, 49)
    assert made.counts[0] == pytest.approx(np.histogram(np.clip(every, bins[0], bins[-1]), bins)[0], abs=1)
    assert made.along[0][0] == pytest.approx(times[0][: 97 // made.passes[0]].mean(), abs=1)
    assert np.mean(made.along[0]) == pytest.approx(every.mean(), rel=0.01)


# --- pictures


def test_the_svg_is_xml_and_the_png_is_of_it() -> None:
    (board,) = made_boards(make_entries(20))
    drawn = svg(board, RULE)
    ET.fromstring(drawn)
    picture = png(drawn)
    assert picture.startswith(b"\x89PNG")
    assert drawn_by(picture) == (drawn_by(drawn)[0], b"")
    assert drawn_by(drawn)[1] == VERSION.encode()
    assert svg(board, RULE) == drawn


def test_hostile_names_are_text_in_a_picture() -> None:
    (board,) = evil_boards()
    drawn = svg(board, RULE)
    root = ET.fromstring(drawn)
    assert not [one for one in root.iter() if one.tag.endswith(("script", "image", "a", "foreignObject"))]


@pytest.mark.parametrize("entries", [[], [make_failed()], make_entries(1)], ids=["none", "failed", "one"])
def test_a_picture_of_little_is_drawn_too(entries: list[Record]) -> None:
    for board in made_boards(entries):
        ET.fromstring(svg(board, RULE))
        assert plot(board, RULE)


def test_points_on_the_front_are_beaten_by_none() -> None:
    (board,) = made_boards(make_entries(60))
    points = [point for point in points_of(board) if point["look"] != "weak"]
    for point in points:
        beaten = any(o["x"] <= point["x"] and o["y"] > point["y"] for o in points)
        assert (point["look"] == "front") <= (not beaten)
    assert [p["x"] for p in points if p["look"] == "front"] == sorted(p["x"] for p in points if p["look"] == "front")


def test_an_entry_far_too_bad_does_not_squeeze_the_others_and_is_named() -> None:
    fair = [make_record(f"fair{i}", result=make_result([0.1 * i] * 3, 0.8 - 0.01 * i)) for i in range(4)]
    beside = make_record("beside", result=make_result([0.2] * 3, 0.70))
    far = make_record("far", result=make_result([-5.0] * 3, 0.2))
    (board,) = made_boards([*fair, beside, far])
    points, left = near(points_of(board), [])
    assert {point["name"] for point in points} == {"fair0", "fair1", "fair2", "fair3", "beside"}
    assert [point["name"] for point in left] == ["far"]
    assert b"far off and not shown: far<" in svg(board, RULE)
    assert "far off and not shown: far" in plot(board, RULE)
    (alone,) = made_boards([far])
    assert [point["name"] for point in near(points_of(alone), [])[0]] == ["far"]


def test_no_name_in_a_picture_hides_another() -> None:
    rows = [make_record(f"{'n' * 20}{i}", result=make_result([0.02 * i] * 3, 0.8 + 0.002 * i)) for i in range(9)]
    (board,) = made_boards(rows)
    text = rb'<text text-anchor="(\w+)" transform="translate\(([\d.]+),([\d.]+)\)"[^>]*opacity="1">n{20}'
    shift, wide = {b"start": 0, b"middle": -60, b"end": -120}, 120  # pixels of 21 characters, and a little less
    places = [(float(x) + shift[anchor], float(y)) for anchor, x, y in re.findall(text, svg(board, RULE))]
    assert 2 <= len(places) < 9
    for i, (x, y) in enumerate(places):
        assert all(abs(y - other) >= 9 or abs(x - across) >= wide - 1 for across, other in places[:i])


def test_each_curve_is_of_one_score() -> None:
    found = curves(RULE, 0.75, ((0.05, 2.0), (0.4, 0.9)))
    assert len({point["score"] for point in found}) >= 5
    for point in found:
        assert score(point["y"], point["x"], 0.75, RULES.score) == pytest.approx(float(point["score"]), abs=1e-9)


# --- in a terminal


@pytest.mark.parametrize("records", [make_entries(60), [make_record("模型" * 20)]], ids=["many", "wide"])
def test_the_plot_fits_80_columns(records: list[Record]) -> None:
    (board,) = made_boards(records)
    lines = plot(board, RULE).splitlines()
    assert max(map(columns, lines)) <= 80
    assert len(lines) < 40


def test_colours_change_nothing_but_colours() -> None:
    text = FORMATS["text"](evil_boards())
    shown = coloured(text)
    assert re.sub(r"\x1b\[\d+m", "", shown) == text
    assert "\x1b[32m1" in coloured(FORMATS["text"](made_boards([make_record()])))


# --- files


def test_files_are_as_they_should_be_or_are_named(tmp_path: Path) -> None:
    entries = make_entries(4)
    boards = made_boards(entries)
    files = page_files(boards, entries, RULES, make_traces(entries))
    stem = board_path(boards[0]).removesuffix(".md")
    assert sorted(files) == sorted(["index.html", f"{stem}.svg", f"{stem}.png"])
    assert len(records.differing(tmp_path, boards, files, same_file)) == 7
    records.write_boards(tmp_path, boards, files)
    assert records.differing(tmp_path, boards, files, same_file) == []
    for path in (tmp_path / f"{stem}.md", tmp_path / "index.html", tmp_path / f"{stem}.svg"):
        before = path.read_bytes()
        path.write_bytes(before.replace(b"entry0000", b"entry9999", 1).replace(b"macro F1", b"macro F9", 1))
        assert records.differing(tmp_path, boards, files, same_file) == [path]
        path.write_bytes(before)
    records.write_boards(tmp_path, (), {})
    assert not (tmp_path / f"{stem}.svg").exists()


def test_a_page_with_a_library_of_another_version_is_the_same_and_a_changed_library_is_not() -> None:
    text = make_page(make_entries(1))
    ours = library_of(text)
    assert ours is not None
    assert ours == library()
    assert library_of(text.replace("vl-convert", "vl-other", 1)) is None
    assert library_of(text.replace("vegaEmbed", "stolen")) is None
    assert same_page(text, text.replace(f'data-by="{VERSION}"', 'data-by="vl-convert 0"'))
    assert not same_page(text, text.replace("vegaEmbed=", "stolen="))
    assert not same_page(text, text.replace("entry0000", "entry9999"))


def test_a_picture_by_another_version_is_the_same_and_one_of_other_records_is_not() -> None:
    (board,), (other,) = made_boards(make_entries(3)), made_boards(make_entries(4))
    drawn = svg(board, RULE)
    older = drawn.replace(VERSION.encode(), b"vl-convert 0").replace(b"macro F1", b"macro F 1")
    assert same_picture(drawn, older)
    assert not same_picture(drawn, drawn.replace(b"macro F1", b"macro F 1"))
    assert not same_picture(drawn, svg(other, RULE))
    assert not same_picture(drawn, b"")


def test_a_page_that_people_wrote_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("by hand")
    with pytest.raises(records.DataError, match="without its marker"):
        records.write_boards(tmp_path, made_boards([make_record()]), {"index.html": b"ours"})


def test_a_view_is_read_back() -> None:
    entries = make_entries(5)
    made = view(made_boards(entries), entries, RULES, make_traces(entries))
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made
    assert make_package().name
