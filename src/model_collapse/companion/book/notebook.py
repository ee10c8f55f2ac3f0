"""What a chapter's notebook needs: figures, sentences and texts, and a place to save.

Works in Jupyter, on Colab and under papermill. In the book a small Sphinx extension turns figures into numbered ones.
Only the standard library is imported at the top, because on Colab `colab` comes first, which installs the rest.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_collapse import paths
from model_collapse.companion.book.markup import escaped, marked
from model_collapse.errors import ExternalError, InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from model_collapse.companion.records import Recorded

MARK = "model_collapse"
"""Key in an output's metadata by which the book knows what the output is."""

DPI = 200
"""Dots per inch of figures as pixels, shown at half of it, so that they are sharp on screens with small pixels."""

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_ROLE = re.compile(r"\{[a-z:]+\}`([^`]*)`")


def show(figure: Figure, table: pd.DataFrame, name: str, caption: str, alt: str) -> None:
    """Show a matplotlib figure with its caption and alternative text, and the table it was drawn from as CSV.

    Notebooks show pixels; the book takes the same figure as SVG, and turns its colours over for dark pages.

    name     lower case, digits and hyphens, one in the whole book: `{numref}` and the file names follow from it
    caption  what the figure shows, in Markdown; references ({eq}`label`) are links in the book, their label elsewhere
    alt      what a reader who cannot see the figure needs to know: kind of plot, axes, what runs where
    """
    from IPython.display import display
    from matplotlib import pyplot
    from matplotlib.collections import QuadMesh

    if not _NAME.fullmatch(name):
        raise ValueError(f"figure name {name!r}: lower-case letters, digits and hyphens")
    if not alt.strip():
        raise ValueError(f"figure {name}: needs an alternative text")
    alt, caption = " ".join(alt.split()), " ".join(caption.split())
    drawn, lines = io.BytesIO(), io.StringIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    # Letters as outlines, because a page's fonts are not the figure's. Equal figures give equal files.
    with pyplot.rc_context({"svg.fonttype": "path", "svg.hashsalt": name}):
        figure.savefig(lines, format="svg", dpi=DPI, bbox_inches="tight", metadata={"Date": None})
    # Closed, or the notebook would show it a second time, without its text.
    pyplot.close(figure)
    # A PNG tells its width and height in pixels in bytes 16 to 23.
    width, height = (int.from_bytes(drawn.getbuffer()[at : at + 4], "big") // 2 for at in (16, 20))
    image = base64.b64encode(drawn.getvalue()).decode()
    plain = _ROLE.sub(r"\1", caption)
    csv = table.to_csv(index=False)
    link = base64.b64encode(csv.encode()).decode()
    page = (
        f'<figure><img alt="{html.escape(alt)}" width="{width}" src="data:image/png;base64,{image}">'
        f"<figcaption>{html.escape(plain)} "
        f'<a download="{name}.csv" href="data:text/csv;base64,{link}">Data (CSV)</a></figcaption></figure>'
    )
    about = {"kind": "figure", "name": name, "caption": caption, "alt": alt, "width": width, "height": height}
    # A map of colours says the same on a dark page only in the same colours.
    about["twin"] = not figure.findobj(QuadMesh)
    svg = lines.getvalue()
    content = {"text/html": page, "image/png": image, "image/svg+xml": svg, "text/csv": csv, "text/plain": alt}
    display(content, raw=True, metadata={MARK: about})


def say(text: str) -> None:
    """Show Markdown: a sentence with numbers from the run. Never text that a model wrote; that is for `written`."""
    from IPython.display import display

    display({"text/markdown": text, "text/plain": text}, raw=True, metadata={MARK: {"kind": "say"}})


def verdicts(tables: Mapping[str, Mapping[str, pd.DataFrame]], *, of: str = "") -> None:
    """Show what tables say to claims, as one table: statement, what was measured, the band that is allowed, verdict.

    Claims of other runs than these are named below it, with the reason. A chapter's own run may be of a part of a
    claim's conditions, or of further ones, and the verdict says so.

    tables  id of a claim -> tables of its conditions
    of      which run the tables are of, where a page shows several
    """
    from model_collapse.companion import claims
    from model_collapse.companion.book.estimates import markdown
    from model_collapse.companion.verify import evidence

    lines: list[list[str]] = []
    unserved: dict[str, list[str]] = {}
    for name, own in tables.items():
        claim = claims.named(name)
        if why := evidence.unserved_by(claim, own):
            unserved.setdefault(why, []).append(name)
            continue
        judged = claim.judge(own)
        value = "" if judged.outcome == "not_run" else f" {judged.estimate:.3g}"
        part, there = "", len(own.keys() & claim.runs.keys())
        if there < len(claim.runs):
            further = " in the conditions of this page"
            part = f" in {there} of its {len(claim.runs)} conditions" if there == len(own) else further
        words = f"**{judged.words}{part}**{f', {judged.why}' if judged.why else ''}"
        cells = (name, claim.statement, f"{claim.measured}{value}", claim.allowed, words)
        lines.append([cell.replace("|", r"\|") for cell in cells])
    run = f", {of}" if of else ""
    if lines:
        head = ("claim", "statement", "measured", "allowed", "verdict")
        say(f"**Claims{run}.** Intervals are those of the verdict.\n\n{markdown(head, lines)}")
    if unserved:
        said = "; ".join(f"{', '.join(names)} ({why})" for why, names in unserved.items())
        say(f"**Claims not served{run}:** {said}.")


def control(name: str, seed: int) -> dict[str, pd.DataFrame]:
    """Tables of a negative control's own runs, for `verdicts`; a chapter's control may be another.

    name  of the claim, "NC-gaussian"
    """
    from model_collapse.companion import claims
    from model_collapse.engine.execute import run_all

    return run_all(claims.runs_of(claims.named(name), seed), runs_folder())[0]


def changes(
    arms: Mapping[str, pd.DataFrame], metrics: Mapping[str, tuple[str, str]], *, relative: bool = False
) -> None:
    """Show what became of metrics as a table: generation 0, the last one, the change, with 95 % intervals over seeds.

    metrics   {quantity: (metric, item)}
    relative  the change over the value of generation 0, seed by seed
    """
    from model_collapse.analysis import stats
    from model_collapse.companion.book.estimates import markdown, rounded

    lines: list[tuple[str, ...]] = []
    for quantity, (metric, item) in metrics.items():
        for arm, table in arms.items():
            start, end = (stats.per_replicate(table, metric, g, item) for g in (0, stats.last_of(table)))
            change = rounded(stats.mean(end / start - 1 if relative else end - start))
            changed = f"{change:{'.0%' if relative else '.3g'}}"
            lines.append((quantity, arm, f"{stats.mean(start):.3g}", f"{stats.mean(end):.3g}", changed))
    change_of = "relative change" if relative else "change"
    say(markdown(("", "condition", "generation 0", "last generation", change_of), lines))


def keep(name: str, value: float | str) -> None:
    """Keep a number for other pages, which write {glue:text}`../notebooks/NN_slug.ipynb::name:.2f`. Shows nothing."""
    from IPython.display import display

    if paths.RUNNER not in os.environ:
        return  # only the runner makes pages
    prefix = "application/papermill.record/"
    about = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    text = value if isinstance(value, str) else repr(float(value))
    display({prefix + "text/plain": text}, raw=True, metadata=about)


def written(texts: pd.DataFrame | Mapping[str, str], caption: str = "", *, repeated: int = 0) -> None:
    """Show what a model wrote as a table: a mapping from heading to text, or a data frame with one text per cell.

    A text that fills a whole row of the data frame is shown once, across it.

    repeated  mark sequences of this number of words that stand earlier in the same text too; 0: none

    Everything is escaped, so that markup, scripts and formulas in a text are seen and never run.
    """
    from IPython.display import HTML, display

    if isinstance(texts, Mapping):
        head, rows = "", [_row(str(heading), {"": text}, repeated) for heading, text in texts.items()]
    else:
        titles = "".join(f'<th scope="col">{escaped(str(title))}</th>' for title in texts.columns)
        head = f"<thead><tr>{titles}</tr></thead>"
        rows = [
            _row(str(row[0]), dict(zip(texts.columns[1:], row[1:], strict=True)), repeated)
            for row in texts.itertuples(index=False, name=None)
        ]
    title = f"<caption>{escaped(caption)}</caption>" if caption else ""
    # The classes keep MathJax away from what looks like a formula.
    opening = '<table class="written tex2jax_ignore mathjax_ignore" style="text-align: left; white-space: pre-wrap">'
    display(HTML(f"{opening}{title}{head}<tbody>{''.join(rows)}</tbody></table>"))


def conditions(table: pd.DataFrame) -> None:
    """Show what is run, from `Study.table`: the conditions as a table, and folded below it the command of each."""
    from IPython.display import HTML, display

    shown = table.drop(columns="command").replace({"differs": {"": "nothing: the base"}})
    written(
        shown.rename(columns={"title": "in figures", "differs": "what differs from the base"}),
        "The runs. The base trains each model only on data of the model before it.",
    )
    commands = "\n".join(f"# {row.condition}\n{row.command}" for row in table.itertuples())
    style = 'style="text-align: left; white-space: pre-wrap; overflow-wrap: anywhere"'
    display(
        HTML(
            "<details><summary>The command that runs each condition alone</summary>"
            f'<pre class="tex2jax_ignore mathjax_ignore" {style}>{escaped(commands)}</pre></details>'
        )
    )


def continuations(
    texts: Mapping[str, pd.DataFrame],
    row: int,
    generations: Iterable[int],
    caption: str = "",
    *,
    replicate: int = 0,
    repeated: int = 3,
) -> None:
    """Show how conditions of a language experiment continue one prompt, one column each, below its real continuation.

    texts  condition -> table of texts
    row    of the prompt, a block of the real training text; the block of the next row is what followed it
    """
    import pandas as pd

    chosen = {
        arm: table[table["replicate"] == replicate].set_index(["generation", "row"]) for arm, table in texts.items()
    }
    prompts = next(iter(chosen.values()))["prompt"]
    lines = {"prompt (real)": [str(prompts[0, row])] * len(chosen)}
    if (0, row + 1) in prompts.index:
        lines["what followed (real)"] = [str(prompts[0, row + 1])] * len(chosen)
    for g in generations:
        lines[f"generation {g}"] = [str(table["text"][g, row]) for table in chosen.values()]
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=list(chosen))
    written(frame.reset_index(names=""), caption, repeated=repeated)


