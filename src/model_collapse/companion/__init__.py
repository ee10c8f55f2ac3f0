"""The companion of one paper: its studies, what it claims, records of heavy runs, and the book.

The library beside this folder knows models that train on generated data, and nothing of what is here; only the command
`model-collapse` asks for it. Inside, imports point up this list only:

    studies/   what is run: conditions and sizes
    records/   recorded runs: stored, read, exchanged between machines
    claims/    statements, the runs that test them, and the bands that support them
    verify/    claims checked afresh, and whether the check would notice an error
    live/      sliders and curves of the pages
    book/      chapters run, and built into pages
    chapters/  the figures, tables and sentences of each chapter
    sweep/     many runs over many processes and hosts
    bench/     our implementations timed against the published ones
"""
