"""How varied text is and how like the real one, against counts by hand, closed forms and the real text itself."""

from collections import Counter
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from toy_text import TextSource, Told, case, rows

from model_collapse import corpora
from model_collapse.metrics.text import continuation, diversity


def test_three_grams():
    # Block 1: abc bca cab abc; block 2: abc bcd cde def. Eight 3-grams, six different, one repeated in its block.
    m = case([[7, 8, 9, 7, 8, 9], [7, 8, 9, 50_000, 11, 12]])
    assert diversity.distinct_3(m) == 6 / 8
    assert diversity.repeated_3(m) == 1 / 8


def test_three_grams_against_counting():
    x = np.random.default_rng(0).integers(0, 4, (30, 20))
    m = case(x)
    blocks = [list(zip(row, row[1:], row[2:], strict=False)) for row in x.tolist()]
    every = [gram for block in blocks for gram in block]
    assert diversity.distinct_3(m) == pytest.approx(len(set(every)) / len(every))
    repeats = sum(count - 1 for block in blocks for count in Counter(block).values())
    assert diversity.repeated_3(m) == pytest.approx(repeats / len(every))


def test_two_grams_and_types():
    # ab bc ca | ab bd dd: five of six different; a b c d of eight.
    m = case([[7, 8, 9, 7], [7, 8, 4, 4]])
    assert diversity.distinct_2(m) == 5 / 6
    assert diversity.type_token_ratio(m) == 4 / 8
    assert diversity.vocabulary(m) == 4


def test_blocks_too_short_for_an_n_gram_have_no_share():
    short = case([[7, 8], [7, 9]])
    assert np.isnan(diversity.distinct_3(short)) and np.isnan(diversity.repeated_3(short))
    assert np.isnan(diversity.skeletons(short)) and diversity.distinct_2(short) == 1


def test_real_text_has_what_it_would_have_if_it_had_been_written():
    train = np.random.default_rng(2).integers(0, 6, (20, 12))
    source = TextSource(train=train)
    copied, found = case(train, source=source), diversity.real_text(case(np.zeros((20, 12)), source=source))
    assert set(found) >= {"repeated_3", "distinct_2", "type_token_ratio"} and 0 < found["repeated_3"] < 1
    assert found == {name: getattr(diversity, name)(copied) for name in found}


def texts(*pairs: tuple[str, str]):
    """A measurement of prompts and of what was written after them."""
    known = [text for pair in pairs for text in pair]
    tokenizer = SimpleNamespace(decode=lambda x: [known[i] for i in x[:, 0]])
    ids = np.arange(len(known)).reshape(-1, 2)
    return case(ids[:, 1:], given=rows(ids[:, :1]), source=TextSource(tokenizer=tokenizer))


@pytest.mark.parametrize(
    ("pairs", "share"),
    [
        ([("One.", " Two. Three! Two. Cut")], 2 / 3),
        # The prompt's sentence goes on: its end does not count, nor the cut at the end.
        ([("One", " more. Two. Two. Tw")], 1 / 2),
        ([("One.", " Two."), ("One. ", "Two."), ("One.\n", "Two?")], 2 / 3),
        # Lines are sentences; empty ones are none; 3.5 has no end in it.
        ([("x\n", "A 3.5 m wall\n\nB\nA 3.5 m wall\n")], 2 / 3),
        ([("One", " two three")], np.nan),
        ([("One", " two.")], np.nan),
    ],
)
def test_unique_sentences(pairs, share):
    assert diversity.unique_sentences(texts(*pairs)) == pytest.approx(share, nan_ok=True)


@pytest.mark.parametrize("s", [0.6, 1.0, 1.4])
def test_zipf_finds_the_exponent_of_expected_counts(s):
    counts = np.rint(1e5 * np.arange(1, 301) ** -s).astype(int)
    wrote = np.random.default_rng(0).permutation(np.repeat(np.arange(300), counts))
    assert diversity.zipf(case(wrote[None])) == pytest.approx(s, abs=1e-3)


def test_zipf_of_a_sample():
    """Standard error 0.005 by Fisher's information (43,000 of 60,000 draws in the first 100 ranks): 4 of them."""
    rng = np.random.default_rng(1)
    distribution = np.arange(1, 1001) ** -1.0
    wrote = rng.permutation(1000)[rng.choice(1000, 60_000, p=distribution / distribution.sum())]
    logs, p = np.log(np.arange(1, 101)), distribution[:100] / distribution[:100].sum()
    error = 1 / np.sqrt(60_000 * distribution[:100].sum() / distribution.sum() * (p @ logs**2 - (p @ logs) ** 2))
    assert diversity.zipf(case(wrote.reshape(100, -1))) == pytest.approx(1, abs=4 * error)


