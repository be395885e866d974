"""YAML files that a user writes, read strictly: recipes, tables of blocks, search spaces. Pure."""

from typing import TypeVar

import msgspec
import yaml

from harness.errors import misread

Kind = TypeVar("Kind")

_NUMBERS = ("expected float, got str", "expected int | float, got str")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # as msgspec chooses
_NULL = "tag:yaml.org,2002:null"  # nothing but comments and ---
_EXPONENT = " (1e-3 is text in YAML: write 1.0e-3 or 0.001)"


def decoded(text: bytes, kind: type[Kind], wanted: str) -> Kind:
    """The file as this kind of value, one of comments alone as {}. Raises ValueError: what is wrong, where, in a line.

    >>> decoded(b"{a: 1, a: 2}", dict[str, int], "numbers")
    Traceback (most recent call last):
    ValueError: expected numbers: the key a twice, at line 1 and line 1
    """
    try:
        root = yaml.compose(text, _LOADER)
        if root is None or root.tag == _NULL:
            text = b"{}"
        elif twice := _twice(root):
            raise ValueError(twice)
        return msgspec.yaml.decode(text, type=kind)
    except (ValueError, yaml.YAMLError, AttributeError, OverflowError, RecursionError) as error:  # a date of month 13
        said = misread(error, wanted)
        raise ValueError(said + _EXPONENT if said.endswith(_NUMBERS) else said) from error


def _twice(root: yaml.Node) -> str:
    """A key that a mapping has twice, of which YAML's parser would take the last one; "" where there is none."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):  # an alias leads to the same node
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            todo.append(value)
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, name = key.start_mark.line + 1, (key.tag, key.value)
            if name in lines:
                return f"the key {key.value} twice, at line {lines[name]} and line {line}"
            lines[name] = line
    return ""
