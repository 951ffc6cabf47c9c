"""Quantiles, their intervals, comparisons that may not be decided, and doubts."""

import math
import random
from statistics import median

import pytest

from workbook.errors import ParameterError
from workbook.statistics import (
    Doubt,
    Interval,
    compare,
    doubts,
    quantile,
    quantile_interval,
    summarise,
    values_needed,
)


def spread(around: float, size: int = 20, width: float = 1.0) -> list[float]:
    """Return evenly spaced values around a median."""
    return [around + width * (place / (size - 1) - 0.5) for place in range(size)]


def told(base: list[float], other: list[float]) -> str:
    """Return the sentence that compares two samples called warm and cold."""
    return str(compare(base, other, base="warm", other="cold", provenance="emulated"))


def test_a_quantile_lies_between_two_values():
    """The interpolation is that of numpy and pandas, so a table and a sentence never differ."""
    assert [1.75, 2.5, 3.85] == pytest.approx([quantile([4, 1, 3, 2], q) for q in (0.25, 0.5, 0.95)])


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, math.inf], [1.0, None]])
def test_a_sample_that_is_empty_or_not_finite_is_refused(values: list):
    """A value that is missing is neither a zero nor nothing."""
    with pytest.raises(ParameterError, match=r"There are no values|One of the values is"):
        summarise(values)


@pytest.mark.parametrize("q", [0, 1, 95])
def test_a_share_outside_zero_to_one_is_refused(q: float):
    """95 is not taken for 95 %, and no number of values bounds the largest one of all."""
    with pytest.raises(ParameterError, match=f"q is {q}."):
        quantile_interval([1, 2, 3], q)


def test_the_median_of_six_has_the_interval_of_hettmansperger_and_sheather():
    """Six values 1 to 6 give 1 + 5/14 and its mirror image, as worked out by hand from the paper's formula."""
    interval = quantile_interval(range(1, 7))
    assert [1 + 5 / 14, 6 - 5 / 14] == pytest.approx([interval.low, interval.high])


def test_an_interval_doesnt_depend_on_the_order_or_the_unit():
    """Milliseconds in any order and seconds sorted have the same interval."""
    values = [3.0, 1.0, 9.0, 4.0, 1.5, 2.0, 7.0]
    in_ms, in_s = quantile_interval(values), quantile_interval(sorted(value / 1000 for value in values))
    assert [in_ms.low, in_ms.high] == pytest.approx([in_s.low * 1000, in_s.high * 1000])


def test_a_comparison_at_a_higher_level_is_less_sure_of_itself():
    """Whoever looks several times asks for more certainty, and gets wider intervals that may no longer be apart."""
    one, other = spread(10, width=4), spread(11.8, width=4)
    once, often = (compare(one, other, base="b", other="o", provenance="", level=level) for level in (0.95, 0.999))
    assert often.ratio_interval.low < once.ratio_interval.low < once.ratio_interval.high < often.ratio_interval.high
    assert [True, False] == [once.decided, often.decided]


def test_a_higher_level_gives_a_wider_interval():
    """More certainty costs width."""
    narrow, wide = (quantile_interval(range(50), level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("q", "needed"), [(0.5, 6), (0.95, 72), (0.05, 72), (0.99, 368)])
def test_an_interval_is_bounded_from_the_number_needed_on(q: float, needed: int):
    """One value fewer leaves a side open, and the number is the one that textbooks give."""
    bounded = [quantile_interval(range(size), q).is_bounded for size in (needed - 1, needed)]
    assert (needed, [False, True]) == (values_needed(q), bounded)


@pytest.mark.parametrize(("q", "size"), [(0.5, 7), (0.5, 40), (0.95, 120)])
def test_an_interval_holds_the_truth_in_95_of_100_samples(q: float, size: int):
    """On 2,000 exponential samples, whose quantile is known by formula, the share is 95 % within four standard errors."""
    rng, true = random.Random(1), -math.log(1 - q)
    intervals = [quantile_interval([rng.expovariate(1) for _ in range(size)], q) for _ in range(2_000)]
    held = sum(interval.low <= true <= interval.high for interval in intervals)
    assert 0.95 == pytest.approx(held / 2_000, abs=0.02)


def test_a_large_sample_has_an_interval_too():
    """Probabilities of 100,000 values neither overflow nor vanish: the interval is within 1 % of what large samples tend to."""
    interval = quantile_interval([place / 100_000 for place in range(100_000)])
    assert 2 * 1.96 * 0.5 / math.sqrt(100_000) == pytest.approx(interval.high - interval.low, rel=0.01)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Interval(1, 2), Interval(2, 3), True),
        (Interval(1, 2), Interval(2.1, 3), False),
        (Interval(1, None), Interval(5, 6), True),
        (Interval(None, 4), Interval(5, 6), False),
        (Interval(None, None), Interval(5, 6), True),
    ],
)
def test_an_open_side_reaches_to_infinity(one: Interval, other: Interval, overlap: bool):
    """What isn't bounded overlaps whatever lies on that side."""
    assert (overlap, overlap) == (one.overlaps(other), other.overlaps(one))


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (Interval(2.9, 3.4), "[2.9, 3.4]"),
        (Interval(16.234, 20.911), "[16, 21]"),
        (Interval(2.9134, 3.0321), "[2.91, 3.03]"),
        (Interval(1203.2, 1253.9), "[1200, 1250]"),
        (Interval(0.00121, 0.00134), "[0.00121, 0.00134]"),
        (Interval(3.1, 3.1000000000000005), "[3.1000, 3.1000]"),
        (Interval(-0.04, 4), "[0, 4]"),
        (Interval(2, 2), "[2, 2]"),
        (Interval(2.94159, None), "[2.94, ?]"),
    ],
)
def test_an_interval_shows_the_digits_that_it_knows(interval: Interval, shown: str):
    """As many digits as the width allows, and never seventeen."""
    assert shown == str(interval)


