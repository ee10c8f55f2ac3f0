"""A sweep: many runs over many processes and hosts, with the same bits as one process on one machine.

    model-collapse sweep plan FILE       what is run, and what it costs
    model-collapse sweep run FILE        with --executor local, ray or slurm
    model-collapse sweep status FILE     what is done, what runs where, what failed
    model-collapse sweep collect FILE --out all.parquet

All state lies in one folder that every host sees; nothing is kept by a scheduler. A task is a block of replicate
chains of a run, known by its name; whoever works on it holds a lease, and a task is done when its result is there.

    file.py        what a sweep file may say, and the runs that follow from it
    lease.py       the right to work on a task: only the holder of the lease may publish a result
    tasks.py       the three kinds: a pre-trained model, a block of chains, the tables of a run
    work.py        one task executed by one process
    drive.py       all tasks executed by a pool
    executors/     pools: processes of this machine, Ray, Slurm
    estimate.py    what a sweep will cost
    status.py      progress of a sweep
    collect.py     the tables of all runs in one
"""
