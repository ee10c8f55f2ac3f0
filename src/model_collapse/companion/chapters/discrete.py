"""The discrete chain: which symbols are left, which go first, and how long it takes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import points
from model_collapse.companion.book.fits import FAR, after, changed, constant
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import family, rows
from model_collapse.companion.claims.discrete import by_chain, distribution, half_life, takeover
from model_collapse.companion.studies.discrete import KEPT, SHORT, Size
from model_collapse.errors import InputError


def check(size: Size) -> None:
    """InputError unless the chapter's figures can be drawn for these rows and symbols."""
    if int(size.n or 0) < 10 or not 5 <= size.symbols <= 20:
        raise InputError("this chapter is written for rows >= 10 and 5 to 20 symbols")


def chains(table: pd.DataFrame) -> None:
    """Shares of all symbols in four chains ({eq}`discrete-chain`)."""
    M, K, last = rows(table), len(distribution(table)), stats.last_of(table)
    left = [_listed(stats.per_replicate(table, "support", g)) for g in (0, M, last)]
    show(
        figures.shares_of_chains(table),
        stats.pick(table, "share"),
        "discrete-chains",
        f"Shares of {K} symbols in four chains of M = {M} rows, the commonest symbol at the bottom.",
        "Four panels of stacked coloured areas by generation. Thin stripes end within the first few dozen "
        "generations. A few broad ones remain, swell and shrink, and in the end one may fill the whole panel. It is "
        "not the same in all panels.",
    )
    say(
        f"Of {K} symbols the four chains have {left[0]} after the real sample, {left[1]} at generation {M}, and "
        f"{left[2]} at generation {last}. Which symbols stay differs from chain to chain. Only their share makes some "
        "more likely to stay."
    )


def winners(table: pd.DataFrame) -> None:
    """How often each symbol is the last one, beside its true share ({eq}`discrete-fixation`)."""
    last, q = stats.last_of(table), distribution(table)
    shares = stats.pick(table, "share", last).astype({"item": str}).astype({"item": int})
    won = shares.assign(value=shares["value"] == 1).pivot(index="replicate", columns="item", values="value")
    won = won.reindex(columns=range(1, len(q) + 1), fill_value=False).astype(bool)
    R, frequency = len(won), won.mean().to_numpy()
    found: dict[Hashable, Estimate] = {q[i - 1]: stats.proportion(won[i]) for i in range(1, len(q) + 1)}
    each = points(found)
    show(
        figures.points(
            each,
            theory.fixation_probability,
            xlabel="true share of the symbol",
            ylabel="share of chains that end with it",
        ),
        each.assign(symbol=won.columns),
        "discrete-fixation-frequency",
        f"How often each symbol is the last one, over {R} chains of {rows(table)} rows, with 95 % intervals; dashed: "
        "{eq}`discrete-fixation`.",
        "Points with error bars along the diagonal: the share of chains that end with a symbol equals its true share.",
    )
    p_value = float(chisquare(won.sum(), R * q).pvalue)
    assert p_value > 1e-6, "fixation frequencies left the true shares"
    off = float(np.max(np.abs(frequency - q) / np.sqrt(q * (1 - q) / R)))
    say(
        f"Symbol $i$ is the last one with frequency $q_i$: the largest deviation is {off:.1f} standard errors, and a "
        f"chi-square test over all {len(q)} symbols gives p = {p_value:.2f}. **The rarest symbol wins too**, in "
        f"{won.to_numpy()[:, -1].sum()} of {R} chains; theory expects {R * q[-1]:.1f}."
    )