def test_a_summary_reads_as_one_line():
    """Size, median, 95th percentile and maximum stand side by side, each as far as it is known."""
    assert "n = 20: median 3.0 [2.8, 3.2], p95 3.45 [3.36, ?], maximum 3.5" == str(summarise(spread(3)))


def test_medians_far_apart_are_ranked_with_the_factor_between_them():
    """The sentence gives the ratio, its interval and the provenance."""
    assert "cold is 18.0 times warm [16.7, 19.5] (emulated)" == told(spread(3), spread(54, width=1))


def test_the_larger_median_stands_first_whichever_is_the_base():
    """A ratio below one is told from the other side."""
    assert told(spread(54), spread(3)).startswith("warm is 18.0 times cold [")


def test_ratio_and_difference_are_the_others_over_and_minus_the_bases():
    """What the fields say has the direction of the parameters."""
    comparison = compare(spread(2), spread(6), base="warm", other="cold", provenance="emulated")
    assert (3, 4, True) == (pytest.approx(comparison.ratio), pytest.approx(comparison.difference), comparison.decided)


def test_a_repeated_sample_leaves_its_own_interval():
    """Against a sample without any spread, a difference is as uncertain as the other median alone."""
    values = spread(6)
    interval = compare([2.0] * 20, values, base="warm", other="cold", provenance="emulated").difference_interval
    own = quantile_interval(values)
    assert [own.low - 2, own.high - 2] == pytest.approx([interval.low, interval.high])


@pytest.mark.parametrize("size", [10, 50])
def test_intervals_of_ratio_and_difference_hold_the_truth(size: int):
    """On 2,000 pairs of skewed samples both hold it in 95 to 97 of 100, within four standard errors."""
    rng, pairs = random.Random(2), []
    for _ in range(2_000):
        base, other = ([factor * rng.lognormvariate(0, 1) for _ in range(size)] for factor in (1, 1.5))
        pairs.append(compare(base, other, base="a", other="b", provenance="simulated"))
    ratio = sum(pair.ratio_interval.low <= 1.5 <= pair.ratio_interval.high for pair in pairs)
    difference = sum(pair.difference_interval.low <= 0.5 <= pair.difference_interval.high for pair in pairs)
    assert [0.96, 0.96] == pytest.approx([ratio / 2_000, difference / 2_000], abs=0.02)


def test_too_close_to_rank_says_how_many_more():
    """The number asked for is the one that would have set these intervals apart."""
    comparison = compare(spread(3), spread(3.2), base="warm", other="cold", provenance="emulated")
    reach = quantile_interval(spread(3)).high - 3
    assert math.ceil(20 * ((2 * reach / 0.2) ** 2 - 1)) == pytest.approx(comparison.more_needed, abs=1)


def test_not_enough_samples_is_an_answer():
    """Where intervals overlap, the sentence ranks nothing and names the number that is missing."""
    sentence = told(spread(3), spread(3.2))
    assert sentence.startswith("Not enough samples to rank cold and warm: about ")
    assert sentence.endswith(" more of each (emulated).")


def test_too_few_for_an_interval_says_how_many_it_takes():
    """Five values bound no median, so nothing can be said of how many more would rank them."""
    comparison = compare(spread(3, 5), spread(54, 20), base="warm", other="cold", provenance="emulated")
    assert (None, False) == (comparison.more_needed, comparison.decided)
    assert "Not enough samples to rank cold and warm: an interval takes 6 of each (emulated)." == str(comparison)


@pytest.mark.parametrize(("other", "percent"), [(3.003, "0.1"), (3, "0")])
def test_medians_that_hardly_differ_are_not_worth_telling_apart(other: float, percent: str):
    """Nobody is asked for ten thousand samples."""
    apart = f"would tell cold and warm apart: the medians differ by {percent} % (emulated)."
    assert f"No number of samples worth taking {apart}" == told(spread(3), spread(other))


def test_a_ratio_of_nothing_is_refused():
    """Zero is no duration that another could be a multiple of."""
    with pytest.raises(ParameterError, match="has the value 0"):
        compare([0, 1, 2], [1, 2, 3], base="a", other="b", provenance="emulated")


def test_a_good_sample_leaves_no_doubt():
    """A hundred values close together, on a fine clock, need no caveat."""
    assert [] == doubts(spread(3, 100), resolution_ms=0.001)


def test_every_doubt_at_once_is_three():
    """Few values, a tail and a coarse clock are named with their numbers and with what would help."""
    values = [2.0, 2.0, 3.0, 60.0]
    assert 2.5 == median(values)
    assert [
        Doubt("4 values are too few for an interval of the median.", "Take 2 more: it needs 6."),
        Doubt(
            "The slowest value, 60 ms, is 24 times the median, which hides it.",
            "Plot every value, and give the 95th percentile beside the median.",
        ),
        Doubt(
            "The median, 2.5 ms, is 2.5 steps of a clock that counts in 1 ms.",
            "Time work that takes at least 20 ms, or read a finer clock.",
        ),
    ] == doubts(values, resolution_ms=1)


def test_enough_for_the_median_may_be_too_few_for_the_slow_ones():
    """Between 6 and 71 values, the doubt is about the 95th percentile alone."""
    assert [
        "50 values are too few for an interval of the 95th percentile. Take 22 more, or speak of the median alone."
    ] == [str(doubt) for doubt in doubts(spread(3, 50), resolution_ms=0.001)]
