"""What each step towards a fast mbv3_cut gains: duels against it in eager PyTorch, one after the other.

python docs/experiments/steps.py [STEP ...]      nothing else running; appends a line of JSON a duel to steps.jsonl

Packages that are not bundled are exported first, into a folder that goes with the run.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).with_name("steps.jsonl")
HARNESS = [str(Path(sys.executable).with_name("harness"))]
EXPORTS = {"torch.export": "mbv3_cut_export", "openvino": "mbv3_cut_openvino"}


class Side(NamedTuple):
    """A package, and what is changed in a file of it."""

    name: str
    file: str = "submission.toml"
    old: str = ""
    new: str = ""


EAGER = Side("mbv3_cut")
ONE_THREAD = ("submission.toml", 'format = "onnx"', 'format = "onnx"\nthreads = 1')
# As torch does it by itself: freed memory goes back to the system after each crop.
PLAIN = Side(
    "mbv3_cut", "predict.py", "    return", "    import harness.nets.serve as s\n    s.keep_pages = int\n    return"
)
STEPS = {  # who is timed, and against whom
    "torch.export, folded": (Side("mbv3_cut_export"), EAGER),
    "ONNX Runtime": (Side("mbv3_cut_onnx"), EAGER),
    "ONNX Runtime, against eager that keeps no pages": (Side("mbv3_cut_onnx"), PLAIN),
    "ONNX Runtime, one thread": (Side("mbv3_cut_onnx", *ONE_THREAD), EAGER),
    "OpenVINO": (Side("mbv3_cut_openvino"), EAGER),
    "OpenVINO, int8": (Side("mbv3_cut_int8"), EAGER),
    "template": (Side("template"), EAGER),
    "edge": (Side("edge"), EAGER),
    "edge, one thread": (Side("edge", *ONE_THREAD), EAGER),
    "shufflenet_v2": (Side("shufflenet_v2"), EAGER),
    "squeezenet": (Side("squeezenet"), EAGER),
}


def run(*arguments: str) -> str:
    """What a command of harness prints."""
    return subprocess.run([*HARNESS, *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def package(side: Side, home: Path) -> str:
    """The package's folder, a changed copy of it where something is changed."""
    exported = {theirs: to for to, theirs in EXPORTS.items()}
    if side.name in exported and not (ROOT / "submissions" / side.name).exists():
        run("export", "mbv3_cut", "--to", exported[side.name], "--data", "embedded", "--name", side.name)
        shutil.move(ROOT / "submissions" / side.name, home / side.name)
    source = home / side.name if (home / side.name).exists() else ROOT / "submissions" / side.name
    if not side.old:
        return str(source)
    copy = Path(tempfile.mkdtemp(dir=home)) / side.name
    shutil.copytree(source, copy)
    text = (copy / side.file).read_text()
    assert side.old in text, side
    (copy / side.file).write_text(text.replace(side.old, side.new))
    return str(copy)


def main(steps: list[str]) -> None:
    """Runs the steps that are named, all without a name."""
    with tempfile.TemporaryDirectory() as folder:
        for step in steps or STEPS:
            timed, against = (package(side, Path(folder)) for side in STEPS[step])
            said = run("duel", timed, against, "--data", "embedded", "--see", "20%")
            found = re.search(r"record +(\S+)", said)
            assert found is not None, said
            record = json.loads((ROOT / found[1]).read_text())
            result = record["result"]
            line = {
                "step": step,
                "at": record["created_utc"],
                "time_ratio": result["time_ratio"],
                "passes": len(result["log_ratios"]),
                "f1_difference": result["f1_difference"],
                "p50_ms": [result[f"{side}_latency"]["p50_ms"] for side in ("submission", "baseline")],
                "flags": result["flags"],
                "cpu": record["machine"]["cpu"],
                "threads": record["machine"]["threads"],
            }
            with OUT.open("a") as file:
                file.write(json.dumps(line) + "\n")
            ratio = result["time_ratio"]
            print(
                f"{step}: {1 / ratio['value']:.2f} times as fast ({ratio['low']:.4f} to {ratio['high']:.4f})",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
