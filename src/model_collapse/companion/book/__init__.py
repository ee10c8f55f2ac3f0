"""The book: chapters, the runner that executes them with papermill, and the pages made from them.

A chapter is `notebooks/NN_slug.ipynb` and is called by its slug. Its notebook metadata say what each profile costs,

    "chapter": {"cost": {"smoke": {"device": "cpu", "minutes": 0.2, "disk_mb": 1}, ...}}

and one cell tagged `parameters` holds annotated assignments with defaults. Executed copies lie under
`_build/executed/`; the clean notebooks are never written to.

    notebook.py      what a chapter's notebook calls
    markup.py        text that a model wrote, as HTML
    chapter.py       the chapters, their cost, their parameters
    runner.py        checks, prints the cost, runs chapters side by side; the data of the provenance box (`_about`)
    worker.py        executes one notebook (a process of its own)
    kernel.py        an extension of its kernel, for exit statuses
    executed.py      where executed copies and their manifests lie, and whether one is still up to date
    build.py         the pages, and the repository's address
    release.py       the built book, its PDF and EPUB, and the records as files to publish
    epub.py          the EPUB, from the built pages
    recording.py     records made from a chapter's runs or from files of `chain`
    estimates.py     estimates with intervals: in figures, tables and Markdown
    compare.py       simulations beside closed forms
    fits.py          closed forms, which count fits, over generations
    findings.py      shared by chapters: sizes, values over seeds, the table of claims
    language_run.py  shared by the chapters on language models
    real_model.py    the recorded run of a published, pre-trained model
    _quick.py        keeps the import of nbformat fast
"""

from model_collapse.companion.book import _quick  # noqa: F401  first, before anything imports nbformat
