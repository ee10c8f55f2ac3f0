"""A run by name: settings -> objects -> loop -> metrics -> table. Resumable, and spread over processes by blocks.

    run = plan("gaussian", "replace", n=100, generations=50, replicates=1000)     settings, checked
    table, texts = execute(run)                                                  the tables of one run
    tables, texts = run_all({"A": run, ...}, folder)                             of several, kept in a folder

A run is R replicate chains. Chains are dealt into blocks; every block has random streams of its own, so that neither
the number of processes nor an interruption changes a bit of the result.

    spec.py         a run: all that decides its numbers, and its id
    plan.py         a run from names and values, everything checked
    execute.py      runs executed to completion, and resumed: what is finished, what is left
    unit.py         work for one process: a block of chains, what it is made of and where it lies
    block.py        one block of chains, from its sources to its tables
    recorder.py     what is recorded of every generation
    checkpoint.py   the finished parts of a chain, on disk: where a family that takes long resumes
    choices.py      what was chosen for the machine
    layout.py       where the parts of a run lie
    merge.py        blocks merged into one file
    processes.py    blocks side by side
    locks.py        one process at a time
    usage.py        when, how long and with how much memory
    memory.py       whether a run fits into the machine
    cost.py         what a run will take, from what speed.py measures
    mirror.py       runs saved to a second place
    card.py         a data card for what a run wrote
"""