def time_to_rest(tables: Mapping[float, pd.DataFrame], size: Size) -> None:
    """Mean fits until one of two symbols is alone ({eq}`discrete-absorption`); theory for the symbols of the size."""
    fits: dict[Hashable, Estimate] = {}
    for rarer, table in tables.items():
        # Before the first fit both symbols are there.
        fits[rarer] = stats.mean(1 + (by_chain(table, "support") > 1).sum())
    times, first = points(fits), next(iter(tables.values()))
    exact = theory.absorption_time(times["x"], SHORT)
    off = compare.off(times, exact)
    assert off < FAR, "the time to rest left its closed form"
    show(
        figures.points(
            times,
            lambda x: theory.absorption_time(x, SHORT),
            xlabel="true share of the rarer of two symbols",
            ylabel="mean fits until one is alone",
        ),
        times,
        "discrete-absorption-time",
        f"Fits until one of two symbols is alone, texts of {SHORT} words, with 95 % intervals over "
        f"{first['replicate'].nunique()} chains; dashed: {{eq}}`discrete-absorption`.",
        "Points with error bars on a concave curve that rises from zero fits for a share of zero to its maximum at "
        "one half.",
    )
    M, q = int(size.n or 0), theory.zipf_law(size.symbols, 1)
    done = theory.fixed_probability([2 * M, 4 * M, 8 * M], q, M)
    say(
        f"The simulated means are within {off:.1f} standard errors of the exact times. The limit of large $M$ is "
        f"already close: for equal shares and M = {SHORT} it gives "
        f"{theory.absorption_time_approximation([0.5, 0.5], SHORT):.1f} fits, and the exact value is {exact[-1]:.1f}. "
        f"For the {size.symbols} symbols above and M = {M} rows the mean time is {theory.fixation_time(q, M):.0f} "
        f"fits (limit: {theory.absorption_time_approximation(q, M):.0f}). After 2 M, 4 M and 8 M fits {done[0]:.0%}, "
        f"{done[1]:.0%} and {done[2]:.1%} of the chains have one symbol left. The time is of the order of M "
        "generations, and the web has a large M. The rest of the chapter is about losses long before the end."
    )


def inbreeding(tables: Mapping[str, pd.DataFrame], size: Size) -> None:
    """Heterozygosity and inbreeding coefficient by number of rows ({eq}`discrete-heterozygosity`)."""
    first = next(iter(tables.values()))
    start = float(1 - np.sum(distribution(first) ** 2))
    decay, related = "heterozygosity over the true one", "inbreeding coefficient F"
    sizes = {label: rows(table) for label, table in tables.items()}
    show(
        figures.against_theory(
            {
                decay: {label: changed(t, "heterozygosity", lambda H: H / start) for label, t in tables.items()},
                related: {label: changed(t, "heterozygosity", lambda H: 1 - H / start) for label, t in tables.items()},
            },
            {
                decay: {label: after(lambda n, M: 1 - theory.inbreeding(n, M), M) for label, M in sizes.items()},
                related: {label: after(theory.inbreeding, M) for label, M in sizes.items()},
            },
            ylabel="mean over chains",
        ),
        compare.listed({"heterozygosity": {label: stats.pick(t, "heterozygosity") for label, t in tables.items()}}),
        "discrete-heterozygosity-decay",
        "Heterozygosity and inbreeding coefficient, means with 95 % bands over chains; dashed: "
        "{eq}`discrete-heterozygosity`.",
        "Two panels, three sample sizes. Left: heterozygosity falls exponentially to zero, fastest for the smallest "
        "sample. Right: the inbreeding coefficient rises in mirror image to one.",
    )
    M = int(size.n or 0)
    say(
        f"After ten fits of M = {M} rows two draws descend from one real row with probability "
        f"{theory.inbreeding(10, M):.0%}. Diversity halves every {np.log(2) / -np.log1p(-1 / M):.0f} generations, "
        "whatever the distribution of the words. Heterozygosity depends mostly on common symbols; rare ones are next."
    )


