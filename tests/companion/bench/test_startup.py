"""The benchmark of starting up: what it counts, and that small commands load no more than they use."""

from __future__ import annotations

import subprocess
import sys

import pytest
from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench import startup
from model_collapse.companion.bench.startup import Startup, cpu_seconds


def test_a_table_of_it():
    toy = {"startup": Startup(pairs=1, goal=0)}
    found = bench.run(known=toy)
    agreed(found, toy)
    assert "`--help`" in found["results"][0]["note"]


def test_what_is_counted_is_the_time_of_other_processes():
    """A process that spins for 0.2 CPU seconds, and the same work here."""
    spin = "import time\nwhile time.process_time() < 0.2: pass"
    assert cpu_seconds(lambda: subprocess.run([sys.executable, "-c", spin], check=True)) >= 0.2
    assert cpu_seconds(lambda: sum(range(10**5))) == pytest.approx(0, abs=1e-9)


def test_the_limits_in_seconds_count_as_well_as_the_ratio(monkeypatch):
    monkeypatch.setattr(Startup, "_turn", lambda self, published: (0.9, 0.31, 0.02))
    assert not Startup(pairs=1).measure("startup", bench.published("startup")).met
    monkeypatch.setattr(Startup, "_turn", lambda self, published: (0.9, 0.29, 0.02))
    assert Startup(pairs=1).measure("startup", bench.published("startup")).met


LOADED = """
import sys
from model_collapse import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (startup.HELP, {"numpy", "pandas", "scipy", "pyarrow", "pydantic", "matplotlib", "torch"}),
        (startup.CHAIN, {"pandas", "scipy.special", "scipy.stats", "matplotlib", "seaborn", "torch", "sklearn"}),
        (("families",), {"pandas", "scipy.stats", "matplotlib", "sklearn"}),
    ],
    ids=["help", "chain", "families"],
)
def test_a_command_loads_no_more_than_it_uses(command: tuple[str, ...], absent: set[str]):
    done = subprocess.run([sys.executable, "-c", LOADED, *command], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "model_collapse.cli" in loaded and not absent & loaded
