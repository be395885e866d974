"""The import table: who may import whom, and what is banned where. Read from the sources, nothing is run."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Part -> the parts that it may import. Values (errors ... wire) know nothing of the folders.
PURE = (
    *("errors", "score", "metrics", "stats", "rules", "raw", "record", "outside", "sentence", "timed", "derive"),
    *("checkup", "gate"),
    *("student", "submission", "wire", "paths", "halves", "audit", "decisions", "formats", "profile"),
)
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "wire": set(),
    "metrics": set(),
    "score": {"errors"},
    "student": set(),
    "stats": {"metrics", "student"},
    "paths": {"errors"},
    "rules": {"errors", "score", "stats"},
    "raw": {"stats"},
    "record": {"errors", "raw", "rules", "stats"},
    "outside": {"raw", "record", "rules"},
    "sentence": {"stats"},
    "halves": {"errors", "raw", "record", "sentence", "stats"},
    "audit": {"metrics", "outside", "raw", "record", "stats"},
    "timed": {"metrics", "outside", "raw", "record", "rules", "stats"},
    "derive": {
        "audit",
        "halves",
        "metrics",
        "outside",
        "raw",
        "record",
        "rules",
        "score",
        "sentence",
        "stats",
        "timed",
    },
    "checkup": {"record", "stats"},
    "gate": {"errors", "record", "stats"},
    "formats": set(),
    "profile": {"errors", "raw"},
    "profiles": {"atomic", "errors", "profile"},
    "submission": {"errors", "formats", "wire"},
    "scaffold": {"atomic", "errors", "formats", "submission"},
    "starts": {"data", "errors", "lab", "paths"},  # as submissions do
    "inspection": {"errors", "rules"},
    "scratch": {"atomic"},
    "staging": {"atomic", "errors", "formats", "inspection", "paths", "record", "rules", "scratch", "submission"},
    "decisions": {"errors", "raw", "record"},
    "atomic": {"errors"},
    "records": {"atomic", "decisions", "errors", "raw", "record", "rules", "report"},
    "report": set(PURE),
    "sandbox": set(),
    "worker": {"errors", "formats", "nets", "sandbox", "wire"},
    "data": {"errors", "metrics", "paths"},
    "judge": {*PURE, "sandbox", "scratch"},
    "nets": {"errors", "formats"},
    "lab": {*PURE, "atomic", "data", "nets", "scratch", "staging", "worker"},
    "cli": {*PURE, "atomic", "lab", "scaffold", "staging", "records", "profiles", "report", "data", "judge"},
}
BANNED = {
    "judge": {"torch", "torchvision", "pickle", "cloudpickle", "joblib", "multiprocessing", "safetensors"},
    "report": {"torch", "torchvision", "pickle", "os", "pathlib", "time", "datetime", "sklearn"},
    "data": {"torch", "torchvision", "pickle", "time", "datetime"},
    "worker": {"pickle"},
    **{name: {"torch", "pickle", "time", "datetime", "random", "subprocess", "socket"} for name in PURE},
}
SOURCES = sorted((ROOT / "harness").rglob("*.py"))


def part(path: Path) -> str:
    """harness/judge/session.py -> judge, harness/score.py -> score."""
    return path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, with its dots; `from harness import x` is harness.x."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their module whole"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "harness" else {module}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    ours = part(path)
    if ours in ("__init__", "__main__"):
        return
    names = {
        name.split(".")[1] for name in imported(path) if name.startswith("harness.") and name != "harness.__version__"
    }
    assert names - {ours} <= ALLOWED[ours]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_part_must_not_touch_is_not_imported(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    assert not tops & BANNED.get(part(path), set())


def test_the_test_labels_are_opened_by_evaluate_alone() -> None:
    users = {str(path.relative_to(ROOT)) for path in SOURCES if "harness.data.answers" in imported(path)}
    assert users == {"harness/cli/jobs.py"}


def test_labels_are_read_and_written_in_three_places() -> None:
    users = {str(path.relative_to(ROOT)) for path in SOURCES if "harness.data.labels" in imported(path)}
    assert users == {"harness/data/answers.py", "harness/data/store.py", "harness/data/writer.py"}


def test_only_the_command_line_prints_and_exits() -> None:
    allowed = {"cli", "worker", "sandbox", "starts"}  # the last three are processes of their own
    for path in SOURCES:
        if part(path) in allowed:
            continue
        calls = {
            n.func.id
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not calls & {"print", "exit", "input"}, path
        assert "sys.argv" not in path.read_text(), path


def test_the_table_names_every_part() -> None:
    assert {part(path) for path in SOURCES} - {"__init__", "__main__"} == set(ALLOWED)


def test_files_stay_short() -> None:
    long = [f"{path.relative_to(ROOT)}" for path in SOURCES if len(path.read_text().splitlines()) > 350]
    assert long == []
