"""What a verification would notice: for each claim the smallest deviation, or effect, that its chains are enough for.

    for row in power(read(Path("records/verify-simulation.json"))): print(row.id, row.even, row.sure)

A claim passes if its whole interval, estimate -+ w, lies inside the band. The estimate is taken to be normal about the
true value, and w to be the same wherever that is; the interval's two half-widths are the recorded ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import scipy


@dataclass(frozen=True)
class Power:
    """What one claim would notice, in units of its measured quantity.

    kind  deviation: the band lies about `target`, and what has to be noticed is a true value that is off it;
          effect: the band has one end, `target`, and what has to be shown is a true value on its side
    even  smallest deviation that makes the claim fall, or effect that makes it stand, with even odds: the true value
          from which the interval just touches the end of the band
    sure  the same with a chance of 99.99 %
    found what was found: distance of the estimate from `target`
    falls chance that the claim falls from another seed though nothing is wrong: the true value is `target`, or for an
          effect what was found. An interval of level c has w = z s with z the normal quantile of (1 + c) / 2, so that
          it is Phi(-(b - w) / s) at either end. Student's z is wider for few chains: then it is too large a guess

    With a band of T - a to T + b the claim stands for estimates in T - a + w to T + b - w, so that a true value T + x
    is noticed with even odds from x = b - w on (upwards; downwards a - w), and with 99.995 % at the end of the band
    itself, x = b: the estimate is then above b - w unless it errs by w, which it does once in 20,000 at the level of
    the intervals. `even` and `sure` are those of the nearer end. With a band that begins at L the claim stands for
    estimates above L + w, so for a true value of L + w with even odds, and of L + 2 w with 99.995 %; with one that ends
    at H the same downwards.
    """

    id: str
    kind: str
    target: float
    even: float
    sure: float
    found: float
    falls: float


def power(found: Mapping[str, Any]) -> list[Power]:
    """The power of every claim of a verification that has an interval; see `Power`.

    T is the claim's exact value where it is known (`Claim.target`), else what was found. A claim whose interval has no
    width, where all chains agree, notices any change.
    """
    return [of(entry) for entry in found["claims"] if entry["low"] is not None and entry["high"] is not None]


def of(entry: Mapping[str, Any]) -> Power:
    """The power of one claim, from its entry in a verification."""
    value, (first, last) = entry["estimate"], entry["band"]
    below, above = value - entry["low"], entry["high"] - value
    z = float(scipy.stats.norm.ppf((1 + entry["level"]) / 2))

    def falls(room: float, half: float) -> float:
        if half == 0:
            return float(room <= 0)
        return float(scipy.stats.norm.sf(z * (room - half) / half))

    if first is not None and last is not None:
        target = value if entry.get("target") is None else entry["target"]
        down, up = (target - first, below), (last - target, above)
        room, half = min(down, up, key=lambda side: side[0] - side[1])
        chance = min(falls(*down) + falls(*up), 1.0)
        return Power(entry["id"], "deviation", target, max(room - half, 0.0), room, abs(value - target), chance)
    end, half, beyond = (last, above, last - value) if first is None else (first, below, value - first)
    return Power(entry["id"], "effect", end, half, 2 * half, beyond, falls(beyond, half))
