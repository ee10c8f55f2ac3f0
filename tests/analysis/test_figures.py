"""Figures draw what stands in the table, without torch, and leave no state behind."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb

from model_collapse.analysis import figures
from model_collapse.analysis.figures import look


def table(metric: str = "m", items: tuple[str, ...] = ("",)) -> pd.DataFrame:
    rows = [
        {"metric": metric, "item": item, "generation": g, "replicate": r, "value": float(2**g + r + i)}
        for i, item in enumerate(items)
        for g in range(4)
        for r in range(3)
    ]
    return pd.DataFrame(rows).astype({"metric": "category", "item": "category"})


def line(ax: plt.Axes, label: str) -> np.ndarray:
    (found,) = [drawn for drawn in ax.get_lines() if drawn.get_label() == label]
    return np.asarray(found.get_ydata())


def test_against_theory() -> None:
    figure = figures.against_theory(
        {"left": {"arm": table()}, "right": {"arm": table()}},
        {"left": {"arm": lambda g: 10.0 * g}},
        ylabel="y",
        limits={"right": [3.0]},
    )
    left, right = figure.axes
    assert line(left, "arm") == pytest.approx(2.0 ** np.arange(4) + 1)
    dashed = [drawn for drawn in left.get_lines() if drawn.get_label() != "arm"]
    assert np.asarray(dashed[0].get_ydata()) == pytest.approx([0, 10, 20, 30])
    assert [list(drawn.get_ydata()) for drawn in right.get_lines() if drawn.get_label() != "arm"] == [[3.0, 3.0]]


def test_generations_are_whole_numbers() -> None:
    """A chain of two generations, on which an axis would otherwise count in quarters."""
    short = table().query("generation < 3")
    (ax,) = figures.against_theory({"t": {"arm": short}}, {}, ylabel="y").axes
    assert np.allclose(ax.get_xticks() % 1, 0)


def test_bounds_are_drawn_as_two_lines() -> None:
    arms = {"t": {"arm": table()}}
    (ax,) = figures.against_theory(arms, {"t": {"arm": lambda g: (g, 3.0 * g)}}, ylabel="y").axes
    low, high = (drawn for drawn in ax.get_lines() if drawn.get_label() != "arm")
    assert list(low.get_ydata()) == [0, 1, 2, 3] and list(high.get_ydata()) == [0, 3, 6, 9]


def test_fans_show_quantiles_and_means() -> None:
    rows = [{"generation": g, "replicate": r, "value": float(10**r)} for g in range(3) for r in range(5)]
    frame = pd.DataFrame(rows)
    (ax,) = figures.fans(
        {"t": frame}, {"t": lambda p, g: p + g}, {"t": lambda g: 7.0 + g}, ylabel="y", bottom=50.0
    ).axes
    assert list(line(ax, "median")) == [100] * 3
    assert line(ax, "mean") == pytest.approx([2222.2] * 3)
    closed = [list(drawn.get_ydata()) for drawn in ax.get_lines() if drawn.get_color() == "black"]
    assert closed == [[p, p + 1, p + 2] for p in (0.05, 0.5, 0.95)] + [[7, 8, 9]]
    wide = next(area for area in ax.collections if area.get_label() == "middle 90 % of chains")
    heights = wide.get_paths()[0].vertices[:, 1]
    assert heights.min() == 5 and heights.max() == pytest.approx(np.quantile([1, 10, 100, 1000, 10**4], 0.95))


def test_stacked_parts_reach_their_sum_and_points_are_the_simulated_means() -> None:
    parts = {"t": {"one": lambda g: 1.0 + 0 * g, "two": lambda g: 2.0 * g}}
    (ax,) = figures.stacked({"t": table()}, parts, ylabel="y").axes
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in ax.collections[:2]]
    assert tops == [1, 7]
    (bars,) = ax.containers
    np.testing.assert_allclose(bars.lines[0].get_xydata()[:, 1], 2.0 ** np.arange(4) + 1)


def test_by_arm_draws_every_seed_and_their_mean() -> None:
    (ax,) = figures.by_arm({"A": table(), "B": table()}, "m", ylabel="y").axes
    assert line(ax, "A") == pytest.approx(2.0 ** np.arange(4) + 1)
    assert len(ax.get_lines()) == 2 * (3 + 1)
    colours = {drawn.get_color() for drawn in ax.get_lines()}
    assert len(colours) == 2, "seeds have their arm's colour"


def test_an_arm_without_further_generations_is_a_line_across() -> None:
    """A model before fine-tuning: its mean over seeds, as wide as the figure. Alone it is drawn as any other arm."""
    arms = {"A": table(), "untouched": table().query("generation == 0")}
    by_arm, side, item = (
        draw(arms).axes[0]
        for draw in (
            lambda arms: figures.by_arm(arms, "m", ylabel="y"),
            lambda arms: figures.side_by_side(arms, {"t": ("m", "")}),
            lambda arms: figures.by_item(arms, "m", [""], ylabel="y"),
        )
    )
    for ax in (by_arm, side, item):
        assert line(ax, "untouched").tolist() == [2.0, 2.0] and line(ax, "A").shape == (4,)
    (ax,) = figures.side_by_side({"untouched": arms["untouched"]}, {"t": ("m", "")}).axes
    assert line(ax, "untouched").tolist() == [2.0]


def test_by_item_has_a_panel_for_each() -> None:
    figure = figures.by_item({"A": table(items=("rare", "common"))}, "m", ["common", "rare"], ylabel="y")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["common", "rare"]
    assert line(figure.axes[0], "A") - line(figure.axes[1], "A") == pytest.approx(np.ones(4))


def test_histograms_are_shares_of_all_blocks() -> None:
    rows = [
        {"metric": "w", "item": item, "generation": g, "replicate": r, "value": value}
        for g in (0, 1)
        for r in (0, 1)
        for item, value in (("q50", 9.0), ("bin 0.50", 0.25 * (1 + r)), ("bin 0.55", 0.5), ("bin 0.60", 0.25 * (1 - r)))
    ]
    frame = pd.DataFrame(rows).astype({"item": "category"})
    bins = figures.bins(frame, "w", 1)
    assert bins.to_numpy().tolist() == [[0.5, 0.375], [0.55, 0.5], [0.6, 0.125]]
    (ax,) = figures.histograms(frame, "w", [0, 1], xlabel="x").axes
    assert [patch.get_data().values.sum() for patch in ax.patches] == pytest.approx([1, 1])
    assert ax.patches[0].get_data().edges == pytest.approx(10 ** np.array([0.5, 0.55, 0.6, 0.65]))


def test_fitted_densities_draws_chains_and_truth() -> None:
    frame = pd.concat([table("mean"), table("variance")])
    figure = figures.fitted_densities(frame, [0, 3], chains=2)
    assert [len(ax.get_lines()) for ax in figure.axes] == [3, 3]


def test_medians_draw_a_panel_per_metric_with_chains_and_marks() -> None:
    wide = pd.concat([table("a"), table("b").assign(value=lambda t: t["value"] * (t["generation"] > 0))])
    figure = figures.medians(
        {"A": wide, "B": wide},
        {"a": ("size", "linear"), "b": ("distance", "log")},
        chains=True,
        marks={"b": [(3, 100.0)]},
    )
    left, right = figure.axes
    assert line(left, "A") == pytest.approx(2.0 ** np.arange(4) + 1)
    assert line(right, "B") == pytest.approx(2.0 ** np.arange(1, 4) + 1), "no 0 on a logarithmic axis"
    assert line(right, "published") == pytest.approx([100]) and right.get_yscale() == "log"
    assert len(left.get_lines()) == 2 * (3 + 1)


def test_ellipses_have_the_axes_of_the_covariances() -> None:
    distributions = {0: (0.0, 1.0, 4.0, 0.0, 1.0), 1: (1.0, -1.0, 1.0, 0.5, 1.0)}
    rows = [
        {"metric": "component", "item": f"1 {name}", "generation": g, "replicate": r, "value": value}
        for g in (0, 7)
        for r, distribution in distributions.items()
        for name, value in zip(("x", "y", "xx", "xy", "yy", "weight"), (*distribution, 1.0), strict=True)
    ]
    figure = figures.ellipses(pd.DataFrame(rows), [0, 7], [1, 5], [[0.0, 0.0]])
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["generation 0", "generation 7"]
    single, both = figure.axes[0].patches, figure.axes[3].patches
    assert (len(single), len(both)) == (2, 3), "the truth, and one ellipse per component and chain"
    assert (single[1].width, single[1].height, single[1].angle % 180) == pytest.approx((8, 4, 0))
    assert tuple(both[2].center) == (1, -1) and both[2].angle % 180 == pytest.approx(45)
    assert (both[2].width / 4) ** 2 == pytest.approx(1.5) and (both[2].height / 4) ** 2 == pytest.approx(0.5)
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == ["one chain", "2 chains"]


def test_figures_leave_no_trace() -> None:
    before = dict(plt.rcParams)
    figures.by_arm({"A": table()}, "m", ylabel="y")
    assert dict(plt.rcParams) == before and not plt.get_fignums()


def test_shares_of_chains_stack_to_the_whole() -> None:
    """One panel per chain; the areas of the items reach from 0 to 1, the first at the bottom."""
    rows = [
        {"metric": "share", "item": str(i + 1), "generation": g, "replicate": r, "value": [0.5, 0.3, 0.2][(i + r) % 3]}
        for i in range(3)
        for g in range(4)
        for r in range(2)
    ]
    figure = figures.shares_of_chains(pd.DataFrame(rows).astype({"item": "category"}), chains=2)
    assert len(figure.axes) == 2
    for r, ax in enumerate(figure.axes):
        tops = [area.get_paths()[0].vertices[:, 1].max() for area in ax.collections]
        np.testing.assert_allclose(tops, [[0.5, 0.8, 1.0], [0.3, 0.5, 1.0]][r])


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_points_stand_with_their_intervals_about_the_line(scale: str) -> None:
    data = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": [2.0, 4.0, 9.0], "low": [1.0, 3.0, 8.0], "high": [2.5, 5.0, 9.5]})
    (ax,) = figures.points(data, lambda x: 2 * x, xlabel="x", ylabel="y", scale=scale).axes
    (bars,) = ax.containers
    np.testing.assert_array_equal(bars.lines[0].get_xydata(), data[["x", "y"]])
    ends = [np.ptp(segment[:, 1]) for segment in bars.lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [1.5, 2.0, 1.5])
    x, theory = line(ax, "theory"), next(drawn for drawn in ax.get_lines() if drawn.get_label() == "theory")
    np.testing.assert_allclose(x, 2 * np.asarray(theory.get_xdata()))
    assert ax.get_xscale() == scale


def test_laws_draws_every_arm_with_its_line() -> None:
    data = pd.DataFrame({"x": [1.0, 10.0], "y": [4.0, 2.0], "low": [3.0, 1.5], "high": [5.0, 3.0]})
    arms = {"one": data, "two": data.assign(y=data["y"] / 2, low=1.0)}
    (ax,) = figures.laws(arms, {"two": lambda x: 3 / x}, xlabel="x", ylabel="y", limits=[0.7]).axes
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert [list(bars.lines[0].get_ydata()) for bars in ax.containers] == [[4, 2], [2, 1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    theory, level = [
        drawn for drawn in ax.get_lines() if drawn.get_label().startswith("_child") and drawn.get_marker() == "None"
    ]
    np.testing.assert_allclose(theory.get_ydata(), 3 / np.asarray(theory.get_xdata()))
    assert list(level.get_ydata()) == [0.7, 0.7]


def test_theory_and_figures_need_no_torch() -> None:
    """What a theory chapter imports and runs, in a process where torch and transformers cannot be imported."""
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "tokenizers", "datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from model_collapse import cli, theory
from model_collapse.analysis import figures, stats
from model_collapse.companion.book import notebook
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
table, texts = execute(plan("gaussian", replicates=5, generations=2))
assert texts is None
figures.against_theory({"t": {"a": stats.pick(table, "variance")}}, {}, ylabel="v")
for name in ("families", "regimes", "filters", "corpora"):
    assert cli.main([name]) == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_points_by_arm_have_their_intervals_and_lines() -> None:
    data = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": [2.0, 4.0, 9.0], "low": [1.0, 3.0, 8.0], "high": [2.5, 5.0, 9.5]})
    figure = figures.points_by_arm(
        {"left": {"a": data, "b": data.assign(y=3.0)}, "right": {"a": data}},
        {"left": {"b": lambda x: 3 * x}},
        xlabel="x",
        ylabel="y",
        scale="log",
    )
    left, right = figure.axes
    assert [bars.get_label() for bars in left.containers] == ["a", "b"]
    np.testing.assert_array_equal(left.containers[0].lines[0].get_xydata(), data[["x", "y"]])
    ends = [np.ptp(segment[:, 1]) for segment in left.containers[0].lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [1.5, 2.0, 1.5])
    dashed = [drawn for drawn in left.get_lines() if len(drawn.get_xdata()) == 200]
    assert len(dashed) == 1 and dashed[0].get_color() == left.containers[1].lines[0].get_color()
    np.testing.assert_allclose(dashed[0].get_ydata(), 3 * np.asarray(dashed[0].get_xdata()))
    assert left.get_xscale() == "log" and right.get_title(loc="left") == "right"


def test_side_by_side_gives_every_metric_an_axis_of_its_own() -> None:
    arms = {"A": pd.concat([table("m", ("x",)), table("k")]).astype({"metric": "category", "item": "category"})}
    arms["B"] = arms["A"].assign(value=arms["A"]["value"] * 10)
    figure = figures.side_by_side(arms, {"first": ("m", "x"), "second": ("k", "")})
    first, second = figure.axes
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("first", "second")
    assert line(first, "B") == pytest.approx(10 * (2.0 ** np.arange(4) + 1))
    assert not first.get_shared_y_axes().joined(first, second)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]


def test_side_by_side_draws_every_arm_however_many() -> None:
    """More than there are colours with a solid and a dashed line each."""
    arms = {f"arm {i}": table().assign(value=float(i)) for i in range(2 * len(sns.color_palette()) + 3)}
    figure = figures.side_by_side(arms, {"t": ("m", "")})
    assert [line(figure.axes[0], label)[0] for label in arms] == list(range(len(arms)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(arms)


def test_relative_is_by_seed_and_starts_at_none() -> None:
    (ax,) = figures.relative({"A": table("m")}, {"thing": ("m", "")}).axes
    start = np.arange(3) + 1.0
    expected = [np.mean((2.0**g + np.arange(3)) / start - 1) for g in range(4)]
    assert line(ax, "thing") == pytest.approx(expected)
    assert line(ax, "thing")[0] == 0


def test_paths_run_through_the_means() -> None:
    arms = {"A": pd.concat([table("m", ("x",)), table("k")]).astype({"metric": "category", "item": "category"})}
    (ax,) = figures.paths(arms, ("m", "x"), ("k", ""), xlabel="m", ylabel="k").axes
    (drawn,) = [drawn for drawn in ax.get_lines() if drawn.get_label() == "A"]
    assert np.asarray(drawn.get_xdata()) == pytest.approx(2.0 ** np.arange(4) + 1)
    assert [text.get_text() for text in ax.texts] == ["3"]


def test_grids_show_the_pictures_as_they_are() -> None:
    """One row per label, black 0 and white 255 whatever a picture holds, every pixel a square of its own."""
    x = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    figure = figures.grid({"first": x[0], "second": x[1]}, columns=["a", "b", "c"])
    (ax,) = figure.axes
    (drawn,) = ax.get_images()
    assert drawn.get_clim() == (0, 255) and drawn.get_interpolation() == "nearest"
    sheet = np.asarray(drawn.get_array())
    gap = np.ma.getmaskarray(drawn.get_array())
    for row in range(2):
        for column in range(3):
            place = np.s_[row * 5 : row * 5 + 4, column * 5 : column * 5 + 4]
            assert np.array_equal(sheet[place], x[row, column])
            gap[place] = True
    assert gap.all(), "between pictures nothing is drawn"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]


def plane(value=lambda x, y: x * y) -> pd.DataFrame:
    return pd.DataFrame([{"x": x, "y": y, "value": value(x, y)} for x in (0.1, 0.5, 1.0) for y in (1, 2, 4, 9)])


@pytest.mark.parametrize("scale", ["linear", "log", "signed"])
def test_a_phase_diagram_shows_its_table_with_contours_where_the_closed_form_has_them(scale: str) -> None:
    first, second = plane(), plane(lambda x, y: x + y)
    figure = figures.phase(
        {"left": first, "right": second},
        {"left": plane(lambda x, y: y)},
        [1.5, 3.0],
        xlabel="share",
        ylabel="generation",
        label="error",
        scale=scale,
    )
    left, right, bar = figure.axes
    for ax, table in ((left, first), (right, second)):
        (mesh,) = [drawn for drawn in ax.collections if hasattr(drawn, "get_coordinates")]
        wide = table.pivot(index="y", columns="x", values="value").to_numpy()
        assert np.asarray(mesh.get_array()).reshape(4, 3) == pytest.approx(wide)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.1", "0.5", "1"]
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["1", "2", "4", "9"]
    (lines,) = [drawn for drawn in left.collections if not hasattr(drawn, "get_coordinates")]
    # Half way between y = 1 and 2, and between 2 and 4: rows 0 and 1, and 1 and 2, whose centres are at 0.5, 1.5, 2.5.
    assert [path.vertices[:, 1].mean() for path in lines.get_paths()] == pytest.approx([1.0, 2.0])
    assert len(right.collections) == 1 and bar.get_ylabel() == "error"


def test_signed_colours_meet_at_zero() -> None:
    table = plane(lambda x, y: y - 3.0)
    (ax, _) = figures.phase({"": table}, xlabel="", ylabel="", label="", scale="signed").axes
    norm = ax.collections[0].norm
    assert norm(0) == 0.5 and norm.vmin == -norm.vmax == -6


def test_by_family_gives_an_arm_one_colour_everywhere() -> None:
    """A panel may lack an arm, and an empty place of the grid is no panel."""
    panels = {
        "one": {"a": table(), "b": table()},
        "two": {"b": table()},
        "three": {"b": table()},
        "four": {"a": table()},
    }
    figure = figures.by_family(panels, {"two": {"b": lambda g: 3.0 * g}}, ylabels=dict.fromkeys(panels, "y"))
    assert [ax.get_title("left") for ax in figure.axes] == list(panels)
    colours = [drawn.get_color() for ax in figure.axes for drawn in ax.get_lines() if drawn.get_label() == "b"]
    assert len(colours) == 3 and len(set(colours)) == 1
    (dashed,) = [drawn for drawn in figure.axes[1].get_lines() if drawn.get_label() != "b"]
    assert list(dashed.get_ydata()) == [0, 3, 6, 9]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_prices_that_nothing_buys_are_arrows() -> None:
    rows = [("a", 1, 2.0, 1.5, 3.0, 8.0), ("a", 2, np.inf, 8.0, np.inf, 8.0), ("b", 1, 4.0, 3.0, np.inf, 8.0)]
    frame = pd.DataFrame(rows, columns=["arm", "x", "y", "low", "high", "most"])
    (ax,) = figures.prices({"t": frame}, theory={"t": {"a": lambda g: g + 1.0}}).axes
    arrows = [drawn for drawn in ax.get_lines() if drawn.get_marker() == r"$\uparrow$" and len(drawn.get_xdata())]
    assert [list(drawn.get_ydata()) for drawn in arrows] == [[8.0]]
    bars = [segment for container in ax.containers for segment in container[2][0].get_segments()]
    assert [list(bar[:, 1]) for bar in bars] == [[1.5, 3.0], [3.0, 8.0]]
    assert any(list(drawn.get_ydata()) == [2.0, 3.0] for drawn in ax.get_lines() if drawn.get_linestyle() == "--")


def test_learning_curves_stand_over_what_was_spent() -> None:
    own = pd.DataFrame({"x": [100.0, 1000.0], "y": [2.0, 1.0], "low": [1.5, 0.9], "high": [2.5, 1.1]})
    figure = figures.learning_curves({"l": {"a": own}, "r": {"a": own, "b": own}}, xlabel="x", ylabel="y")
    assert all(ax.get_xscale() == "log" for ax in figure.axes)
    bars = [list(bar[:, 1]) for bar in figure.axes[0].containers[0][2][0].get_segments()]
    assert bars == [pytest.approx([1.5, 2.5]), pytest.approx([0.9, 1.1])]


def test_forest_has_a_line_for_each_and_leaves_out_missing_intervals() -> None:
    one = pd.DataFrame({"label": ["a", "b"], "y": [0.5, 0.9], "low": [0.4, np.nan], "high": [0.7, np.nan]})
    figure = figures.forest({"g": one, "h": one.head(1)}, xlabel="x")
    (ax,) = figure.axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "a"]
    first = ax.containers[0][2][0].get_segments()
    assert [list(bar[:, 0]) for bar in first] == [pytest.approx([0.4, 0.7]), pytest.approx([0.9, 0.9])]


# Colours


@pytest.mark.parametrize(
    ("label", "like"),
    [
        ("A: only generated text", "replace"),
        ("sampled, accumulate", "accumulate"),
        ("sampled, accumulate and subsample", "subsample"),
        ("everything so far", "accumulate"),
        ("B: 10 % real, five beams", "mix"),
        ("10 % real, drawn anew every time", "mix"),
        ("control: real text only", "control"),
        ("placebo: other real text every time", "placebo"),
    ],
)
def test_a_regime_has_one_colour_in_every_figure(label: str, like: str) -> None:
    """Whatever stands beside it, and in whichever order."""
    others = ["first", "second", "third"]
    expected = look.colours([like])[like]
    assert look.colours([*others, label])[label] == look.colours([label, *others])[label] == expected


def different(labels: list[str]) -> set[tuple[float, float, float]]:
    """Colours of these labels, as they are drawn."""
    return {to_rgb(colour) for colour in look.colours(labels).values()}


def test_labels_of_a_figure_have_colours_of_their_own() -> None:
    labels = ["replace", "replace, ten epochs", "control", "subsample", "accumulate", "a", "b"]
    many = [f"{i} rows" for i in range(9)]
    with look.style():
        assert len(different(labels)) == len(labels)
        assert len(different(many)) == 7
        assert len(different(["five beams (A)", "greedy", "sampled, temperature 0.3", "as pre-trained"])) == 4
        regimes = ("replace", "accumulate", "subsample", "mix", "control")
        assert len({look.colours([regime])[regime] for regime in regimes}) == len(regimes)


# Dark pages


def test_luminance_contrast_is_that_of_the_guideline() -> None:
    """Two pairs with the ratios that WCAG's own examples state."""
    assert look.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert look.contrast("#767676", "#ffffff") == look.contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("colour", [*(f"#{own.lower()}" for own in look.REGIMES), "#440154", "#3b528b", "#0000ff"])
