"""Whether a run fits into the machine's memory: a cheap estimate, so that a hopeless one is refused before any work."""

from __future__ import annotations

from model_collapse.engine.spec import Run
from model_collapse.errors import ExternalError
from model_collapse.hardware import total_memory as machine

ROW_OF_TABLE = 300
"""Bytes of memory that one row of a tidy table takes while it is put together and read, measured."""


def check(run: Run, processes: int) -> None:
    """ExternalError, if the run needs more than the machine has: its blocks of chains side by side, or its table."""
    has = machine()
    _check_chains(run, processes, has)
    taken = run.generations // run.every + 1 + (run.generations % run.every > 0)
    rows = run.replicates * run.models * taken * sum(run.members.family.items(metric) for metric in run.metrics)
    if rows * ROW_OF_TABLE > has:
        name = f"--replicates {run.replicates}" if run.replicates >= taken else f"-g {run.generations}"
        raise ExternalError(
            f"{name}: a table of {rows:.3g} rows needs {_size(rows * ROW_OF_TABLE, has)}; "
            "lower --replicates or -g, raise --every or ask for fewer --metrics"
        )


def _check_chains(run: Run, processes: int, has: float) -> None:
    family, regime = run.members.family, run.members.regime
    first, last = regime.size(0, run.n), regime.size(run.generations, run.n)
    # A regime that reads all samples keeps them, and the real rows.
    added = run.n if regime.grows else last
    rows = run.n + (run.generations + 1) * added if regime.needs == "all" else max(run.n, first, last)
    chains = min(run.block_size, run.replicates) * processes * run.models
    need = family.chain_bytes(rows) * chains
    if need <= has:
        return
    where = f"in each of {chains} chains at a time" if chains > 1 else "in one chain"
    fewer = " or --replicates" if 1 < run.replicates < run.block_size else ""
    fewer += " or --jobs" if processes > 1 else ""
    if family.width and family.chain_bytes(1) * chains > has:
        width = f"family.{family.width}={run.family_args[family.width]}"
        raise ExternalError(f"{width}: a model of that size {where} needs {_size(need, has)}; lower it{fewer}")
    growing = rows > max(run.n, first)
    name = f"-g {run.generations}: {run.regime} with" if growing else f"-n {run.n}:"
    exact = "; family.sampling=exact draws no rows" if family.can_summarise and family.draws_rows else ""
    raise ExternalError(
        f"{name} {rows:.3g} rows {where} needs {_size(need, has)}; lower -n{' or -g' if growing else ''}{fewer}{exact}"
    )


def _size(need: float, has: float) -> str:
    return f"about {need / 1e9:.3g} GB of memory, and this machine has {has / 1e9:.3g} GB"
