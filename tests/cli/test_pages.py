"""The leaderboard's page on the command line: --check, --watch, --plot, colours; harness report."""

import os
import pty
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from harness import records
from harness.cli.pages import traces
from harness.cli.watching import Served, server_of
from harness.errors import UsageError
from harness.report import rank
from tests.builders import make_rules, make_run
from tests.cli.conftest import Project
from tests.conftest import ROOT

RECORD = "20261124T211637Z-colour_histogram-b6239bfa"


@pytest.fixture
def published(tmp_path: Path) -> Project:
    """A project with the committed records, rules and boards, and no package or data set."""
    project = Project(tmp_path / "project")
    shutil.copy(ROOT / "baselines" / "rules.toml", project.root / "baselines" / "rules.toml")
    shutil.copytree(ROOT / "leaderboard", project.root / "leaderboard", ignore=shutil.ignore_patterns("local"))
    return project


def test_check_names_a_file_that_is_not_what_the_records_give(published: Project) -> None:
    assert "are those of the published records" in published.here("leaderboard", "--check").stdout
    page = published.root / "leaderboard" / "index.html"
    page.write_text(page.read_text().replace("0.1383", "0.2383"))
    said = published.error("leaderboard", "--check", code=1)
    assert "leaderboard/index.html: expected what the published records give" in said
    published.here("leaderboard", "--write")
    published.here("leaderboard", "--check")
    next(published.root.glob("leaderboard/taco/*.png")).unlink()
    assert ".png" in published.error("leaderboard", "--check", code=1)


def test_one_of_write_check_and_watch(published: Project) -> None:
    assert "expected one of" in published.error("leaderboard", "--check", "--write", code=2)
    assert "--private" in published.error("leaderboard", "--check", "--private", code=2)


def test_the_plot_stands_below_each_board(published: Project) -> None:
    said = published.here("leaderboard", "--plot", "--data", "embedded").stdout
    assert "1 edge" in said
    assert "B mobilenetv3_large" in said
    assert max(map(len, said.splitlines())) <= 80
    assert "\x1b" not in said


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_gets_colours_where_it_has_them(published: Project, environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    usual = {"TERM": "xterm-256color", "NO_COLOR": ""}
    command = [sys.executable, "-m", "harness", "leaderboard", "--data", "taco"]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, env=published.environment() | usual | environment
    ) as started:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            said += part
            if not part:
                break
    os.close(ours)
    assert started.returncode == 0
    assert (b"\x1b[" in said) == (not environment)


def test_a_report_is_a_page_of_one_record(published: Project) -> None:
    done = published.run("report", f"leaderboard/records/{RECORD}.json")
    path = published.root / done.stdout.strip()
    text = path.read_text()
    assert path.parent == published.root / "leaderboard" / "local" / "reports"
    assert "<title>colour_histogram on embedded</title>" in text
    assert "not eligible: F1 below" in text
    out = published.root / "own.html"
    published.run("report", f"leaderboard/records/{RECORD}.json", "--out", str(out))
    assert out.read_text() == text
    assert "no data set" in published.error("report", f"leaderboard/records/{RECORD}.json", "--errors", code=3)
    assert "expected a plain file" in published.error(
        "report", f"leaderboard/records/{RECORD}.json", "--out", "/nowhere/at/all.html", code=2
    )


def test_a_report_of_a_failed_run_says_why(project: Project) -> None:
    project.package("broken", "def load(device):\n    raise ValueError('no')\n")
    project.run("evaluate", "broken", "--budget", "1s", code=4)
    (path,) = project.root.glob("leaderboard/local/*.json")
    text = (project.root / project.run("report", str(path)).stdout.strip()).read_text()
    assert "ValueError" in text


def test_errors_are_shown_as_crops(project: Project) -> None:
    project.run("evaluate", "sharp", "--budget", "1s")  # answers 0 whatever it sees
    (path,) = [path for path in project.root.glob("leaderboard/local/*.json") if "raw" not in path.name]
    done = project.run("report", str(path), "--errors")
    text = (project.root / done.stdout.strip()).read_text()
    found = re.search(r"(\d+) of (\d+) validation crops", text)
    assert found is not None
    assert text.count('<img src="data:image/jpeg;base64,') == min(int(found[1]), 60) > 0
    project.package("sharp", "def load(device):\n    return lambda crops: [1 for _ in crops]\n")
    assert "expected the package of the record" in project.error("report", str(path), "--errors", code=3)


def test_of_an_official_run_the_page_has_nothing_of_the_raw_file(tmp_path: Path) -> None:
    rules = make_rules()
    for official in (False, True):
        record, raw = make_run(official=official, half="public" if official else "all")
        path = records.write(tmp_path / str(official), record, raw)
        read = {path: records.read(path)}
        shown = traces(read, rank.boards(read.values(), rules), rules)
        assert bool(shown) != official


# --- watch


def ask(port: int, path: str, host: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if host is not None:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_watch_serves_the_page_on_loopback_and_takes_a_new_record(published: Project) -> None:
    command = [sys.executable, "-m", "harness", "leaderboard", "--watch", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=published.environment()
    ) as started:
        try:
            watched(published, started)
            started.terminate()
            assert started.wait(10) == 143
        finally:
            started.kill()  # else what fails above waits for it for ever


def watched(published: Project, started: "subprocess.Popen[str]") -> None:
    """Asks for the page before and after a record is gone."""
    assert started.stdout is not None
    port = int(started.stdout.readline().rsplit(":", 1)[1].strip().strip("/"))
    code, page = ask(port, "/")
    assert code == 200
    assert b"watch();" in page
    before = ask(port, "/stamp")[1]
    assert ask(port, "/leaderboard/records")[0] == 404
    assert ask(port, "/", f"evil.example:{port}")[0] == 404
    (record,) = (published.root / "leaderboard" / "records").glob("*-squeezenet-*[0-9a-f].json")
    assert b"squeezenet" in page
    record.unlink()
    for _ in range(100):
        if ask(port, "/stamp")[1] != before:
            break
        subprocess.run(["sleep", "0.2"], check=True)
    assert b"squeezenet" not in ask(port, "/")[1]


def test_a_port_that_is_taken_is_said() -> None:
    with server_of(lambda: Served(b"", "0"), 0) as server, pytest.raises(UsageError, match="--port"):
        server_of(lambda: Served(b"", "0"), server.server_port)
