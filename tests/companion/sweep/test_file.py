"""Sweep files: the runs that follow, and one line for what is not allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_sweep import TOY, written

from model_collapse.companion import studies
from model_collapse.companion.sweep import tasks
from model_collapse.companion.sweep.file import Source, read
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError


def test_conditions_times_sizes_times_seeds(tmp_path: Path):
    sweep = written(tmp_path, TOY + "seeds: [1, 2]\n")
    assert len(sweep.runs) == 12
    assert sweep.folder == tmp_path / "toy.sweep"
    wanted = plan(
        "gaussian", "accumulate", n=20, generations=3, replicates=300, seed=2, settings={"family.sampling": "draw"}
    )
    assert sweep.runs["large, B, seed 2"].run_id == wanted.run_id
    # What is nearer counts: the condition before the size, the size before all.
    assert sweep.runs["small, words, seed 1"].replicates == 2 and sweep.runs["large, A, seed 1"].generations == 3


def test_every_value_may_be_written_as_on_the_command_line(tmp_path: Path):
    said = "family: gaussian\nsettings: {family.dim: 2, regime.real_fraction: 0.5}\nregime: mix\n"
    quoted = "family: gaussian\nsettings: {family.dim: '2', regime.real_fraction: '0.5'}\nregime: mix\n"
    one, other = (written(tmp_path, text).runs[""].run_id for text in (said, quoted))
    assert one == other


def test_a_study_of_the_book(tmp_path: Path):
    asked = read(Source(study="language_model", size="toy", folder=str(tmp_path)))
    wanted = studies.find("language_model").runs("toy")
    assert {label: run.run_id for label, run in asked.runs.items()} == {k: run.run_id for k, run in wanted.items()}
    some = written(tmp_path, "study: language_model\nsize: toy\nconditions: [A]\nseeds: [3, 4]\nfolder: there\n")
    assert list(some.runs) == ["A, seed 3", "A, seed 4"] and some.folder == tmp_path / "there"
    # Both conditions of a seed start from one pre-trained model, which is a task of its own.
    both = written(tmp_path, "study: language_model\nsize: toy\nconditions: [A, B]\n")
    bases = [task for task in tasks.of(both).values() if isinstance(task, tasks.Base)]
    assert len(bases) == 1 and all(block.needs[0].name == bases[0].name for block in tasks.all_blocks(both))


def test_the_order_of_tasks_is_the_same_everywhere(tmp_path: Path):
    sweep = written(tmp_path)
    pieces = tasks.all_blocks(sweep)
    assert [each.number for each in pieces] == [0] * 6 + [1] * 6
    assert [each.name for each in pieces] == [each.name for each in tasks.all_blocks(written(tmp_path))]


def test_yaml_merges_an_anchor(tmp_path: Path):
    text = (
        "family: gaussian\nn: 5\nconditions:\n  A: &a {n: 7, generations: 2}\n  B: {<<: *a, n: 9, regime: accumulate}\n"
    )
    runs = written(tmp_path, text).runs
    assert (runs["B"].n, runs["B"].generations, runs["B"].regime) == (9, 2, "accumulate")


@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["", "byte order mark"])
def test_a_file_that_was_written_on_windows_is_the_same(start: str, tmp_path: Path):
    text = "family: gaussian\nn: 5\nconditions:\n  A: {}\n  B:\n    regime: accumulate\nseeds: [1, 2]\n"
    wanted = written(tmp_path, text).commands
    file = tmp_path / "windows.yaml"
    file.write_bytes((start + text).replace("\n", "\r\n").encode())
    assert read(Source(str(file))).commands == wanted


REFUSED = {
    "nothing": ("", "a sweep file names a study and its size, or a family"),
    "a list": ("- A\n", "a sweep file names"),
    "not YAML": ("family: [gaussian\n", "line 2: not YAML"),
    "a tag that is code": ("family: !!python/object/apply:os.getcwd []\n", "line 1: not YAML"),
    "a key twice": ("family: gaussian\nfamily: discrete\n", "line 1: not YAML (family is there twice)"),
    "an unknown key": ("family: gaussian\nseed: 3\n", "seed: no such key; there are family, regime, n,", "seeds"),
    "an unknown key of a size": ("family: gaussian\nsizes: {a: {nn: 3}}\n", "sizes.a.nn: no such key", "generations"),
    "an unknown key of a condition": ("family: gaussian\nconditions: {A: {label: x}}\n", "conditions.A.label"),
    "seeds that are words": ("family: gaussian\nseeds: [a]\n", "seeds.0: must be a whole number"),
    "a seed below 0": ("family: gaussian\nseeds: [-1]\n", "seeds.0: input should be greater than or equal to 0"),
    "no seeds": ("family: gaussian\nseeds: []\n", "seeds: must not be empty"),
    "no sizes": ("family: gaussian\nsizes: {}\n", "sizes: must not be empty"),
    "generations that are words": ("family: gaussian\ngenerations: many\n", "generations: must be a whole number"),
    "a setting that is a list": (
        "family: gaussian\nsettings: {family.dim: [1]}\n",
        "settings.family.dim: must be a number, a word, true or",
    ),
    "no family": ("sizes: {a: {n: 3}}\n", "family: name one"),
    "an unknown family": ("family: gausian\n", "'gausian' is not among the families", "gaussian"),
    "an unknown setting": ("family: gaussian\nsettings: {family.dims: 3}\n", "family.dims", "dim, estimator"),
    "a run that is refused": ("family: gaussian\nsizes: {a: {n: 10}, b: {n: 0}}\n", "b: -n 0: input should be"),
    "a study without a size": ("study: gaussian\n", "needs both study and size"),
    "a size without a study": ("size: laptop\n", "needs both study and size"),
    "an unknown study": ("study: gausian\nsize: laptop\n", "study gausian: known are", "gaussian"),
    "an unknown size": ("study: gaussian\nsize: large\n", "size large: study gaussian has smoke, laptop, paper"),
    "a size that only a record prepares": (
        "study: language_model\nsize: gpu\n",
        "size gpu: its models are pre-trained",
    ),
    "an unknown condition": ("study: gaussian\nsize: smoke\nconditions: [A]\n", "condition A: study gaussian has"),
    "a study with a size of one's own": ("study: gaussian\nsize: smoke\nn: 3\n", "n: the study says what is run"),
    "a study with conditions": ("study: gaussian\nsize: smoke\nconditions: {A: {}}\n", "conditions: the study says"),
    "labels without a study": ("family: gaussian\nconditions: [A]\n", "conditions: a list names conditions of a study"),
    "a seed twice": ("family: gaussian\nseeds: [1, 1]\n", "two runs are called 'seed 1'"),
    "a seed of a study twice": ("study: gaussian\nsize: smoke\nconditions: [mle]\nseeds: [1, 1]\n", "'mle, seed 1'"),
    "names that make one": (
        "family: gaussian\nsizes: {a: {}, 'a, b': {}}\nconditions: {'b, c': {}, c: {}}\n",
        "two runs are called 'a, b, c'",
    ),
    "a name that no file can have": ('family: gaussian\nfolder: "a\\0b"\n', "line 2: not YAML (a NUL character in it)"),
    "half a character": ('family: gaussian\nfolder: "a\\ud800b"\n', "not YAML (half a surrogate pair in it)"),
    "a label of two lines": ('family: gaussian\nsizes: {"a\\nb": {}}\n', "'a\\nb': names of sizes and conditions"),
    "an empty key twice": ("family: gaussian\nsizes: {'': {}, '': {}}\n", "not YAML ( is there twice)"),
    "nested too deeply": ("[" * 3000, "not YAML (nested too deeply)"),
    "a setting that is a mapping": ("family: lm\nsettings: {family: {lr: 1}}\n", "settings.family: must be a number"),
    "a setting that is nothing": ("family: lm\nsettings: {family.lr: null}\n", "settings.family.lr: must be a number"),
    "a size that is a number": ("family: gaussian\nsizes: {10: {n: 10}}\n", "sizes.10: a name that YAML reads as"),
    "a condition that is yes": ("family: gaussian\nconditions: {yes: {}}\n", "a name that YAML reads as a number"),
    "a list of sizes": ("family: gaussian\nsizes: [10]\n", "sizes: must be a mapping, as in {small: {n: 10}}"),
    "a size that is one number": ("family: gaussian\nsizes: {a: 10}\n", "sizes.a: must be a mapping, as in {n: 10}"),
    "true rows": ("family: gaussian\nn: true\n", "n: must be"),
    "a seed that is true": ("family: gaussian\nseeds: [true]\n", "seeds.0: must be a whole number"),
    "a seed in quotes": ("family: gaussian\nseeds: ['1']\n", "seeds.0: must be a whole number"),
    "no folder": ("family: gaussian\nfolder: ''\n", "folder: must not be empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_allowed_is_one_line(case: str, tmp_path: Path):
    text, *said = REFUSED[case]
    with pytest.raises(InputError) as refused:
        written(tmp_path, text)
    line = str(refused.value)
    assert line.startswith(str(tmp_path / "toy.yaml")) and "\n" not in line
    for part in said:
        assert part in line
    assert [each.name for each in tmp_path.iterdir()] == ["toy.yaml"]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path):
    (tmp_path / "latin.yaml").write_bytes(b"family: gau\xdfian\n")
    for name, said in (("none.yaml", "no such file"), ("latin.yaml", "not UTF-8"), ("", "cannot be read")):
        with pytest.raises(InputError, match=said):
            read(Source(str(tmp_path / name)))
