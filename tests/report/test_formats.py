"""Boards in every format: the same rows, nothing that a name could break out of, 80 columns."""

import csv
import io
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.board import Board
from harness.report.clean import clean, columns, shorten, slug, wrap
from harness.report.files import MARKER, board_files, board_path, index
from harness.report.formats import FORMATS
from harness.report.rank import boards
from tests.builders import (
    make_data,
    make_failed,
    make_field,
    make_isolation,
    make_machine,
    make_package,
    make_record,
    make_result,
    make_rules,
)

RULES = make_rules()
EVIL = [
    "<script>alert(1)</script>",
    "a|b|c",
    "\"quoted\", 'twice', and; commas",
    "\u202eevil\u202c \u2066x\u2069",
    "x" * 10_000,
    "=HYPERLINK(1)",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\x1b[31mred\x1b[2J\x1b]0;title\x07",
    "line\nbreak\r\nand | pipe",
    "模型" * 100,
    "e\u0301" * 50,
    "![img](http://x) [link](javascript:x) `code` *b* _i_ <!-- c -->",
    "",
    " ",
    "\x00\x7f\x9b31m",
    "# heading",
]


def evil_boards() -> tuple[Board, ...]:
    """A board on which every text is one of EVIL."""
    package = [make_package(name, f"digest{i}", authors=name, description=name) for i, name in enumerate(EVIL)]
    good = [make_record(submission=p, result=make_result((-0.1 - i / 50, -0.1))) for i, p in enumerate(package[::2])]
    bad = [make_failed(message=p.name, submission=p) for p in package[1::2]]
    weak = make_record(
        submission=make_package(EVIL[4], "weak", weights_of=EVIL[0]), result=make_result(f1=0.1, flags=(EVIL[1],))
    )
    return boards([*good, *bad, weak], RULES)


def rows_of_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- text


def test_a_board_in_text_is_as_it_was_agreed() -> None:
    field = make_field([0.6, 0.8, 0.8, 1.2], 0.005, 1)
    failed, weak = make_failed(), make_record("weak", result=make_result(f1=0.3))
    made = boards([*field, failed, weak], RULES, local={field[0].digest})
    assert FORMATS["text"](made).splitlines() == [
        "trash: stream, isolation bwrap",
        "  machine   Some(R) CPU @ 2.00GHz x2",
        "  baseline  reference, F1 0.8000, eligible from 0.7200",
        f"  rules     {RULES.digest()[:8]}, data {make_data().digest[:8]}; lower scores are better",
        "",
        "rank photos submission  score          time ratio        F1     p50 ms",
        "1    1      entry0      0.8003 ±0.0017 0.601 0.597-0.604 0.8000 2.94   TL",
        "2=   2      entry2      0.8997 ±0.0012 0.799 0.797-0.802 0.8000 3.92   T",
        "            (target)    0.9000         0.800             0.8000",
        "2=   3      entry1      0.9005 ±0.0011 0.801 0.799-0.803 0.8000 3.92",
        "            (reference) 1.0000         1.00              0.8000 4.90",
        "4    4      entry3      1.0996 ±0.0019 1.20 1.20-1.20    0.8000 5.88",
        "-           weak        1.4012 ±0.0035 0.803 0.796-0.810 0.3000 3.93   !",
        "-           broken      failed                                         !",
        "",
        "photos: the ranks that other test photos would give, at these times",
        "T target met",
        "L measured on this machine, not published",
        "! weak: not eligible: F1 0.3000 is below 0.7200",
        "! broken: submission: raised: it raised ValueError",
    ]


def test_text_has_at_most_80_columns_whatever_the_names() -> None:
    wide = make_machine(cpu="Very Long Processor Name " * 10)
    slow = make_record("slow", result=make_result((8.0, 12.0, 7.0)))
    quick = make_record("quick", result=make_result((-12.0, -9.0, -11.0)))
    made = (*evil_boards(), *boards([make_record("模型" * 30, machine=wide, data=make_data("数据" * 40))], RULES))
    for board in (*made, *boards([slow, quick], RULES)):
        lines = FORMATS["text"]((board,)).splitlines()
        assert max(map(columns, lines)) <= 80
        assert not any(line != line.rstrip() for line in lines)


def test_wide_characters_do_not_move_the_columns() -> None:
    made = boards([make_record("模型"), make_record("abc")], RULES)
    lines = [line for line in FORMATS["text"](made).splitlines() if " ±" in line]
    assert len({columns(line.split("±")[0]) for line in lines}) == 1


# --- every format


@pytest.mark.parametrize("form", list(FORMATS))
def test_no_format_lets_a_control_through(form: str) -> None:
    text = FORMATS[form](evil_boards())
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)
    assert len(text) < 200_000
    assert text.encode().decode() == text


@pytest.mark.parametrize("form", list(FORMATS))
def test_every_format_has_every_package(form: str) -> None:
    names = [f"package{i}" for i in range(12)]
    field = [make_record(n) if i % 3 else make_failed(n) for i, n in enumerate(names)]
    text = FORMATS[form](boards(field, RULES)).replace("\\", "")
    assert all(name in text for name in names)


@pytest.mark.parametrize("form", list(FORMATS))
def test_no_boards_are_an_empty_board_in_every_format(form: str) -> None:
    assert FORMATS[form](()) in ("", "data\r\n", "[]\n")


# --- Markdown


def test_names_cannot_break_out_of_a_markdown_table() -> None:
    lines = FORMATS["md"](evil_boards()).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == len(EVIL) + 1 + 2 + 2  # entries, head and rule, references
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {26}  # as many cells in each
    assert "<script>" not in "\n".join(lines)
    assert not re.search(r"(?<!\\)[`\[]", "\n".join(line for line in lines if not line.startswith("## ")))


