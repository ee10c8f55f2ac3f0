"""The book: chapters, the runner that executes them with papermill, and the pages made from them.

A chapter is `notebooks/NN_slug.ipynb` and is called by its slug. Its notebook metadata say what each profile costs,

    "chapter": {"cost": {"smoke": {"device": "cpu", "minutes": 0.2, "disk_mb": 1}, ...}}

and one cell tagged `parameters` holds annotated assignments with defaults. Executed copies lie under
`_build/executed/`; the clean notebooks are never written to.

    notebook.py    what a chapter's notebook calls
    markup.py      text that a model wrote, as HTML
    chapter.py     what chapters there are, their cost, their parameters
    runner.py      checks, prints the cost, runs chapters side by side
    worker.py      executes one notebook (a process of its own)
    kernel.py      an extension of its kernel, for exit statuses
    executed.py    where executed copies and their manifests lie, and whether one still holds
    build.py       the pages, and the repository's address
    release.py     what is published: archives, the PDF, checksums
    epub.py        the EPUB
"""

from model_collapse.companion.book import _quick  # noqa: F401  first, before anything imports nbformat
