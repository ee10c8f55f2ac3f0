"""What a sweep of the paper would take, against the same arithmetic written out."""

from __future__ import annotations

import pytest

from model_collapse.companion.sweep import price
from model_collapse.companion.verify import pricing


def test_hours_are_operations_by_speed_dealt_to_gpus():
    """Chains of A and of the control read each block 3 * 5 + 5 times, those of B 3 * 10 + 5 times."""
    found = price.paper()
    block = 2 * 1.25e8 * 64 / 1e14
    plain, mixed = (38_000 * 10 * times * block for times in (20, 35))
    assert found.chains == pytest.approx((plain, mixed, plain) * 5, rel=0.02)
    one = sum(found.chains) / 3600
    assert found.hours(1) == pytest.approx(one)
    assert found.hours(15) == pytest.approx(max(found.chains) / 3600) == found.hours(100)
    assert one / 4 <= found.hours(4) <= one / 4 + found.hours(100)


def test_the_rate_of_a_core_is_that_of_the_record():
    """12 steps of 8 blocks and 48 texts by five beams, in the seconds that the record's table has."""
    from model_collapse.companion import records

    table = records.read("pretrained").tables["A"]
    seconds = table.groupby(["replicate", "generation"]).seconds.first()
    operations = 2 * 1.25e8 * 64 * (3 * 12 * 8 + 5 * 48)
    assert price.core_speed() == pytest.approx(operations * len(seconds) / seconds.sum())
    years = sum(price.paper().chains) * pricing.SPEED / price.core_speed() / 86400 / 365.25
    assert price.paper().core_years == pytest.approx(years)


def test_the_table_says_that_it_is_computed():
    said = price.table((1, 15))
    assert said.count("\n|") == 3 and "Computed, not run" in said and "assumed" in said
