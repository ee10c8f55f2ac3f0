"""A data card for the generated rows of a run, in the form of the hub's dataset cards: author, sources, detection.

FILE.parquet.texts.md lies beside FILE.parquet.texts.parquet, and is a function of the two files of the run alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model_collapse import families, modalities, registry, store
from model_collapse.corpora import licences


def write(out: Path) -> Path | None:
    """Write the card of what the finished run in `out` wrote, whole or not at all; None for a family of numbers.

    The same files give the same card, and a card that is there already stays as it is.
    """
    file = next(iter(store.written_files(out)), None)
    if file is None:
        return None
    place, said = file.with_suffix(".md"), card(out)
    with store.disk_errors():
        if not place.exists() or place.read_text(encoding="utf-8") != said:
            with store.whole_file(place) as temporary:
                temporary.write_text(said, encoding="utf-8")
    return place


def lost(out: Path) -> Path | None:
    """The file of what the finished run in `out` wrote, if it should be there and is not."""
    kind = modalities.of(registry.member(families, store.about(out)["run"]["family"])).generated
    file = store.written_file(out, kind) if kind else None
    return file if file and not file.exists() else None


def card(out: Path) -> str:
    """The card of what the finished run in `out` wrote: a YAML header, then Markdown."""
    (file,) = store.written_files(out)
    kind, table, about = store.written_kind(file), store.read(out), store.about(file)
    run: dict[str, Any] = about["run"]
    licence, note = licences.of(run["corpus"])
    prompt = ", `prompt` what it continues" if kind == "texts" else ""
    changes = " with changes" if about["dirty"] else ""
    column = {"texts": "text", "images": "image"}[str(kind)]
    last, chains = run["generations"], run["replicates"]
    stacked = "chain" if chains == 1 else "chains"
    share = table.groupby("generation")["share_real"].mean()
    header = {
        "pretty_name": f"{run['family']} under {run['regime']}, generations 0 to {last}",
        "license": licence,
        "source_datasets": [run["corpus"]],
        "annotations_creators": ["machine-generated"],
        "tags": ["synthetic", "machine-generated", "model-collapse", run["family"]],
        "run_id": about["run_id"],
    }
    own = {key: value for key, value in run.items() if key.startswith(("family.", "regime."))}
    rows = [f"| `{key}` | {_plain(value)} |" for key, value in own.items()]
    lines = [
        "---",
        # JSON is YAML.
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items()),
        "---",
        "",
        f"# What {run['family']} wrote, generations 0 to {last}",
        "",
        f"**A model wrote every entry of the column `{column}` of `{file.name}`; do not take it for people's.** Column "
        f"`generation` says which generation of models{prompt}.",
        "",
        f"- **Written by**: family `{run['family']}`, {chains} {stacked}, training sets of "
        f"{run['n']} rows, seed {run['seed']}; settings below.{_exchange(run)}{_weights(run)}",
        f"- **Trained on**: regime `{run['regime']}`"
        + "".join(f", filter `{name}` {_plain(values)}" for name, values in run["filters"])
        + f". Share of real rows in the training sets: {share.iloc[0]:.3g} in generation 0, "
        f"{share.iloc[-1]:.3g} in generation {share.index[-1]}.",
        f"- **Real data**: corpus `{run['corpus']}` (content {run['content']}). Licence: {note}.",
        f"- **Watermark**: {_watermark(run)}",
        f"- **Run**: `{about['run_id']}`, {about['created_at'][:10]}, commit "
        f"`{(about['commit'] or 'unknown')[:12]}`{changes}.",
        f"- **sha256** of `{file.name}`: `{store.checksum(file)}`.",
        "",
        "| setting | value |",
        "|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _exchange(run: dict[str, Any]) -> str:
    """How several models read each other."""
    if (models := run.get("exchange.models", 1)) == 1:
        return ""
    own = {key.removeprefix("exchange."): value for key, value in run.items() if key.startswith("exchange.")}
    who = f"`row` modulo {models} says which wrote an entry, 0 the first"
    return f" {models} models read each other ({_plain(own)}); {who}."


def _weights(run: dict[str, Any]) -> str:
    """Whose weights wrote, where they were not trained here."""
    if run.get("family.start") != "pretrained":
        return ""
    return f" It started from the weights of `{run['family.preset']}`, whose licence holds as well."


def _watermark(run: dict[str, Any]) -> str:
    """What is in the texts, and how to find it."""
    mark = run.get("family.watermark", "none")
    if mark == "none":
        return "none; nothing in an entry tells that a model wrote it."
    library = "`WatermarkDetector`" if mark == "green" else "`SynthIDTextWatermarkLogitsProcessor.compute_g_values`"
    return (
        f"{mark}, key {run['family.watermark_key']}. Test with transformers' {library}, or `Lm(...).marks` of this "
        "package, on token ids of the text without its prompt; z > 4 says marked."
    )


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("|", "\\|")
