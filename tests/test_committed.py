"""What is committed in leaderboard/: every record is whole, derives again to itself, and the boards are theirs."""

import subprocess
from pathlib import Path

import pytest

from harness import paths, profiles, records, rules
from harness.cli.pages import differing
from harness.data.weights import read_info
from harness.derive import derive
from harness.report.against import same_run
from harness.staging import Target, staged
from tests.conftest import ROOT

FOLDER = ROOT / "leaderboard"
RECORDS = sorted((FOLDER / "records").glob("*.json"))
RULES = rules.parse((ROOT / paths.RULES).read_bytes(), "rules.toml")
INFOS = sorted(ROOT.glob("*/*/weights/embedded.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_committed_record_derives_again_from_its_raw_file(path: Path) -> None:
    record = records.read(path)
    assert record.result is not None
    assert record.rules == RULES.digest(), "rules that changed open new boards: run the committed entries again"
    assert same_run(derive(records.read_raw(path, record), RULES, record.half), record.result)


def test_the_committed_boards_are_those_of_the_committed_records() -> None:
    found, problems = records.read_paths(FOLDER / "records")
    assert problems == ()
    assert len(found) == len(RECORDS)
    assert differing(ROOT, RULES, found) == [], "write them again with `harness leaderboard --write`"


@pytest.mark.parametrize("info", INFOS, ids=lambda path: path.parents[1].name)
def test_a_bundled_package_with_weights_is_the_one_that_was_judged(info: Path) -> None:
    judged = {side.digest for one in map(records.read, RECORDS) for side in (one.submission, one.baseline)}
    with staged(info.parents[1], Target("embedded", read_info(info).classes), RULES.limits) as (package, _):
        assert package.digest in judged, "its board is of another package"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout")
def test_what_a_bundled_package_runs_with_is_committed() -> None:
    missing = subprocess.run(
        ["git", "ls-files", "--others", "--", *(f"{path.parent}/embedded.*" for path in INFOS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert missing.stdout == "", "git ignores it: a clone would not have it"


def test_the_committed_profiles_are_of_committed_entries() -> None:
    found, problems = profiles.read_all(FOLDER / "profiles")
    assert problems == ()
    entries = {record.submission.digest: record.submission.name for record in map(records.read, RECORDS)}
    assert {digest: its.name for digest, its in found.items()}.items() <= entries.items()
    macs = {its.name: its.macs for its in found.values()}
    assert macs["mbv3_cut"] == macs["mbv3_cut_onnx"] == macs["mbv3_cut_int8"] == 342_845_424
