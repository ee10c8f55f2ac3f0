"""What every test relies on: one thread per process, no display, and a cache of its own."""

import os
import shutil
import tempfile

import pytest

# Set before numpy or torch is imported anywhere, and handed on to the commands that tests start: several test
# processes share the cores, and one thread each is also what makes bits repeat.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg", TOKENIZERS_PARALLELISM="false")


def pytest_configure(config: pytest.Config) -> None:
    """Gives the whole run one empty cache folder, so that nothing a user has cached can make a test pass."""
    if not hasattr(config, "workerinput"):  # the processes of pytest-xdist inherit it from the one that started them
        os.environ["MODEL_COLLAPSE_CACHE"] = tempfile.mkdtemp(prefix="model-collapse-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["MODEL_COLLAPSE_CACHE"], ignore_errors=True)
