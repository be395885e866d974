"""The commands as a user types them: real processes, exit codes, one line for each mistake."""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Project
from tests.conftest import PREDICT


def test_evaluate_and_leaderboard(project: Project) -> None:
    done = project.run("evaluate", "submissions/blunt", "--budget", "1s")
    for word in ("macro F1", "time ratio", "score", "p50", "isolation", "record", "target"):
        assert word in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[:-1])
    assert "isolation: " in done.stderr
    project.run("evaluate", "sharp", "--budget", "1s")
    board = project.run("leaderboard").stdout
    assert all(len(line) <= 80 for line in board.splitlines())
    assert "\x1b" not in board
    assert "sharp" in board
    assert "blunt" in board
    rows = list(csv.DictReader(io.StringIO(project.run("leaderboard", "--format", "csv").stdout)))
    boards = json.loads(project.run("leaderboard", "--format", "json", "--data", "practice").stdout)
    assert {row["submission"] for row in rows} >= {"sharp", "blunt"}
    assert {row["submission"]["name"] for row in boards[0]["rows"]} == {"sharp", "blunt"}
    assert "| " in project.run("leaderboard", "--format", "md").stdout
    assert "no data set nothing and no records of one: there are records of practice" in project.error(
        "leaderboard", "--data", "nothing", code=3
    )


def test_the_batch_scenario_has_a_board_of_its_own(project: Project) -> None:
    project.package("sharp", PREDICT, 'name = "sharp"\nbatch = 8\n')
    said = project.run("evaluate", "sharp", "--scenario", "batch", "--budget", "1s").stdout
    assert "8 a request" in said
    assert "MiB at most" in said
    project.run("evaluate", "blunt", "--budget", "1s")
    boards = json.loads(project.run("leaderboard", "--format", "json").stdout)
    assert sorted(board["key"]["scenario"] for board in boards) == ["batch", "stream"]


def test_the_record_has_its_raw_file_and_only_the_owner_reads_it(project: Project) -> None:
    project.run("evaluate", "sharp", "--budget", "1s")
    (record,) = project.local()
    assert record["status"] == "ok"
    (raw,) = project.root.glob("leaderboard/local/*.raw.json.gz")
    assert raw.stat().st_mode & 0o777 == 0o600


def test_new_check_fit_evaluate(project: Project) -> None:
    assert "submissions/mine" in project.run("new", "mine").stdout
    assert 'name = "mine"' in (project.root / "submissions" / "mine" / "submission.toml").read_text()
    message = project.error("evaluate", "mine", "--budget", "1s", code=4)
    assert "no weights for practice" in message
    assert "python submissions/mine/fit.py --data practice" in message
    subprocess.run(
        [sys.executable, "submissions/mine/fit.py", "--data", "practice", "--epochs", "1"],
        cwd=project.root,
        env=project.environment(),
        check=True,
        capture_output=True,
    )
    checked = project.run("check", "mine").stdout
    assert checked.count("ok ") == 8
    assert "3000x2000" in checked
    assert "score" in project.run("evaluate", "mine", "--budget", "1s").stdout


def test_check_names_each_crop_that_fails(project: Project) -> None:
    fragile = "def load(device):\n    return lambda crops: [0] if crops[0].shape[0] > 1 else [1 // 0]\n"
    project.package("fragile", fragile)
    done = project.run("check", "fragile", code=4)
    failing = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split(":")[0] for line in failing] == ["FAIL  crop of 1x1", "FAIL  crop of 1x500"]
    assert "ZeroDivisionError" in failing[0]


def test_check_ends_after_an_answer_that_does_not_come(project: Project) -> None:
    project.package("hung", "import time\ndef load(device):\n    return lambda crops: time.sleep(99)\n")
    done = project.run("check", "hung", code=5)
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("FAIL")] == ["FAIL  crop of 1x1"]


def test_check_speaks_of_weights_where_a_package_has_them(project: Project) -> None:
    assert "weights" not in project.run("check", "sharp").stdout
    assert "weights for practice" in project.run("check", "colour_histogram").stdout
    said = project.error("check", "template", code=4)
    assert "no weights for DATA: expected weights/DATA.safetensors and .json; fit them: " in said


def test_score_has_the_competitions_constants(project: Project) -> None:
    assert "score 1.1950" in project.run("score", "--f1", "0.7", "--time", "60").stdout.replace("1.1951", "1.1950")
    own = project.run("score", "--f1", "0.5", "--time", "5", "--baseline-f1", "0.5", "--baseline-time", "10").stdout
    assert "score 0.7500" in own


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.1"])
def test_score_refuses_what_is_no_f1(value: str, project: Project) -> None:
    assert "F1: expected a number from 0 to 1" in project.error("score", "--f1", value, "--time", "60", code=2)


