"""The labels of the test splits. Only what calls harness.judge.evaluate may import this module."""

from harness.data.labels import Labels, read_labels
from harness.data.store import TEST_SPLITS, Store


def open_test_labels(store: Store) -> dict[str, Labels]:
    """Labels of "test-public" and "test-private", each in the order of its crops.

    Raises DataError where a file is missing, closed to this user or damaged.
    """
    manifest = store.manifest
    return {
        split: read_labels(store.path, split, manifest.crops[split], len(manifest.classes)) for split in TEST_SPLITS
    }
