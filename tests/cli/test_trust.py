"""doctor, duel, compare, verify, rescore, as a user types them; the workers spin a known time."""

import json
import re
from pathlib import Path

import pytest

from harness.checkup import LEAST_PASSES
from tests.cli.conftest import Project
from tests.conftest import spinning


@pytest.fixture
def judged(project: Project) -> Project:
    """A project with a small pass and a baseline that spins 400 us."""
    rules = project.root / "baselines" / "rules.toml"
    text = rules.read_text().replace('baseline = "colour_histogram"', 'baseline = "steady"')
    rules.write_text(text.replace("most_passes = 40", "most_passes = 8"))
    project.package("steady", spinning(1000))
    project.package("slow", spinning(3000))  # ten times "sharp": a busy machine does not hide it
    return project


def records(project: Project, folder: str = ".") -> list[Path]:
    paths = (project.root / "leaderboard" / "local" / folder).glob("*.json")
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns)


def test_doctor_says_what_can_be_seen_and_remembers_it(judged: Project) -> None:
    said = judged.run("doctor", "timing", "--budget", "3s").stdout
    assert all(len(line) <= 80 for line in said.splitlines()[:-1])
    for word in ("bias", "spread", "can see", "with 5 passes", "with 20", "checkups    1 in 7 days"):
        assert word in said
    bias = re.search(r"bias +([+-][\d.]+)%", said)
    assert bias is not None
    assert abs(float(bias[1])) < 20
    (path,) = records(judged, "checkups")
    checkup = json.loads(path.read_text())
    assert checkup["submission"]["digest"] == checkup["baseline"]["digest"]
    assert checkup["result"]["history"] is None
    for _ in range(3):  # a noisy checkup says nothing of the machine, and the tests beside this one make noise
        if sum(map(passes_of_quiet, records(judged, "checkups"))) >= LEAST_PASSES:
            break
        judged.here("doctor", "timing", "--budget", "3s")
    judged.here("evaluate", "sharp", "--budget", "1s")
    (path,) = records(judged)
    history = json.loads(path.read_text())["result"]["history"]
    quiet = list(filter(None, map(passes_of_quiet, records(judged, "checkups"))))
    if sum(quiet) < LEAST_PASSES:
        assert history is None
        return
    assert history["degrees"] == sum(passes - 1 for passes in quiet)
    assert history["variance"] > 0


def passes_of_quiet(path: Path) -> int:
    """Passes of a checkup that counts, 0 of a noisy one."""
    result = json.loads(path.read_text())["result"]
    return 0 if "noisy" in result["flags"] else len(result["log_ratios"])


def test_doctor_tries_the_isolation_levels(judged: Project) -> None:
    said = judged.here("doctor", "isolation").stdout
    for level in ("bwrap", "landlock", "process"):
        assert level in said
    assert "process     works here" in said
    assert "published   from bwrap on" in said


def test_a_duel_finds_the_slower_one_whichever_is_first(judged: Project) -> None:
    there = judged.run("duel", "sharp", "slow", "--see", "30%").stdout
    assert "sharp against slow on practice" in there
    back = judged.here("duel", "slow", "sharp", "--see", "30%").stdout
    ratios = [float(re.search(r"time ratio +([\d.]+)", said)[1]) for said in (there, back)]  # type: ignore[index]
    assert 0.07 < ratios[0] < 0.3
    assert 3 < ratios[1] < 15
    assert re.search(r"sharp takes [\d.]+% less time than slow", there)
    assert "their F1 is a tie" in there
    assert all(len(line) <= 80 for line in there.splitlines()[:-1])
    assert len(records(judged, "duels")) == 2
    assert judged.here("leaderboard").stdout == ""  # a duel is no entry


def test_a_gate_fails_what_is_slower_and_passes_what_is_not(judged: Project) -> None:
    done = judged.undisturbed("duel", "slow", "sharp", "--gate", "time:30%", "--gate", "f1:0.005", code=6)
    assert re.search(r"gate +time:30% FAIL: ", done.stdout)
    assert re.search(r"gate +f1:0.005 PASS: ", done.stdout)
    done = judged.undisturbed("duel", "sharp", "slow", "--gate", "time:30%")
    assert "time:30% PASS" in done.stdout


def test_a_gate_that_cannot_tell_says_so(judged: Project) -> None:
    judged.package("odd", spinning(600).replace("int(crop[0, 0, 0]) % 6", "int(crop.sum()) % 6"))
    judged.package("even", spinning(600).replace("int(crop[0, 0, 0]) % 6", "int(crop[:9].sum()) % 6"))
    done = judged.undisturbed("duel", "odd", "even", "--gate", "f1:0.001", "--see", "30%", code=7)
    assert "f1:0.001 UNSURE" in done.stdout


def test_what_the_second_of_a_duel_does_wrong_is_its_own_fault(judged: Project) -> None:
    judged.package("broken", "def load(device):\n    raise ValueError('no')\n")
    assert "broken: load raised ValueError" in judged.error("duel", "sharp", "broken", code=4)