def survival(table: pd.DataFrame) -> None:
    """Share of chains that still have a symbol, beside the exact chain of its count and {eq}`discrete-survival`."""
    M, q = rows(table), distribution(table)
    K = len(q)
    alive = changed(table, "share", lambda share: share > 0).astype({"item": str})
    title, ranks = f"K = {K} symbols, M = {M} rows", sorted({1, 2, 5, min(10, K), K})
    show(
        figures.against_theory(
            {title: {f"rank {rank}": alive[alive["item"] == str(rank)] for rank in ranks}},
            {title: {f"rank {rank}": after(theory.survival, q[rank - 1], M) for rank in ranks}},
            ylabel="share of chains that still have the symbol",
        ),
        stats.by_generation(alive),
        "discrete-survival-by-rank",
        "Survival of single symbols by true rank, with 95 % bands over chains; dashed: exact, from powers of the "
        "transition matrix.",
        "Falling curves ordered by rank: the commonest symbol stays near one longest, the rarest is missing from more "
        "than half of the chains almost at once.",
    )
    observed = alive.groupby(["generation", "item"])["value"].mean().unstack()[[str(i + 1) for i in range(K)]]
    n, R = observed.index.to_numpy() + 1, alive["replicate"].nunique()
    exact, (lower, _) = theory.survival(n, q, M), theory.survival_bounds(n, q, M)
    off = np.abs(observed.to_numpy() - exact) / np.sqrt(np.maximum(exact * (1 - exact), 1 / R**2) / R)
    worst = float(off[R * np.minimum(exact, 1 - exact) >= 25].max())
    assert worst < 5.5, "survival left the exact chain"
    assert np.all(exact >= lower - 1e-12)
    late = int(np.argmax(exact.sum(axis=1) <= K / 2))
    say(
        f"For all {K} symbols and {len(n)} generations the simulated survival is within {worst:.1f} standard errors "
        f"of the exact one. The real sample of {M} rows shows {theory.expected_support(1, q, M):.1f} of {K} symbols "
        f"on average. After fit {n[late]}, {exact[late].sum():.1f} are left (simulated: "
        f"{observed.iloc[late].sum():.1f}; {{eq}}`discrete-survival` guarantees at least {lower[late].sum():.1f}). A "
        "symbol survives if it is there at all; it may be much rarer than it should be long before it is lost."
    )


def forgetting(tables: Mapping[int, pd.DataFrame], seed: int) -> None:
    """Fits until half of the symbols of one expected count are lost ({eq}`discrete-forgetting`)."""
    remembered = pd.DataFrame([(count, *_remembered(table, count, seed)) for count, table in tables.items()])
    remembered.columns = pd.Index(["x", "y", "low", "high", "exact"])
    show(
        figures.points(
            remembered,
            theory.forgetting_time,
            xlabel="expected count in the real data, c = M q",
            ylabel="fits until half of the chains forgot",
        ),
        remembered,
        "discrete-forgetting-time",
        "Fits until half of the symbols of one expected count are lost, with 95 % intervals over chains; dashed: "
        "$M q\\, g_n = \\ln 2$, close to the straight line {eq}`discrete-forgetting`.",
        "Points on a nearly straight rising line: symbols expected twenty times last about twenty times as long as "
        "symbols expected once.",
    )
    x, y = remembered["x"], remembered["y"]
    off = float(np.max(np.abs(y / remembered["exact"] - 1)))
    assert off < 0.1, "forgetting left the exact chain"
    say(
        f"The line through zero has slope {float((x * y).sum() / (x**2).sum()):.2f} ($2/\\ln 2$ is "
        f"{2 / np.log(2):.2f}; rare symbols lie a little below the line). The exact chain gives the same times within "
        f"{off:.1%}. This holds while $q$ is small. A symbol with half of the text lasts longer, because it can also "
        "win."
    )