def test_mistakes_on_the_command_line(project: Project) -> None:
    assert "no package nobody" in project.error("evaluate", "nobody", code=2)
    assert "in submissions or baselines; there are blunt, colour_histogram, " in project.error(
        "check", "nobody", code=2
    )
    assert "did you mean sharp?" in project.error("check", "sharpe", code=2)
    assert "no package without a name" in project.error("check", "", code=2)
    assert "no data set other" in project.error("evaluate", "sharp", "--data", "other", code=3)
    assert "beside it: practice" in project.error("evaluate", "sharp", "--data", "other", code=3)
    assert "no package elsewhere" in project.error("evaluate", "sharp", "--baseline", "elsewhere", code=2)
    for budget in ("soon", "0s", "-1"):
        said = project.error("evaluate", "sharp", "--budget", budget, code=2)
        assert "--budget: expected a time above 0 like 45s" in said
    assert "--format: expected one of" in project.error("leaderboard", "--format", "xml", code=2)
    assert "it is there already" in project.error("new", "template", code=2)
    assert "expected a name" in project.error("new", "../x", code=2)
    assert "expected a plain name" in project.error("prepare", "synthetic", "--name", "../x", code=2)
    assert "expected submission.toml" in project.error("evaluate", "baselines", code=4)
    assert "see `harness evaluate --help`" in project.error("evaluate", "sharp", "--isolation", "vault", code=2)
    assert "no such command 'nothing'; see `harness --help`" in project.error("nothing", code=2)
    assert "missing argument 'submission'" in project.error("evaluate", code=2)


def test_no_data_set_at_all(project: Project) -> None:
    shutil.rmtree(project.root / "data")
    assert "`harness prepare folder DIR --name NAME`" in project.error("evaluate", "sharp", code=2)


def test_a_project_without_rules(project: Project) -> None:
    (project.root / "baselines" / "rules.toml").unlink()
    assert "HARNESS_ROOT" in project.error("leaderboard", code=2)


def test_damaged_rules_name_the_key(project: Project) -> None:
    rules = project.root / "baselines" / "rules.toml"
    rules.write_text(rules.read_text().replace("f1_slope = 20.0", "slope = 20.0"))
    assert "score: unknown key slope" in project.error("leaderboard", code=3)


