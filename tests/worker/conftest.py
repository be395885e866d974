"""A tiny network in every format; packages of it, loaded here or asked in the sandbox."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.errors import SubmissionError
from harness.judge.isolation import Sandbox
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.staging import Target, staged
from harness.wire import input_bytes
from harness.worker import declared
from harness.worker.package import Failed, Predict
from tests.worker.making import CLASSES, Crop, export_all, tiny

Loaded = Callable[[Path], contextlib.AbstractContextManager[Predict]]
Refused = Callable[[Path], tuple[str, str]]


@pytest.fixture(scope="session")
def net() -> nn.Module:
    return tiny()


@pytest.fixture(scope="session")
def models(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the network's files; see `export_all`."""
    folder = tmp_path_factory.mktemp("models")
    export_all(net, folder)
    return folder


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Runtimes set torch's threads, and these run in the tests' own process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def loaded(target: Target, the_rules: Rules) -> Loaded:
    """loaded(package): its predict, in this process."""

    @contextlib.contextmanager
    def load(package: Path) -> Iterator[Predict]:
        with staged(package, target, the_rules.limits) as (_, folder), contextlib.chdir(folder):
            yield declared.load(folder, "cpu")

    return load


@pytest.fixture
def refused(loaded: Loaded, tmp_path: Path) -> Refused:
    """refused(package): the kind and the text of what is said of a bad one, which is one short line."""

    def refuse(package: Path) -> tuple[str, str]:
        try:
            with loaded(package):
                pass
        except SubmissionError as error:
            kind, said = error.kind, error.message
        except Failed as failed:
            kind, said = failed.reason.name.lower(), str(failed)
        else:
            raise AssertionError("it was not refused")
        assert "\n" not in said
        assert len(said) < 300
        assert "expected" in said or "unknown key" in said
        assert not any(word in said for word in (str(tmp_path.parent), "harness-", ".cc:", ".cpp:", ".h:", "::", "0x"))
        return kind, said

    return refuse


def answers(package: Path, sandbox: Sandbox, rules: Rules, target: Target, crops: list[Crop]) -> list[list[int]]:
    """The labels of crops, each alone and all together, of a package in a sandbox."""
    setting = Setting(sandbox, rules.limits, "cpu", 1, input_bytes([crop.shape[:2] for crop in crops]))
    with (
        staged(package, target, rules.limits) as (described, folder),
        Session(Staged(described.name, folder, CLASSES), setting) as session,
    ):
        session.load()
        alone = [session.classify([crop]).labels.tolist()[0] for crop in crops]
        return [alone, session.classify(crops).labels.tolist()]