def _row(heading: str, texts: Mapping[Any, Any], repeated: int) -> str:
    """A row of `written`: heading, and texts by column. Narrow pages name the column in each cell."""
    cells = {column: marked(str(text), repeated) for column, text in texts.items()}
    parts = [(f'data-column="{escaped(str(column))}"', cell) for column, cell in cells.items()]
    if len(set(cells.values())) == 1:
        parts = [(f'colspan="{len(cells)}"', parts[0][1])]
    tds = "".join(f'<td {attribute} dir="auto" style="text-align: left">{cell}</td>' for attribute, cell in parts)
    return f'<tr><th scope="row" style="text-align: left">{escaped(heading)}</th>{tds}</tr>'


def runs_folder() -> Path:
    """Where chains keep their state: in a checkout `_build/runs`; on Colab the machine; `run_all` saves to the Drive.

    $MODEL_COLLAPSE_RUNS names another folder.
    """
    named = os.environ.get("MODEL_COLLAPSE_RUNS")
    if named:
        folder = Path(named)
    elif "google.colab" in sys.modules:
        folder = Path("/content/model-collapse/runs")
    else:
        folder = (paths.project() or Path.cwd()) / "_build" / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def recorded(name: str) -> Recorded | None:
    """A recorded run, its label shown; None, and a line that says so, where it has not been run yet or is not here.

    Of a record that is damaged nothing but that is shown. The runner of chapters is told, so that no book is built
    from one.
    """
    from model_collapse.companion import records

    found, wrong = None, "not run yet"
    try:
        if records.begun(name):
            found = records.read(name)
    except ExternalError as error:
        wrong = f"not here ({error})"
    except InputError as error:
        say(f"*Recorded run* `{name}`: not shown ({error}).")
        if paths.RUNNER in os.environ:
            raise
        return None
    say(f"*Recorded run* `{name}`: {found.label if found else wrong}.")
    return found