def kept(tables: Mapping[str, pd.DataFrame]) -> None:
    """Symbols left where data are replaced, accumulate ({eq}`discrete-accumulate`), or stay real."""
    first = tables["replace"]
    M, q, last, R = rows(first), distribution(first), stats.last_of(first), first["replicate"].nunique()
    title, seen = f"K = {len(q)} symbols, M = {M} rows", float(theory.expected_support(1, q, M))
    support = {label: stats.pick(table, "support") for label, table in tables.items()}
    show(
        figures.against_theory(
            {title: support},
            {
                title: {
                    "replace": after(theory.expected_support, q, M),
                    "accumulate": constant(seen),
                    "control: real data only": constant(seen),
                }
            },
            ylabel="symbols left",
            limits={title: [len(q)]},
        ),
        compare.listed({title: support}),
        "discrete-support",
        "Mean number of symbols left, with 95 % bands over chains; dashed: closed forms; dotted: all symbols there "
        "are.",
        "Support by generation. Replace falls towards one symbol. Accumulate and the control are flat, both below "
        "the dotted line of all symbols.",
    )
    changes = [int((by_chain(tables[label], "support").nunique() > 1).sum()) for label in KEPT]
    end, still = (
        stats.mean(stats.per_replicate(tables[label], "heterozygosity", last), level=0.9999) for label in KEPT[1:]
    )
    target, base = (
        float(theory.accumulated_heterozygosity(last + 1, M, q)),
        float(theory.expected_heterozygosity(1, M, q)),
    )
    assert changes[2] == 0 and changes[0] > 0.9 * R
    assert end.low < target < end.high and still.low < base < still.high
    say(
        f"Of {R} chains, the number of symbols changes in {changes[0]} when data are replaced, in {changes[1]} when "
        f"they accumulate, and in {changes[2]} of the control. Accumulating keeps a heterozygosity of {end:.3f} "
        f"(99.99 % interval; theory {target:.3f}). The control has {still:.3f} (theory {base:.3f}, that of one real "
        f"sample). Nothing is lost, and nothing returns: the {len(q) - seen:.1f} symbols that the real sample missed "
        "on average stay missing however much is accumulated."
    )


def groups(table: pd.DataFrame) -> None:
    """A majority and a minority: mean shares, and the share of chains that have lost one ({eq}`discrete-fixation`)."""
    M, last = rows(table), stats.last_of(table)
    items, truth = {"minority": "2", "majority": "1"}, {"minority": 0.1, "majority": 0.9}
    own = {name: stats.pick(table, "share", item=item) for name, item in items.items()}
    average, extinct = "mean share", "share of chains without the group"
    show(
        figures.against_theory(
            {
                average: own,
                extinct: {name: group.assign(value=(group["value"] == 0) * 1.0) for name, group in own.items()},
            },
            {
                average: {name: constant(share) for name, share in truth.items()},
                extinct: {name: after(_lost, share, M) for name, share in truth.items()},
            },
            ylabel="mean over chains",
        ),
        compare.listed({"share": own}),
        "discrete-minority",
        f"Two groups in chains of M = {M} rows, means with 95 % bands; dashed: {{eq}}`discrete-fixation` and the "
        "exact survival.",
        "Two panels. Left: both groups' mean shares are flat, at 0.9 and 0.1. Right: the minority is extinct in more "
        "and more chains, approaching nine in ten; the majority in few, approaching one in ten.",
    )
    share = stats.per_replicate(table, "share", last, "2")
    mean = stats.mean(share, level=0.9999)
    gone = {n: stats.mean(stats.per_replicate(table, "share", last, i) == 0, level=0.9999) for n, i in items.items()}
    exact = {name: float(_lost(last + 1, part, M)) for name, part in truth.items()}
    assert mean.low < 0.1 < mean.high
    assert all(gone[name].low - 1e-9 <= exact[name] <= gone[name].high + 1e-9 for name in exact)
    say(
        f"At generation {last} the minority's mean share is {mean:.3f} (99.99 % interval). It is extinct in "
        f"{gone['minority'].value:.0%} of the chains (exact: {exact['minority']:.0%}), the majority in "
        f"{gone['majority'].value:.0%} ({exact['majority']:.0%}). Where the minority survives it is overrepresented, "
        f"with a share of {share[share > 0].mean():.2f} on average. **The average is fair, and few chains are**: in "
        f"{float(share.between(0.05, 0.15).mean()):.0%} of them the share is between 0.05 and 0.15. Real models do "
        "not treat groups alike to begin with."
    )