def test_two_records_of_one_board_are_compared(judged: Project) -> None:
    judged.here("evaluate", "sharp", "--budget", "1s")
    judged.here("evaluate", "slow", "--budget", "1s")
    sharp, slow = map(str, records(judged))
    said = judged.here("compare", sharp, slow).stdout
    assert 0.05 < float(re.search(r"time ratio +([\d.]+)", said)[1]) < 0.4  # type: ignore[index]
    assert float(re.search(r"P\(better\) ([\d.]+)", said)[1]) > 0.95  # type: ignore[index]
    judged.here("evaluate", "sharp", "--budget", "1s", "--baseline", "blunt")
    other = str(records(judged)[-1])
    assert "two that differ in baseline" in judged.error("compare", sharp, other, code=3)
    judged.package("broken", "def load(device):\n    raise ValueError\n")
    judged.here("evaluate", "broken", "--budget", "1s", code=4)
    assert "expected a record with a result" in judged.error("compare", sharp, str(records(judged)[-1]), code=3)


def test_a_record_is_verified_by_running_it_again(judged: Project) -> None:
    judged.here("evaluate", "sharp", "--budget", "1s")
    (path,) = records(judged)
    done = judged.run("verify", str(path), "--budget", "1s")
    assert "sharp on practice: verified" in done.stdout
    assert re.search(r"answers +0 of \d+ crops differ", done.stdout)
    judged.package("sharp", spinning(900))
    message = judged.error("verify", str(path), "--budget", "1s", code=3)
    assert "expected the submission of the record" in message


def test_answers_that_are_not_those_of_the_record_are_not_verified(judged: Project) -> None:
    fickle = spinning(300).replace("return [int(crop[0, 0, 0]) % 6", "import os\n        return [os.urandom(1)[0] % 6")
    judged.package("fickle", fickle)
    judged.here("evaluate", "fickle", "--budget", "1s")
    done = judged.here("verify", str(records(judged)[0]), "--budget", "1s", code=6)
    assert "fickle on practice: NOT verified" in done.stdout
    assert "crops differ: too many" in done.stdout


def test_rescore_needs_neither_a_run_nor_the_data_set(judged: Project) -> None:
    import shutil

    judged.here("evaluate", "sharp", "--budget", "1s")
    shutil.rmtree(judged.root / "data")
    assert "1 as the present rules derive them, 0 not" in judged.here("rescore").stdout
    rules = judged.root / "baselines" / "rules.toml"
    rules.write_text(rules.read_text().replace("time_weight = 0.5", "time_weight = 1.0"))
    assert "0 as the present rules derive them, 1 not" in judged.here("rescore", code=6).stdout
    assert len(records(judged)) == 1
    judged.here("rescore", "--write")
    old, new = (json.loads(path.read_text()) for path in records(judged))
    assert new["rescored_from"] == old["digest"]
    assert new["result"]["score"]["value"] > old["result"]["score"]["value"]
    assert "1 as the present rules derive them, 0 not" in judged.here("rescore").stdout
    rules.write_text(rules.read_text().replace("time_weight = 1.0", "time_weight = 0.5"))
    judged.here("rescore", "--write")
    boards = json.loads(judged.here("leaderboard", "--format", "json").stdout)
    assert {row["runs"] for board in boards for row in board["rows"]} == {1}  # a run's passes count once


def test_a_record_whose_raw_file_is_gone_is_named_and_not_counted(judged: Project) -> None:
    judged.here("evaluate", "sharp", "--budget", "1s")
    next((judged.root / "leaderboard" / "local").glob("*.raw.json.gz")).unlink()
    done = judged.here("rescore")
    assert "0 as the present rules derive them, 0 not" in done.stdout
    assert "harness: skipped: " in done.stderr


def test_an_official_run_fixes_its_passes_by_a_pilot(judged: Project) -> None:
    rules = judged.root / "baselines" / "rules.toml"
    rules.write_text(rules.read_text().replace("official_half_width = 0.01", "official_half_width = 50.0"))
    judged.here("evaluate", "sharp", "--official")
    (path,) = records(judged)
    assert len(json.loads(path.read_text())["result"]["log_ratios"]) == 3


def test_an_official_run_has_the_isolation_that_the_rules_ask(judged: Project) -> None:
    said = judged.error("evaluate", "sharp", "--official", "--isolation", "process", code=2)
    assert "expected isolation bwrap or stronger, got process" in said


def test_a_verdict_has_a_sentence_a_rank_and_what_the_next_one_takes(judged: Project) -> None:
    judged.here("evaluate", "sharp", "--budget", "4s")  # more passes than three, to be told apart beyond doubt
    said = judged.here("evaluate", "slow", "--budget", "4s").stdout
    words = " ".join(said.split())
    assert re.search(r"so \d[\d.]*x slower than the baseline .*; score .*; rank 2 of 2", words)
    assert re.search(r"next the score of sharp, rank 1, takes [\d.]+ ms less a crop", words)
    assert "on other photos" in said
    result = json.loads(records(judged)[-1].read_text())["result"]
    assert "x slower than the baseline" in result["summary"]


def test_mistakes_in_duels_and_records(judged: Project) -> None:
    assert "expected time:3% or f1:0.005" in judged.error("duel", "sharp", "blunt", "--gate", "speed", code=2)
    assert "expected less than 100 %" in judged.error("duel", "sharp", "blunt", "--gate", "time:3", code=2)
    assert "--see: expected a difference like 2%" in judged.error("duel", "sharp", "blunt", "--see", "much", code=2)
    assert "expected a file, got none" in judged.error("verify", "nothing.json", code=3)
