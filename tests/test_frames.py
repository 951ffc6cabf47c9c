"""Records as tables."""

from dataclasses import replace

import pandas as pd
import pytest

from workbook.errors import ParameterError
from workbook.frames import caveats, compare, frame, results, summary
from workbook.records import COLUMNS, Provenance, Record

ONE = Record(
    run_id="r1",
    experiment="e",
    target="embedded",
    region="us-east-1",
    function="f",
    via="invoke",
    started_at="2026-01-01T00:00:00.000001+00:00",
    client_ms=1.5,
    status=200,
    memory_mb=128,
    provenance=Provenance.EMULATED,
)


def test_a_frame_has_the_columns_of_a_record():
    """One column a quantity, in the record's order."""
    assert list(COLUMNS) == list(frame([ONE]).columns)


def test_no_records_make_an_empty_table_of_the_same_types():
    """Code that works on a table works on an empty one."""
    assert frame([ONE]).dtypes.equals(frame([]).dtypes)


def test_what_a_target_could_not_give_is_missing():
    """An unknown duration is missing, not zero."""
    table = frame([ONE])
    assert table["init_ms"].isna().all()
    assert 128 == table["memory_mb"].item()
    assert table["max_memory_mb"].isna().all()


def test_times_are_moments_in_utc():
    """A record's start keeps its microsecond and its zone."""
    assert "2026-01-01 00:00:00.000001+00:00" == str(frame([ONE])["started_at"].item())


@pytest.fixture
def table() -> pd.DataFrame:
    """Eight fast and eight slow calls that count, and around them two warm-ups, a wrong temperature and an error."""
    apart = ["warm-up", "warm-up", "wrong temperature", "error"]
    calls = [replace(ONE, variant="slow", client_ms=900.0, counts_as=kind) for kind in apart]
    calls += [replace(ONE, variant="slow", client_ms=100.0 + n, init_ms=50.0 + n) for n in range(8)]
    calls += [replace(ONE, variant="fast", client_ms=10.0 + n) for n in range(8)]
    return frame(calls)


def test_only_results_are_results(table: pd.DataFrame):
    """Warm-ups, errors and calls of the wrong temperature are in the table, and not among the results."""
    assert (20, 16) == (len(table), len(results(table)))


def test_a_summary_counts_what_it_leaves_out(table: pd.DataFrame):
    """No call that doesn't count moves a figure, and each is counted."""
    slow = summary(table, "client_ms").loc["slow"]
    assert (8, 103.5, 2, 2) == (slow["n"], slow["median_ms"], slow["warm_ups"], slow["dropped"])
    assert slow["interval_ms"].low >= 100
    assert slow["interval_ms"].high <= 107
    assert "emulated" == slow["provenance"]


def test_a_summary_keeps_the_order_of_the_variants(table: pd.DataFrame):
    """What was named first stands first."""
    assert ["slow", "fast"] == list(summary(table, "client_ms").index)


def test_a_variant_without_values_is_in_the_summary(table: pd.DataFrame):
    """A clock that nothing was read from gives a row without figures, not no row."""
    fast = summary(table, "init_ms").loc["fast"]
    assert 0 == fast["n"]
    assert pd.isna(fast["median_ms"])


def test_two_variants_are_compared_by_the_calls_that_count(table: pd.DataFrame):
    """The ratio is that of the medians of results, with the provenance of the records."""
    comparison = compare(table, "client_ms", "fast", "slow")
    assert comparison.decided
    assert pytest.approx(103.5 / 13.5) == comparison.ratio
    assert "emulated" == comparison.provenance


def test_a_comparison_with_nothing_names_what_is_missing(table: pd.DataFrame):
    """A variant that doesn't exist, or has no call that counts, is named."""
    with pytest.raises(ParameterError, match="No call of 'none' counts on client_ms"):
        compare(table, "client_ms", "fast", "none")


@pytest.mark.parametrize("ask", [summary, caveats])
def test_an_unknown_clock_is_refused_with_those_that_run(table: pd.DataFrame, ask):
    """A clock that doesn't exist is told so, before anything is computed."""
    with pytest.raises(ParameterError, match=r"no clock 'latency'.*client_ms, gateway_ms, init_ms"):
        ask(table, "latency")


def test_caveats_name_doubts_once_and_the_target_s_part(table: pd.DataFrame):
    """Variants with the same doubt share a line, and what the emulator does to the clock stands under it."""
    said = repr(caveats(table, "client_ms")).splitlines()
    assert said[0].startswith("? slow, fast: 8 values are too few for an interval of the 95th percentile.")
    assert "≠ On the embedded target" in said[-1]
    assert 2 == len(said)


def test_many_calls_on_aws_leave_only_the_way_there():
    """A large sample measured on AWS has no doubts, and its clock still holds the network."""
    calls = [
        replace(ONE, variant="far", target="aws", provenance=Provenance.MEASURED, client_ms=50.0 + n % 10)
        for n in range(100)
    ]
    assert "≠ On AWS it holds the way from this machine to the region and back." == repr(
        caveats(frame(calls), "client_ms")
    )


def test_a_clock_that_nothing_is_known_against_is_not_doubted():
    """With enough values, and nothing known of the target, that is said as well."""
    calls = [replace(ONE, variant="far", target="aws", init_ms=50.0 + n % 10) for n in range(100)]
    assert "Nothing to doubt." == repr(caveats(frame(calls), "init_ms"))


def test_a_variant_of_which_nothing_counts_is_doubted_most(table: pd.DataFrame):
    """Where every call was dropped, that is what is said, and it is no error."""
    dropped = table.assign(counts_as="error")
    assert repr(caveats(dropped, "client_ms")).startswith("? slow, fast: No call that counts has a value.")