def dogs(table: pd.DataFrame) -> None:
    """Breeds left and variance within breeds ({eq}`discrete-within`), and which of the two is gone first."""
    M, kinds, last = rows(table), int(family(table)["breeds"]), stats.last_of(table)
    q, early = theory.zipf_law(kinds, 1), table[table["generation"] <= 6 * M]
    variety, reached = "what is left on average", "share of chains that have come to"
    show(
        figures.against_theory(
            {
                variety: {
                    "breeds, of all": changed(early, "breeds_left", lambda left: left / kinds),
                    "variance within breeds": changed(early, "within_deviation", lambda within: within**2),
                },
                reached: {
                    "one breed": changed(early, "breeds_left", lambda left: left == 1),
                    "spread within breeds < 1 %": changed(early, "within_deviation", lambda within: within < 0.01),
                },
            },
            {
                variety: {
                    "breeds, of all": after(lambda n: theory.expected_support(n, q, M) / kinds),
                    "variance within breeds": after(theory.expected_within_variance, q, M),
                },
                reached: {"one breed": after(theory.fixed_probability, q, M)},
            },
            ylabel="share",
        ),
        compare.listed({"": {name: stats.pick(early, name) for name in ("breeds_left", "within_deviation")}}),
        "discrete-dogs",
        f"Chains of {M} dogs of {kinds} breeds, with 95 % bands; dashed: exact survival of breeds, "
        "{eq}`discrete-within`, and the probability that one breed is alone.",
        "Two panels. Left: breeds left and variance within breeds both fall, the variance towards zero, the breeds "
        "towards one of ten. Right: shares of chains with one breed left and with hardly any spread within breeds, "
        "two rising curves that cross.",
    )
    alone, alike = takeover(table)
    first = stats.proportion(alone < alike, level=0.9999)
    winner = stats.per_replicate(table, "majority_breed", last).to_numpy()
    common, rare = (stats.proportion((alone < alike)[chosen]) for chosen in (winner == 1, winner > kinds // 2))
    say(
        f"On average one breed is left after {np.nanmean(alone):.0f} generations (exact: "
        f"{theory.fixation_time(q, M) - 1:.0f}), and the spread within breeds is gone after {np.nanmean(alike):.0f}. "
        f"But **which comes first depends on the threshold, here 1 %**: the breed takes over first in {first:.2f} of "
        "the chains (99.99 % interval). A breed that is alone from the start would keep some spread for "
        f"{theory.narrowing_time(0.01, M):.0f} fits; with several breeds each has few dogs and narrows faster. Where "
        f"the commonest breed wins, it takes over first in {common:.2f} of the chains. Where one of the "
        f"{kinds - kinds // 2} rarest wins, in {rare:.2f}: such a breed descends from very few dogs. Breeds here "
        "share nothing. A model of pictures also confuses them, and can make a dog that is no breed at all."
    )


def _listed(counts: pd.Series) -> str:
    """ "14, 11, 14 and 16"."""
    *others, last = (f"{count:.0f}" for count in counts)
    return f"{', '.join(others)} and {last}"


def _lost(n: np.ndarray | int, share: float, M: int) -> np.ndarray:
    return np.asarray(1 - theory.survival(n, share, M))


def _remembered(table: pd.DataFrame, count: int, seed: int) -> tuple[float, float, float, float]:
    """Fits until half of the symbols are lost, its 95 % interval from resampled chains, and the exact value."""
    M, K = rows(table), int(family(table)["symbols"])
    alive = by_chain(table, "support") / K
    rng, R = np.random.default_rng(seed), alive.shape[1]
    again = rng.multinomial(R, np.full(R, 1 / R), size=200) / R
    spread = [half_life(pd.Series(curve)) for curve in again @ alive.to_numpy().T]
    low, high = np.quantile(spread, [0.025, 0.975])
    exact = half_life(pd.Series(theory.survival(alive.index.to_numpy() + 1, count / M, M)))
    return half_life(alive.mean(axis=1)), float(low), float(high), exact
