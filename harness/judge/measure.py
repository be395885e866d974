"""All that is timed in a run: the baseline alone, the passes, the channel's floor between them."""

from typing import NamedTuple

import numpy as np

from harness.judge import schedule
from harness.judge.bench import Bench
from harness.metrics import Ints
from harness.raw import RawFloor, RawLeg, RawPass
from harness.timed import log_ratios


class Measured(NamedTuple):
    """All that was timed."""

    passes: list[RawPass]
    alone: list[RawLeg]
    floor: list[RawFloor]
    pilot: int  # passes from which their number was fixed; 0 where it was not


def measure(bench: Bench, labels: Ints, plan: schedule.Plan) -> Measured:
    """The baseline alone, a pass over all crops, the plan's other passes over secret subsets, the baseline alone.

    `labels`: (test crops,), for strata only. The number of passes is fixed once, never by how the numbers look.
    """
    protocol, areas = bench.rules.protocol, bench.pixels.sizes.prod(axis=1)
    cost = np.ones(labels.size)  # until the first pass says more

    def subset(size: int) -> Ints:
        return schedule.subset(labels, areas, cost, schedule.whole_batches(size, bench.batches), bench.rng)

    begun = bench.now_s()
    with bench.floor() as nulls:
        floor = nulls.leg()
        alone = [bench.alone(subset(protocol.subset_crops // 2), "baseline alone")]
        alone_s = bench.now_s() - begun

        first_begun = bench.now_s()
        passes = [bench.interleaved(np.arange(labels.size), "pass 1")]
        floor += nulls.leg()
        cost[list(passes[0].crops)] = passes[0].submission_ns
        timed_s = (sum(passes[0].submission_ns) + sum(passes[0].baseline_ns)) / 1e9
        size = schedule.later_crops(protocol.subset_crops, protocol.subset_s, timed_s / labels.size, labels.size)

        def more(count: int, of: str) -> None:
            for number in range(len(passes) + 1, count + 1):
                passes.append(bench.interleaved(subset(size), f"pass {number} of {of}"))
                floor.extend(nulls.leg())

        pilot = 0
        match plan:
            case schedule.Budget(seconds):
                pass_s = bench.now_s() - first_begun - timed_s * (1 - size / labels.size)
                spent_s = bench.now_s() - begun + alone_s
                count = schedule.passes(seconds, spent_s, pass_s, protocol.least_passes, protocol.most_passes)
            case schedule.Exactly(count):
                pass
            case schedule.Pilot(fix):
                pilot = protocol.pilot_passes
                more(pilot, f"{pilot} or more")
                count = min(fix(log_ratios(passes, floor, protocol, bench.batches)), protocol.most_passes)
        more(count, str(count))
        alone.append(bench.alone(subset(protocol.subset_crops // 2), "baseline alone"))
    return Measured(passes, alone, floor, pilot)
