"""The board and rows of a few records, for the tests of ranking."""

from typing import Any

from harness.record import Record
from harness.report.board import Board, Row
from harness.report.rank import boards
from tests.builders import make_rules


def board_of(*records: Record, **changes: Any) -> Board:
    """The only board of these records."""
    (board,) = boards(records, make_rules(**changes))
    return board


def row_of(*records: Record, **changes: Any) -> Row:
    """The only row of the only board of these records."""
    (row,) = board_of(*records, **changes).rows
    return row


def ranks(board: Board) -> dict[str, tuple[int | None, int | None]]:
    return {row.submission.name: (row.rank_low, row.rank_high) for row in board.rows}