def test_the_heading_is_not_the_submissions_to_write() -> None:
    assert sum(line.startswith("#") for line in FORMATS["md"](evil_boards()).splitlines()) == 1


# --- CSV


def test_csv_has_every_number_unrounded() -> None:
    (board,) = boards(make_field([0.6, 0.9], 0.01, 2), RULES)
    rows = [row for row in rows_of_csv(FORMATS["csv"]((board,))) if row["kind"] == "entry"]
    for shown, row in zip(rows, board.rows, strict=True):
        assert row.score is not None
        assert float(shown["score"]) == row.score.value
        assert float(shown["score_low"]) == row.score.low
        assert float(shown["score_error"]) == row.score_error
        assert shown["eligible"] == "true"
        assert shown["records"] == ";".join(row.records)


def test_no_cell_of_csv_is_a_formula() -> None:
    text = FORMATS["csv"](evil_boards())
    for row in rows_of_csv(text):
        for value in row.values():
            assert value == "" or value[0] not in "=+-@\t\r" or re.fullmatch(r"-?[\d.e-]+", value)
    assert "'=HYPERLINK(1)" in text


def test_negative_numbers_stay_numbers_in_csv() -> None:
    weak = make_record(result=make_result((-3.0, -1.0), score_error=0.5))
    low = next(row for row in rows_of_csv(FORMATS["csv"](boards([weak], RULES))) if row["kind"] == "entry")["score_low"]
    assert float(low) < 0


def test_csv_is_rfc_4180_and_has_the_same_rows_as_the_boards() -> None:
    made = evil_boards()
    text = FORMATS["csv"](made)
    assert text.count("\r\n") == text.count("\n") == 1 + len(EVIL) + 1 + 2
    rows = rows_of_csv(text)
    assert [row["digest"] for row in rows if row["kind"] == "entry"] == [
        row.submission.digest for board in made for row in board.rows
    ]
    assert all(None not in row and None not in row.values() for row in rows)


# --- JSON


def test_json_is_read_back_as_the_boards() -> None:
    made = evil_boards()
    assert msgspec.json.decode(FORMATS["json"](made), type=tuple[Board, ...]) == made
    assert len(json.loads(FORMATS["json"](made))) == 1


# --- paths and the index


KEYS: list[dict[str, Any]] = [
    {},
    {"isolation": make_isolation("landlock")},
    {"scenario": "batch"},
    {"machine": make_machine(cpu="some-r-cpu-2.00ghz")},
    {"machine": make_machine(cpu="Some[R] CPU   2.00GHz")},
    {"data": make_data("trash", digest="another")},
    {"data": make_data("TRASH", digest="a third")},
    {"data": make_data("../../trash")},
    {"data": make_data("records")},
    {"data": make_data("local")},
    {"data": make_data("数据")},
    {"baseline": make_package("another")},
    {"rules": "others"},
]


def test_every_key_has_its_own_path_under_the_leaderboard() -> None:
    made = [boards([make_record(**change)], RULES)[0] for change in KEYS]
    paths = [board_path(board) for board in made]
    assert len({path.lower() for path in paths}) == len(KEYS)
    assert all(re.fullmatch(r"[a-z0-9_][a-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*\.md", path) for path in paths)
    assert not any(path.startswith(("records/", "local/")) for path in paths)
    assert re.fullmatch(r"trash/Some-R-CPU-2\.00GHz-x2-stream-[0-9a-f]{8}\.md", paths[0])
    assert "-landlock-" in paths[1]


def test_the_index_links_every_board_and_nothing_else() -> None:
    made = boards([make_record(**change) for change in KEYS], RULES)
    links = re.findall(r"\]\(([^)]*)\)", index(made))
    assert links == ["index.html", *(board_path(board) for board in made)]
    assert index(()).startswith(MARKER)


def test_the_files_of_a_board_are_its_three_forms_and_the_index() -> None:
    made = evil_boards()
    files = board_files(made)
    stem = board_path(made[0]).removesuffix(".md")
    assert sorted(files) == sorted(["README.md", f"{stem}.md", f"{stem}.csv", f"{stem}.json"])
    assert files[f"{stem}.md"].startswith(MARKER)
    assert files == board_files(made)


# --- cleaning


@given(st.text(), st.integers(1, 50))
@settings(max_examples=300)
def test_cleaned_text_is_one_printable_line_of_limited_length(text: str, limit: int) -> None:
    done = clean(text, limit)
    assert len(done) <= limit
    assert done == done.strip()
    assert all(character == " " or character.isprintable() for character in done)
    assert clean(done, limit) == done


@given(st.text(), st.integers(1, 50))
def test_shortened_text_fits_its_columns(text: str, most: int) -> None:
    assert columns(shorten(clean(text), most)) <= most


@given(st.text(), st.integers(10, 50))
def test_wrapped_text_fits_its_columns_and_loses_no_short_word(text: str, most: int) -> None:
    lines = wrap(clean(text), most, "  ")
    assert all(columns(line) <= most for line in lines)
    short = [word for word in clean(text).split() if columns(word) <= most - 2]
    assert [word for word in " ".join(lines).split() if word in short] == short or "…" in " ".join(lines)


@given(st.text())
def test_a_slug_is_a_safe_part_of_a_file_name(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}", slug(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07name", "name"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\u202eb\u200fc\u2067d\ufeffe", "abcde"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\x1b", ""),
        ("half \ud800 a pair", "half a pair"),
        ("模型 v2", "模型 v2"),
    ],
    ids=repr,
)
def test_escapes_and_marks_are_taken_out(text: str, shown: str) -> None:
    assert clean(text) == shown
