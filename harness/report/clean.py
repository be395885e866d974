"""Text that others wrote, made safe to print: names, authors, messages. Pure.

`clean` is applied once, where a value enters a report; the formats then only escape and shorten.
"""

import re
import unicodedata
from collections.abc import Iterator

TEXT_LIMIT = 200  # characters of a name or a message in a report
_ANSI = re.compile(
    r"""(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]       # CSI: colours, cursor, clear
      | (?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?  # OSC, DCS: titles, links
      | \x1b[ -/]*[0-~]                        # the short ones""",
    re.VERBOSE,
)
_SPACES = {"Zl", "Zp", "Zs"}
_DROPPED = {"Cc", "Cf", "Cs", "Cn", "Co"}  # controls; bidi marks and zero widths; halves of a pair; no characters


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""`text` on one line of at most `limit` characters: no controls, ANSI escapes, bidi or zero-width marks.

    >>> clean("\x1b[31mred\x1b[0m\n\u202eevil")
    'red evil'
    >>> clean("mobilenet", 5)
    'mobi…'
    """
    kept = _ANSI.sub("", text[: 50 * limit])
    flat = " ".join("".join(_printable(kept)).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def slug(text: str, limit: int = 40) -> str:
    """`text` as a part of a file name: letters, digits, '.', '_' and '-'; never empty, never starting with a dot.

    >>> slug("Intel(R) Xeon(R) CPU x2"), slug("../..")
    ('Intel-R-Xeon-R-CPU-x2', 'unnamed')
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:limit].strip("-.") or "unnamed"


def columns(text: str) -> int:
    """Columns of a terminal that `text` fills: 2 for a wide character, 0 for a combining one.

    >>> columns("abc"), columns("模型"), columns("e\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_character_columns, text))


def shorten(text: str, most: int) -> str:
    """`text` in at most `most` columns, with … where it was cut.

    >>> shorten("模型模型", 5)
    '模型…'
    """
    if columns(text) <= most:
        return text
    kept, used = "", 1  # the … itself
    for character in text:
        used += _character_columns(character)
        if used > most:
            break
        kept += character
    return kept + "…"


def pad(text: str, width: int) -> str:
    """`text` filled up with spaces to `width` columns."""
    return text + " " * (width - columns(text))


def wrap(text: str, most: int, indent: str = "") -> list[str]:
    """Lines of at most `most` columns; all but the first begin with `indent`. A longer word is cut.

    >>> wrap("one two three", 9, "  ")
    ['one two', '  three']
    """
    lines, line = [], ""
    for word in text.split(" "):
        if line.strip() and columns(line) + 1 + columns(word) > most:
            lines.append(line)
            line = indent
        joined = word if not line else line + word if line == indent else f"{line} {word}"
        line = shorten(joined, most)
    return [*lines, line]


def _printable(text: str) -> Iterator[str]:
    for character in text:
        category = unicodedata.category(character)
        if character in "\t\n\r\v\f" or category in _SPACES:
            yield " "
        elif category not in _DROPPED:
            yield character


def _character_columns(character: str) -> int:
    if character < "\u0300":  # Latin: the common case
        return 1
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
