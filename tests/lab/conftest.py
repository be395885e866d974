"""A small data set for the bench."""

import pytest

from harness.data.store import Store, open_store
from tests.pictures import prepare_tinted


@pytest.fixture(scope="session")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """54 crops to train on, 18 for validation, of three classes that are easy to learn."""
    return open_store(prepare_tinted(tmp_path_factory.mktemp("tinted")))
