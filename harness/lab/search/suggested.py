"""What Optuna proposes for one place of a space."""

import json

from optuna.trial import Trial

from harness.lab.search import study as trials
from harness.lab.search.space import Knob, Value


def suggested(its: Trial, knob: Knob) -> Value:
    """What the sampler, or the queue, says."""
    setting = knob.setting
    if setting.choose:
        value: Value = trials.decoded(its.suggest_categorical(knob.place, [plain(one) for one in setting.choose]))
        return value
    assert setting.low is not None
    assert setting.high is not None
    if setting.whole():
        low, high, step = int(setting.low), int(setting.high), int(setting.step or 1)
        whole: int = its.suggest_int(knob.place, low, high, step=step, log=setting.log)
        return whole
    drawn_one: float = its.suggest_float(knob.place, setting.low, setting.high, step=setting.step, log=setting.log)
    return drawn_one


def plain(value: Value) -> bool | int | float | str | None:
    """As a categorical value that a storage keeps."""
    return json.dumps(value) if isinstance(value, list) else value
