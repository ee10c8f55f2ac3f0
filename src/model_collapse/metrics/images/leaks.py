"""What stands in a training set that must not; the same measure as of any rows."""

from model_collapse.metrics.leaks import leaks

__all__ = ["leaks"]
