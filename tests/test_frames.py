"""Records as tables."""

from workbook.frames import frame
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
