"""A small data set for the bench."""

import pytest

from harness.data.store import Store, open_store
from tests.pictures import prepare_tinted


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A small data set that is easy to learn."""
    return open_store(prepare_tinted(tmp_path_factory.mktemp("tinted")))
