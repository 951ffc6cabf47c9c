"""What contributors measured on AWS: read, checked, shown, and never pooled."""

import contributed
import pytest

from workbook import measured
from workbook.errors import ParameterError


def test_without_a_contribution_tables_say_how_to_make_one(tmp_path):
    """A lesson that shows them copes with an empty folder, and with a missing one."""
    for folder in (tmp_path, tmp_path / "missing"):
        for table in (measured.doors, measured.rest_against_http, measured.provisioned_starts):
            assert [measured.NOTHING] == table(folder=folder)["measured"].to_list()
        assert ["contribution", *measured.COLUMNS] == list(measured.calls(folder).columns)


def test_calls_are_typed_whether_or_not_there_are_any(tmp_path):
    """Clocks are floats, counts nullable integers, days dates, and what is blank is missing."""
    empty = measured.calls(tmp_path).dtypes
    contributed.doors(tmp_path / "one.csv")

    calls = measured.calls(tmp_path)

    assert empty.equals(calls.dtypes)
    assert ["float64", "Int64", "datetime64[us]", "string"] == [
        str(calls[name].dtype) for name in ("client_ms", "memory_mb", "date", "via")
    ]
    assert (40, {"one"}, {"measured"}) == (len(calls), set(calls["contribution"]), set(calls["provenance"]))
    assert calls["init_ms"].isna().all()
    assert calls["arch"].isna().all()


def test_each_run_is_shown_by_itself(tmp_path):
    """Callers far from a region and near to it aren't pooled: a row for each run and door, with where, when and how many."""
    contributed.doors(tmp_path / "near.csv")
    contributed.doors(tmp_path / "far.csv", region="ap-southeast-2", way_ms=300)

    doors = measured.doors(tmp_path)

    assert [("ap-southeast-2", 301.0), ("ap-southeast-2", 309.0), ("eu-west-1", 21.0), ("eu-west-1", 29.0)] == sorted(
        zip(doors["region"], doors["median_ms"].round(), strict=True)
    )
    assert ({20}, {"2026-11-20"}, {"measured"}) == tuple(
        set(doors[name].astype(str if name == "date" else object)) for name in ("n", "date", "provenance")
    )
    assert all(interval.is_bounded for interval in doors["interval_ms"])


def test_two_doors_are_compared_within_a_run(tmp_path):
    """The way to the region is in both medians, and goes out of their difference."""
    contributed.doors(tmp_path / "near.csv")
    contributed.doors(tmp_path / "far.csv", region="ap-southeast-2", way_ms=300)
    contributed.write(tmp_path / "one_door.csv", {})

    compared = measured.rest_against_http(tmp_path)

    assert [8.0, 8.0] == compared["difference_ms"].round(6).to_list()
    assert [40, 40] == compared["n"].to_list()
    assert compared["verdict"].str.endswith("(measured)").all()


def test_what_does_not_count_is_not_summarised(tmp_path):
    """Warm-ups and errors are in the file, and beside the figures."""
    path = tmp_path / "one.csv"
    contributed.write(path, {}, {"counts_as": "warm-up"}, {"counts_as": "error", "status": "500", "error_type": "500"})

    (row,) = measured.doors(tmp_path).to_dict("records")

    assert (1, 31.25, 1) == (row["n"], row["median_ms"], row["dropped"])


def test_provisioned_starts_are_told_apart_by_temperature(tmp_path):
    """Who found an environment ready, and who spilled over."""
    burst = {"lesson": "07_concurrency", "experiment": "bursts", "variant": "twice as many", "via": "invoke"}
    ready, spilled = {"temperature": "provisioned"}, {"temperature": "cold", "client_ms": "310"}
    contributed.write(tmp_path / "one.csv", burst | ready, burst | ready, burst | spilled)

    starts = measured.provisioned_starts(tmp_path).set_index("temperature")

    assert {"provisioned": 2, "cold": 1} == starts["n"].to_dict()


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("provenance", "emulated", "provenance is 'emulated', not one of measured"),
        ("licence", "", "licence is '', not one of CC0-1.0"),
        ("region", "moon-east-1", "region is 'moon-east-1', not a region that has Lambda"),
        ("date", "2026-02-30", "date is '2026-02-30', not a day from 2014-11-13 to today"),
        ("date", "2999-01-01", "date is '2999-01-01', not a day"),
        ("client_ms", "-1", "client_ms is '-1', not milliseconds"),
        ("client_ms", "nan", "client_ms is 'nan', not milliseconds"),
        ("via", "pigeon", "via is 'pigeon', not one of invoke"),
        ("status", "OK", "status is 'OK', not an HTTP status"),
        ("variant", "for 123456789012", "variant holds what looks like an account's 12 digits"),
        ("variant", "arn:aws:lambda", "variant holds what looks like an ARN"),
        ("variant", "AKIAIOSFODNN7EXAMPLE", "variant holds what looks like an access key"),
        ("variant", "ab12.execute-api.eu-west-1", "variant holds what looks like an address"),
        ("variant", "ada@example.org", "variant holds what looks like an address"),
        ("variant", "10.1.2.3", "variant holds what looks like an address"),
        ("variant", "6a2d9402-faf5-41bd-b09f-db55a37b4611", "variant holds what looks like a UUID"),
        ("variant", "$LATEST 6a2d9402faf541bdb09fdb55a37b4611", "variant holds what looks like a hexadecimal id"),
        ("variant", "20261122-031051-97ca", "variant holds what looks like a run id"),
        ("variant", "wb-x", "variant holds what looks like a resource's name"),
    ],
)
def test_a_malformed_line_is_named_with_its_reason(tmp_path, column, cell, reason):
    """Whoever reviews a contribution sees where to look, and nothing of it is shown before that."""
    contributed.write(tmp_path / "odd.csv", {}, {column: cell})

    with pytest.raises(ParameterError) as refused:
        measured.doors(tmp_path)

    assert refused.value.what.startswith(f"odd.csv, line 3: {reason}")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda text: "", "line 1: the columns have to be date,region"),
        (lambda text: text.replace("via,", ""), "line 1: the columns have to be date,region"),
        (lambda text: text.splitlines()[0] + "\n", "line 2: there is no call"),
        (lambda text: text.replace("eu-west-1,", "eu-west-1,,"), "line 2: 27 cells stand under 26 columns"),
        (lambda text: text + '"open', "can't be read: unexpected end of data"),
    ],
    ids=["empty", "columns", "no call", "a cell too many", "quote"],
)
def test_a_file_of_another_shape_is_named_with_its_reason(tmp_path, change, where):
    """Other columns, another number of cells, no call at all, no CSV."""
    path = contributed.write(tmp_path / "odd.csv", {})
    path.write_text(change(path.read_text()))

    with pytest.raises(ParameterError) as refused:
        measured.calls(tmp_path)

    assert refused.value.what.startswith(f"odd.csv, {where}")


def test_the_page_beside_the_files_explains_every_column():
    """No column is left to be guessed at, and what has been contributed can be read."""
    page = (measured.FOLDER / "README.md").read_text(encoding="utf-8")

    assert [] == [name for name in measured.COLUMNS if f"`{name}`" not in page]
    assert set(measured.calls()["provenance"]) <= {"measured"}
