"""The companion of one paper: its studies, what it claims, records of heavy runs, and the book.

The library beside this folder knows models that train on generated data, and nothing of what is here; only the command
`model-collapse` asks for it. Inside, imports point up this list only:

    studies/   what is run: conditions and sizes
    records/   recorded runs: kept, read back, sent and taken in
    claims/    what is claimed, of which runs, and when it counts as reproduced
    verify/    claims checked afresh, and whether the check would notice an error
    book/      chapters run, and laid into the book
    sweep/     many runs over many processes and hosts
    bench/     our way timed against the published one
"""
