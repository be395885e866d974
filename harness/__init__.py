"""harness: judges image classifiers by macro F1 and by time, interleaved with a baseline, in a sandbox."""

__version__ = "0.1.0"
