"""Values for tests: rules, packages, results, records, raw files. Every one is valid unless told otherwise."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from harness.derive import derive
from harness.raw import Raw, RawFloor, RawLeg, RawPass
from harness.record import DataId, Failure, Isolation, Latency, Machine, Package, Record, Result, Windows, seal
from harness.rules import Eligibility, Level, Limits, Protocol, PublishedScale, Rules, Target
from harness.score import ScoreRule, score
from harness.stats import Interval, geometric_mean_interval, standard_error, t_critical

CLASSES = ("metal", "paper", "plastic")
CREATED = "2026-11-24T08:45:32Z"


def make_rules(**changes: Any) -> Rules:
    """The rules that the tests are written for; `changes` replace fields."""
    rules = Rules(
        baseline="reference",
        canary="colour_histogram",
        isolation="bwrap",
        score=ScoreRule(),
        published=PublishedScale(baseline_f1=0.7, baseline_time_s=43.16),
        target=Target(time_ratio=0.8),
        eligible=Eligibility(f1_drop=0.1, f1_share=0.9),
        protocol=Protocol(
            block_crops=25,
            settle_crops=3,
            warmup_crops=20,
            pilot_passes=5,
            least_passes=3,
            most_passes=40,
            subset_crops=150,
            subset_s=3.0,
            steady_half_width=0.02,
            official_half_width=0.01,
            outside_share=0.1,
            most_dropped=0.1,
            disturbed=0.02,
        ),
        limits=Limits(
            load_s=120.0,
            answer_s=10.0,
            side_s=1200.0,
            memory_mb=8192,
            processes=256,
            scratch_mb=256,
            file_mb=256,
            output_kb=4096,
            package_mb=512,
            package_files=2000,
        ),
    )
    return msgspec.structs.replace(rules, **changes)


def digest_of(name: str) -> str:
    """A digest that looks like one: the sha256 of the name."""
    return hashlib.sha256(name.encode()).hexdigest()


def make_package(name: str = "mbv3_cut", digest: str | None = None, **changes: Any) -> Package:
    """A package; its digest follows from its name unless given."""
    package = Package(name=name, digest=digest or digest_of(name), authors="someone", size_bytes=1_200_000)
    return msgspec.structs.replace(package, **changes)


def make_data(name: str = "trash", **changes: Any) -> DataId:
    """A data set of 60 test crops from 20 photos."""
    data = DataId(name=name, digest=digest_of(name), classes=CLASSES, test_crops=60, test_photos=20)
    return msgspec.structs.replace(data, **changes)


def make_machine(**changes: Any) -> Machine:
    """A machine with two cores."""
    machine = Machine(
        device="cpu",
        cpu="Some(R) CPU @ 2.00GHz",
        cores=2,
        threads=2,
        memory_mb=7_900,
        kernel="6.1.0",
        python="3.11.7",
        versions={"torch": "2.9.0"},
        load_1min=0.1,
    )
    return msgspec.structs.replace(machine, **changes)


def make_isolation(level: Level = "bwrap") -> Isolation:
    """A level as it is observed where everything holds."""
    return Isolation(
        level=level, uid_differs=True, capabilities=0, seccomp=True, no_new_privs=True, namespaces=("net", "pid")
    )


def make_raw(passes: int = 3, ratio: float = 0.8, accuracy: float = 0.9, seed: int = 0, crops: int = 60) -> Raw:
    """A raw file of a submission about `ratio` times as slow as its baseline, right in `accuracy` of the crops."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), crops)
    ours = np.where(rng.random(crops) < accuracy, labels, rng.integers(0, len(CLASSES), crops)).tolist()
    theirs = np.where(rng.random(crops) < 0.85, labels, rng.integers(0, len(CLASSES), crops)).tolist()
    every = list(range(crops))
    return Raw(
        classes=CLASSES,
        labels=tuple(labels.tolist()),
        photos=tuple(f"photo{crop // 3}" for crop in every),
        splits=tuple("test-public" if crop < crops // 2 else "test-private" for crop in every),
        baseline_f1=None,
        seed=seed,
        passes=tuple(
            RawPass(
                first="submission" if number % 2 else "baseline",
                blocks=(crops // 2, crops - crops // 2),
                crops=tuple(every),
                submission_ns=tuple((rng.normal(ratio * 5e6, 1e5, crops)).astype(int).tolist()),
                baseline_ns=tuple((rng.normal(5e6, 1e5, crops)).astype(int).tolist()),
                submission_labels=tuple(ours),
                baseline_labels=tuple(theirs),
            )
            for number in range(passes)
        ),
        alone=tuple(RawLeg(tuple(every), tuple(rng.normal(5e6, 1e5, crops).astype(int).tolist())) for _ in range(2)),
        floor=(RawFloor(0, (15_000,) * 9), RawFloor(5_000_000, (5_040_000,) * 9)),
    )


def make_result(
    log_ratios: Sequence[float] = (-0.22, -0.21, -0.23, -0.22, -0.22),
    f1: float = 0.80,
    baseline_f1: float = 0.80,
    rules: Rules | None = None,
    **changes: Any,
) -> Result:
    """A result that fits its time ratios and F1 under `rules`, as derive would give for a deterministic package."""
    rules = rules or make_rules()
    logs = np.array(log_ratios)
    ratio, log_error = geometric_mean_interval(logs), standard_error(logs)
    value = score(f1, ratio.value, baseline_f1, rules.score)
    error = None if log_error is None else rules.score.time_weight * ratio.value * log_error
    half = None if error is None else t_critical(logs.size - 1) * error
    result = Result(
        log_ratios=tuple(log_ratios),
        log_error=log_error,
        degrees=max(logs.size - 1, 1),
        history=None,
        time_ratio=ratio,
        f1=Interval(f1, max(f1 - 0.05, 0.0), min(f1 + 0.05, 1.0)),
        baseline_f1=baseline_f1,
        baseline_f1_frozen=False,
        f1_difference=Interval(f1 - baseline_f1, f1 - baseline_f1 - 0.03, f1 - baseline_f1 + 0.03),
        score=Interval(value, None if half is None else value - half, None if half is None else value + half),
        score_photos=Interval(value, value - 0.2, value + 0.2),
        score_error=error,
        drawn_f1=tuple(np.clip(f1 + np.linspace(-0.05, 0.05, 20), 0, 1).tolist()),
        drawn_baseline_f1=tuple(np.clip(baseline_f1 + np.linspace(-0.05, 0.05, 20), 0, 1).tolist()),
        submission_latency=make_latency(5.0 * ratio.value),
        baseline_latency=make_latency(5.0),
        submission_floor_us=20.0,
        baseline_floor_us=21.0,
        classes=(),
        confusion=((20.0, 0.0, 0.0), (0.0, 20.0, 0.0), (2.0, 3.0, 15.0)),
        eligible=f1 >= rules.least_f1(baseline_f1),
        target_met=f1 >= baseline_f1 and ratio.value <= rules.target.time_ratio,
        steady=ratio.half_width is not None and ratio.half_width <= rules.protocol.steady_half_width * ratio.value,
        windows=Windows(),
        summary="a sentence",
        flags=(),
    )
    return msgspec.structs.replace(result, **changes)


def make_latency(mean_ms: float = 5.0) -> Latency:
    """Latencies around a mean."""
    return Latency(
        mean_ms=mean_ms,
        p50_ms=mean_ms * 0.98,
        p90_ms=mean_ms * 1.1,
        p95_ms=mean_ms * 1.2,
        p99_ms=None,
        crops_per_s=1e3 / mean_ms,
    )


def make_record(name: str = "mbv3_cut", *, result: Result | None = None, **changes: Any) -> Record:
    """A sealed record of the package `name` with a result. `changes` replace the record's fields before sealing."""
    record = Record(
        created_utc=CREATED,
        harness="0.1.0",
        status="ok",
        submission=make_package(name),
        baseline=make_package("reference"),
        data=make_data(),
        rules=make_rules().digest(),
        seed=1,
        machine=make_machine(),
        isolation=make_isolation(),
        result=result or make_result(),
        raw_sha256=digest_of("raw"),
    )
    return seal(msgspec.structs.replace(record, **changes))


def make_failed(name: str = "broken", *, message: str = "it raised ValueError", **changes: Any) -> Record:
    """A sealed record of a run that failed by the submission."""
    failure = Failure(owner="submission", kind="raised", message=message)
    bare: dict[str, Any] = {"status": "failed", "failure": failure, "raw_sha256": None}
    record = make_record(name, **{**bare, **changes})
    return seal(msgspec.structs.replace(record, result=None))


def make_run(name: str = "mbv3_cut", raw: Raw | None = None, **changes: Any) -> tuple[Record, Raw]:
    """A record whose result is derived from a raw file, and that raw file: what a real run hands to records.write."""
    raw = raw or make_raw()
    return make_record(name, result=derive(raw, make_rules()), raw_sha256=None, **changes), raw


def make_field(times: Sequence[float], sd: float, seed: int, passes: int = 5) -> list[Record]:
    """Records of packages "entry0", "entry1", … whose passes' log ratios scatter by `sd` around log(times)."""
    rng = np.random.default_rng(seed)
    return [
        make_record(f"entry{i}", result=make_result(rng.normal(math.log(time), sd, passes).tolist()))
        for i, time in enumerate(times)
    ]
