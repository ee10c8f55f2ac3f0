"""What every test relies on: one thread per process, no display, an empty cache, and what is made once for all."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from filelock import FileLock

# Set before numpy or torch is imported anywhere, and handed on to the commands that tests start: several test
# processes share the cores, and one thread each is also what makes bits repeat.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg", TOKENIZERS_PARALLELISM="false")

# As model_collapse.companion.book does it: nbformat would have a grammar of web addresses compiled that nobody needs.
sys.modules.setdefault("rfc3987_syntax", None)


def pytest_configure(config: pytest.Config) -> None:
    """Gives the whole run one empty folder with a cache in it, so that nothing a user has cached lets a test pass."""
    config.addinivalue_line("markers", "slow: left out of `make test`, run by `make test-all`; see slow.txt")
    if not hasattr(config, "workerinput"):  # the processes of pytest-xdist inherit it from the one that started them
        folder = tempfile.mkdtemp(prefix="model-collapse-tests-")
        os.environ.update(MODEL_COLLAPSE_TESTS=folder, MODEL_COLLAPSE_CACHE=f"{folder}/cache")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["MODEL_COLLAPSE_TESTS"], ignore_errors=True)


SLOW = Path(__file__).with_name("slow.txt")


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Marks what slow.txt names; a line about a file that was collected has to fit one of its tests."""
    names = {item.nodeid.removeprefix("tests/"): item for item in items}
    files: dict[str, list[str]] = {}
    for name in names:
        files.setdefault(name.partition("::")[0], []).append(name)
    single = any("::" in argument for argument in session.config.args)
    marked: set[str] = set()
    for line in SLOW.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern, _, reason = line.removeprefix("!").partition(": ")
        file = pattern.partition("::")[0]
        fits = {name for name in files.get(file, []) if fnmatchcase(name, pattern.replace("[", "[[]"))}
        if not fits and not single and file in files:
            raise pytest.UsageError(f"slow.txt: {pattern} fits no test")
        if line.startswith("!"):
            marked -= fits  # an exception to the pattern above it
        elif reason:
            marked |= fits
        else:
            raise pytest.UsageError(f"slow.txt: {pattern} has no reason")
    for name in marked:
        names[name].add_marker(pytest.mark.slow)


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once() -> Once:
    """once(name, make): the folder that make(folder) fills, once for all test processes; to be read, never changed.

    What another process is making is waited for. If `make` fails, the next test that asks tries again.
    """
    root = Path(os.environ["MODEL_COLLAPSE_TESTS"])

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, ready = root / "once" / name, root / "once" / f"{name}.ready"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(root / "once" / f"{name}.lock"):
            if not ready.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                ready.touch()
        return folder

    return made


@pytest.fixture(autouse=True)
def _small_products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy benchmarks do not wait for the large product that a processor's rate is measured by."""
    if "companion/bench/" in request.node.nodeid:
        monkeypatch.setattr("model_collapse.companion.bench.PRODUCT", 256)
