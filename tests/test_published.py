"""What others measured on AWS."""

import pytest

from workbook import published
from workbook.records import Provenance

VARIANT = ["runtime", "arch", "memory_mb", "package"]
TABLES = {
    published.cold_starts: 3569,
    published.init_durations: 6197,
    published.init_history: 4476,
}


@pytest.mark.parametrize("read", TABLES)
def test_no_row_is_lost_or_invented(read):
    """A table has as many rows as its file has figures."""
    assert TABLES[read] == len(read())


@pytest.mark.parametrize("read", TABLES)
def test_every_row_says_what_kind_of_number_it_is_and_of_which_day(read):
    """Provenance and date travel with each row."""
    table = read()
    assert set(table["provenance"]) <= {Provenance.PUBLISHED, Provenance.DOCUMENTED}
    assert "datetime64[us]" == str(table["date"].dtype)
    assert table["date"].between("2018-01-01", "2026-11-21").all()


@pytest.mark.parametrize("read", TABLES)
def test_every_row_names_its_source(read):
    """A figure that can't be looked up is not shown."""
    table = read()
    for column in {"source", "source_url"} & set(table.columns):
        assert table[column].notna().all()


@pytest.mark.parametrize("read", TABLES)
def test_columns_have_the_types_of_a_tidy_table(read):
    """Durations are floats, memory sizes nullable integers, names text."""
    table = read()
    kinds = {"memory_mb": "Int64", "runtime": "string", "arch": "string", "package": "string", "provenance": "string"}
    assert kinds == {name: str(table[name].dtype) for name in kinds}
    durations = [name for name in table.columns if name.endswith("_ms")]
    assert durations
    assert all("float64" == str(table[name].dtype) and (table[name] > 0).all() for name in durations)


def test_a_figure_that_nobody_confirmed_is_left_out():
    """Three papers could not be read, so there is no row that stands for them."""
    assert not published.cold_starts()["note"].str.startswith("unconfirmed").any()


def test_a_month_stands_on_its_first_day():
    """A source that gives the month only keeps it."""
    table = published.cold_starts()
    assert {"2021-11-01"} == set(table.loc[table["source"] == "STeLLAR IISWC 2021", "date"].astype(str))


def test_what_aws_states_is_documented_and_the_rest_published():
    """A range in AWS's documentation is nobody's measurement."""
    table = published.cold_starts()
    stated = table["source"] == "AWS documentation"
    assert {Provenance.DOCUMENTED} == set(table.loc[stated, "provenance"])
    assert {Provenance.PUBLISHED} == set(table.loc[~stated, "provenance"])


def test_the_samples_make_the_published_medians():
    """Both files of the one day tell the same: the median of a variant's samples is the median that is published."""
    figures = published.cold_starts()
    medians = figures[(figures["source"] == "lambda-perf") & (figures["metric"] == "init_p50")]
    expected = medians.set_index(VARIANT)["value_ms"].sort_index()
    actual = published.init_durations().groupby(VARIANT)["init_ms"].median().sort_index()
    assert expected.index.equals(actual.index)
    assert expected.to_list() == pytest.approx(actual.to_list())


def test_the_samples_are_of_the_day_that_is_promised():
    """The snapshot's rows carry the date that stands in the file's name."""
    assert {published.SNAPSHOT} == set(published.init_durations()["date"].astype(str))


def test_the_history_has_one_day_of_every_month():
    """48 months from September 2022 to August 2026, none missing and none twice."""
    days = published.init_history()["date"].drop_duplicates()
    months = days.dt.to_period("M")
    assert 48 == len(days) == months.nunique()
    assert ("2022-09", "2026-08") == (str(months.min()), str(months.max()))


def test_latencies_of_doors_keep_what_aws_says_apart_from_what_others_measured():
    """AWS's own bound is documented, the runs of others are published, and all are milliseconds above 0."""
    table = published.latencies()
    assert 16 == len(table)
    by_source = table.groupby("source")["provenance"].unique().map(list).to_dict()
    assert {"AWS": ["documented"], "alessandrobologna": ["published"], "jarv.org": ["published"]} == by_source
    assert {"REST API", "HTTP API", "function URL"} == set(table["door"])
    assert (table["value_ms"] > 0).all()
    assert table["source_url"].str.startswith("https://").all()


def test_warm_durations_are_those_of_one_run():
    """Three workloads, 300 calls behind each row, no 99th percentile below its mean, and where it stands."""
    table = published.warm_durations()
    assert (119, {300}, {"published"}) == (len(table), set(table["samples"]), set(table["provenance"]))
    assert {"cpu-intensive", "light", "memory-intensive"} == set(table["workload"])
    assert (table["duration_p99_ms"] > table["duration_avg_ms"]).all()
    assert ["Int64", "float64"] == [str(table[name].dtype) for name in ("memory_mb", "duration_avg_ms")]
    assert table["source_url"].str.startswith("https://").all()