FAILING = {
    "raises": ("def load(device):\n    return lambda crops: [1 // 0]\n", 4, "ZeroDivisionError"),
    "hangs": ("import time\ndef load(device):\n    return lambda crops: time.sleep(99)\n", 5, "within 1 s"),
    "crashes": ("import os\ndef load(device):\n    return lambda crops: os.abort()\n", 4, "SIGABRT"),
    "bare": ("x = 1\n", 4, "expected a function load(device)"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failed_evaluation_leaves_a_record_and_its_log(name: str, project: Project) -> None:
    source, code, says = FAILING[name]
    project.package(name, source)
    done = project.run("evaluate", name, "--budget", "1s", code=code)
    assert says in done.stderr.splitlines()[-1]
    (record,) = project.local()
    assert record["status"] == "failed"
    failure = record["failure"]
    assert isinstance(failure, dict)
    assert failure["owner"] == "submission"
    assert says in failure["message"]
    if name == "raises":
        (log,) = project.root.glob("leaderboard/local/*.log")
        assert "Traceback" in log.read_text()
        assert f"log: leaderboard/local/{log.name}" in done.stderr
    assert says.split()[0] in project.run("leaderboard").stdout


def test_a_package_that_cannot_be_staged_leaves_a_record_until_it_is_evaluated_again(project: Project) -> None:
    project.package("needy", PREDICT, 'name = "needy"\nrequires = ["no-such-thing>=3"]\n')
    project.run("evaluate", "needy", "--budget", "1s", code=4)
    (record,) = project.local()
    assert (record["status"], record["isolation"]) == ("failed", None)
    failure, submission = record["failure"], record["submission"]
    assert isinstance(failure, dict)
    assert isinstance(submission, dict)
    assert (failure["owner"], failure["kind"]) == ("submission", "requires")
    assert (submission["name"], submission["digest"]) == ("needy", "")
    project.package("broken", PREDICT, "name = 3\n")
    assert "broken/submission.toml" in project.error("evaluate", "broken", "--budget", "1s", code=4)
    board = project.run("leaderboard").stdout
    assert "no-such-thing" in board
    assert "broken" in board
    project.package("needy", PREDICT)
    project.run("evaluate", "needy", "--budget", "1s")
    (board,) = json.loads(project.run("leaderboard", "--format", "json").stdout)
    assert [(row["submission"]["name"], row["status"]) for row in board["rows"]] == [
        ("needy", "ok"),
        ("broken", "failed"),
    ]


def test_requirements_and_classes_are_checked_before_anything_runs(project: Project) -> None:
    project.package("needy", "raise SystemExit", 'name = "needy"\nrequires = ["no-such-thing>=3"]\n')
    assert "no-such-thing>=3 (not installed)" in project.error("evaluate", "needy", code=4)
    project.package("cats", "raise SystemExit", 'name = "cats"\nclasses = ["Cat", "Dog"]\n')
    message = project.error("evaluate", "cats", code=4)
    assert "Styrofoam" in message
    assert "Cat, Dog" in message


def test_an_unwritable_leaderboard_is_said_before_the_run(project: Project) -> None:
    (project.root / "leaderboard").write_text("a file where a folder is expected")
    begun = time.monotonic()
    message = project.error("evaluate", "sharp", code=1)
    assert "leaderboard" in message
    assert time.monotonic() - begun < 10


def test_a_level_that_is_missing_names_the_fix(project: Project) -> None:
    code = (
        "import sys\n"
        "from harness.judge import isolation\n"
        "isolation.binaries = lambda: []\n"
        "from harness.cli import run\n"
        "sys.exit(run(['evaluate', 'sharp', '--isolation', 'bwrap']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=project.environment(),
        cwd=project.root,
        check=False,
    )
    assert done.returncode == 1
    assert "isolation bwrap: this machine does not have it: no bwrap program; apt-get install bubblewrap" in done.stderr


def test_other_systems_are_told_so(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.cli import run

    monkeypatch.setenv("HARNESS_ROOT", str(project.root))
    monkeypatch.setattr("harness.judge.isolation.PLATFORM", "darwin")
    assert run(["evaluate", "sharp"]) == 1
    assert "expected Linux, got darwin" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_a_stop_end_the_workers_and_leave_a_record(number: int, code: int, project: Project) -> None:
    project.package("slow", "import time\ndef load(device):\n    return lambda crops: time.sleep(0.2) or [0]\n")
    judge = subprocess.Popen(
        [sys.executable, "-m", "harness", "evaluate", "slow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=project.environment(),
        cwd=project.root,
    )
    time.sleep(3.0)
    judge.send_signal(number)
    _, said = judge.communicate(timeout=20)
    assert judge.returncode == code, said
    assert "harness: interrupted" in said
    assert project.local()[-1]["status"] == "interrupted"
    assert "harness-package-" not in str(list(Path("/proc").glob("[0-9]*/cwd")))


def test_publishing_moves_the_record_and_writes_its_boards(project: Project) -> None:
    demanded = project.run("check", "sharp").stderr
    if "isolation: bwrap" not in demanded:
        pytest.skip("publishing needs bubblewrap")
    project.run("evaluate", "sharp", "--budget", "1s", "--publish")
    assert not list(project.root.glob("leaderboard/local/*.json"))
    assert len(list(project.root.glob("leaderboard/records/*.raw.json.gz"))) == 1
    project.run("leaderboard", "--write")
    boards = list(project.root.glob("leaderboard/practice/*"))
    assert {path.suffix for path in boards} == {".md", ".csv", ".json", ".svg", ".png"}
    assert (project.root / "leaderboard" / "index.html").exists()
    assert "practice" in (project.root / "leaderboard" / "README.md").read_text()


def test_help_and_leaderboard_load_no_torch_and_nothing_that_draws(project: Project) -> None:
    code = (
        "import sys; from harness.cli import run; run({arguments!r});"
        " print(sorted({{'torch', 'sklearn', 'PIL', 'jinja2', 'vl_convert'}} & set(sys.modules)))"
    )
    for arguments in (["leaderboard"], ["--help"], ["score", "--f1", "0.7", "--time", "60"]):
        done = subprocess.run(
            [sys.executable, "-c", code.format(arguments=arguments)],
            capture_output=True,
            text=True,
            env=project.environment(),
            cwd=project.root,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_the_readmes_two_lines_are_a_submission(project: Project) -> None:
    project.package("plain", PREDICT)
    project.run("check", "plain")