def test_every_colour_can_be_seen_on_a_dark_page(colour: str) -> None:
    assert look.contrast(look.on_dark(colour), look.GROUND) >= look.CONTRAST


def test_greys_change_sides_and_their_order() -> None:
    greys = [look.on_dark(grey) for grey in ("#ffffff", "#e5e5e5", "#666666", "#000000")]
    assert greys[0] == look.GROUND and greys[-1] == look.INK
    seen = [look.contrast(grey, look.GROUND) for grey in greys]
    assert seen == sorted(seen)
    assert look.on_dark("#e69f00") == "#e69f00", "a light colour is the same on both"


def test_the_twin_of_a_figure_is_the_figure_in_other_colours() -> None:
    with look.style():
        figure, (left, right) = plt.subplots(1, 2)
        left.plot([0, 1], color="black")
        left.plot([1, 0], color="#0072b2")
        left.set_title("title")
        right.imshow(np.eye(2), cmap="gray")
    out = io.StringIO()
    figure.savefig(out, format="svg")
    plt.close(figure)
    light = out.getvalue()
    twin = look.dark(light)
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", twin))
    assert (
        "#ffffff" not in colours
        and "#000000" not in colours
        and {look.GROUND, look.INK, look.on_dark("#0072b2")} <= colours
    )
    assert ElementTree.fromstring(twin).attrib["fill"] == look.INK, "letters, whose black matplotlib does not write"
    plain = [re.sub(r"(fill|stroke): #[0-9a-f]{6}", r"\1", text) for text in (light, twin)]
    assert plain[0] == plain[1].replace(f'fill="{look.INK}" ', "", 1), "nothing else changes, pictures neither"


def test_the_paper_s_own_condition_has_the_colour_of_its_regime_whatever_stands_before_it():
    found = look.colours(["sampled", "five beams (A)", "control: real text only", "another"])
    assert found["five beams (A)"] == "#0072B2" == look.colours(["sampled"])["sampled"]
    assert found["control: real text only"] == "#000000"
    assert "#000000" not in look.colours(["one", "another", "a third"]).values()