def test_zipf_at_its_ends():
    assert diversity.zipf(case([[1, 2, 3, 4]])) == 0
    assert np.isnan(diversity.zipf(case([[7, 7, 7]])))
    # Of two tokens, c times as many of one: 2**s = c.
    assert diversity.zipf(case([[3] * 64 + [9]])) == pytest.approx(6)


def test_skeletons_forget_rare_tokens_only():
    # 0 to 99 are common, 100 to 119 rare, 500 unknown.
    train = np.concatenate([np.repeat(np.arange(100), 3), np.arange(100, 120)])[None]
    source = TextSource(train)
    m = case([[1, 2, 3, 101], [1, 2, 3, 119], [1, 2, 3, 500], [1, 2, 3, 4]], source=source)
    assert diversity.skeletons(m) == 2 / 4
    assert np.isnan(diversity.skeletons(case([[1, 2, 3]], source=source)))


class Placed(Told):
    """A family whose states are the first tokens of the rows, as directions in the plane."""

    has_states = True

    def states(self, model, rows):
        angle = rows.x[:, 0] * np.pi / 180
        return 7 * np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.mark.parametrize(("angles", "diversity_"), [([30, 30, 30], 0), ([0, 90], 1), ([0, 180], 2), ([5, 65], 0.5)])
def test_state_diversity_in_the_plane(angles, diversity_):
    m = case([[a, 0] for a in angles], family=Placed())
    assert diversity.state_diversity(m) == pytest.approx(diversity_, rel=1e-6, abs=1e-12)


def test_state_diversity_is_the_mean_over_pairs():
    angles = np.random.default_rng(2).integers(0, 360, 20)
    pairs = [1 - np.cos((a - b) * np.pi / 180) for a, b in combinations(angles, 2)]
    value = diversity.state_diversity(case(angles[:, None], family=Placed()))
    assert value == pytest.approx(np.mean(pairs), rel=1e-5)
    assert np.isnan(diversity.state_diversity(case([[1, 2]], family=Placed())))


REAL = [[10, 1, 2, 3], [40, 4, 5, 6], [70, 1, 2, 7]]


def alike(wrote, given, family=None):
    return continuation.similarity(case(wrote, given=rows(given), source=TextSource(REAL), family=family))


def test_similarity_by_hand():
    assert alike([*REAL[1:], [9, 9, 9, 9]], REAL) == {"overlap_1": 1, "overlap_2": 1}
    assert alike([[9] * 4, [9] * 4, REAL[0]], REAL) == {"overlap_1": 0, "overlap_2": 0}
    # 4 twice where the real text has it once; 5 6 in order. Then nothing. The last prompt has no known continuation.
    wrote = [[4, 4, 5, 6], [9, 9, 9, 9], [10, 1, 2, 3]]
    assert alike(wrote, REAL) == {"overlap_1": 3 / 4 / 2, "overlap_2": 2 / 3 / 2}
    # Only the prompts that are real count.
    assert alike(wrote, [REAL[0], [8, 8, 8, 8], REAL[2]]) == {"overlap_1": 3 / 4, "overlap_2": 2 / 3}
    none = alike(wrote, [[8, 8, 8, 8]] * 3, Placed())
    assert list(none) == ["overlap_1", "overlap_2", "states"] and np.all(np.isnan(list(none.values())))


def test_similarity_of_states():
    assert alike([*REAL[1:], [0] * 4], REAL, Placed())["states"] == pytest.approx(1)
    # 60 degrees from 40 and 0 degrees from 70.
    wrote = [[100, 0, 0, 0], [70, 0, 0, 0], [0, 0, 0, 0]]
    assert alike(wrote, REAL, Placed())["states"] == pytest.approx((0.5 + 1) / 2)


def test_a_collapsed_text_is_less_varied_and_less_like_the_real_one():
    """The real text in the place of what is written, against one block of it again and again."""
    source = corpora.load("embedded").source(64, evaluate=1)
    x = source.train.rows.x
    real = case(np.roll(x, -1, axis=0), given=source.train.rows, source=source)
    same = case(np.repeat(x[:1], len(x), axis=0), given=source.train.rows, source=source)
    assert continuation.similarity(real) == {"overlap_1": 1, "overlap_2": 1}
    assert continuation.similarity(same)["overlap_2"] < 0.5
    for metric in ("type_token_ratio", "distinct_2", "distinct_3", "unique_sentences", "skeletons"):
        assert getattr(diversity, metric)(same) < getattr(diversity, metric)(real) / 3, metric
