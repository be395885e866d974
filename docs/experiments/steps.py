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

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).with_name("steps.jsonl")
HARNESS = [str(Path(sys.executable).with_name("harness"))]
EXPORTS = {"torch.export": "mbv3_cut_export", "openvino": "mbv3_cut_openvino"}
# Step -> (package, what is changed in its submission.toml)
STEPS = {
    "torch.export, folded": ("mbv3_cut_export", ("", "")),
    "ONNX Runtime": ("mbv3_cut_onnx", ("", "")),
    "ONNX Runtime, one thread": ("mbv3_cut_onnx", ('format = "onnx"', 'format = "onnx"\nthreads = 1')),
    "OpenVINO": ("mbv3_cut_openvino", ("", "")),
    "OpenVINO, int8": ("mbv3_cut_int8", ("", "")),
    "template": ("template", ("", "")),
    "edge": ("edge", ("", "")),
    "edge, one thread": ("edge", ('format = "onnx"', 'format = "onnx"\nthreads = 1')),
    "shufflenet_v2": ("shufflenet_v2", ("", "")),
    "squeezenet": ("squeezenet", ("", "")),
}


def run(*arguments: str) -> str:
    """What a command of harness prints."""
    return subprocess.run([*HARNESS, *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def package(name: str, change: tuple[str, str], home: Path) -> Path:
    """The package's folder, a changed copy of it where something is changed."""
    exported = {theirs: to for to, theirs in EXPORTS.items()}
    if name in exported and not (ROOT / "submissions" / name).exists():
        run("export", "mbv3_cut", "--to", exported[name], "--data", "embedded", "--name", name)
        shutil.move(ROOT / "submissions" / name, home / name)
    source = home / name if (home / name).exists() else ROOT / "submissions" / name
    if not change[0]:
        return source
    copy = Path(tempfile.mkdtemp(dir=home)) / name
    shutil.copytree(source, copy)
    manifest = copy / "submission.toml"
    manifest.write_text(manifest.read_text().replace(*change))
    return copy


def main(steps: list[str]) -> None:
    """Runs the steps that are named, all without a name."""
    with tempfile.TemporaryDirectory() as folder:
        for step in steps or STEPS:
            said = run(
                "duel", str(package(*STEPS[step], Path(folder))), "mbv3_cut", "--data", "embedded", "--see", "20%"
            )
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
