"""A package without Python that is trained: what its [input] says is what its training does."""

from pathlib import Path

import pytest

from harness.data.store import Store
from harness.errors import SubmissionError
from harness.formats import Input
from harness.lab.networks import untrained
from harness.lab.train import train
from tests.lab.test_export import DECLARED, RECIPE, TABLE


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ("size = 48", "expected what training does: size 32, got 48; change"),
        ("size = 32\nresize = 'box'\npad = false", "pad true, got false; resize bilinear, got box; change"),
        ("size = [32, 24]", r"size 32, got \[32, 24\]"),
        ("size = 32\nlayout = 'NHWC'", "layout NCHW, got NHWC"),
        ("size = 32\ntype = 'uint8'", "type float32, got uint8"),
    ],
)
def test_a_declared_input_that_training_does_not_do_is_refused(
    changed: str, says: str, tmp_path: Path, tinted: Store
) -> None:
    (tmp_path / "submission.toml").write_text(DECLARED.replace("size = 32", changed))
    (tmp_path / "net.yaml").write_text(TABLE)
    with pytest.raises(SubmissionError, match=says):
        next(iter(train(tmp_path, tinted, RECIPE)))


def test_a_square_is_its_side() -> None:
    assert untrained(Input((32, 32)), 32) == []
