"""A board's text in the colours of a terminal. Pure: the text is as it was but for what colours it."""

import re

_BOLD, _DIM, _GREEN, _YELLOW, _RED, _CYAN = "1", "2", "32", "33", "31", "36"
_LINES = (  # the first that fits colours a line; names are clean, so that none can bring colours of its own
    (re.compile(r"^\S.*: \w+, isolation "), _BOLD),
    (re.compile(r"^(rank +photos|  (machine|baseline|rules) )"), _DIM),
    (re.compile(r"^1=? "), _GREEN),
    (re.compile(r"^ +\("), _CYAN),
    (re.compile(r"^- .* (failed|interrupted)\b"), _RED),
    (re.compile(r"^- "), _DIM),
    (re.compile(r"^(!|note:) "), _YELLOW),
)


def coloured(text: str) -> str:
    """`text`, each of its lines in the colour of what it says."""
    return "\n".join(map(_line, text.split("\n")))


def _line(line: str) -> str:
    for pattern, colour in _LINES:
        if pattern.search(line):
            return f"\x1b[{colour}m{line}\x1b[0m"
    return line
