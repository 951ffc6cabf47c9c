"""Records and the JSON lines that keep them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from workbook.errors import ParameterError, SetupError
from workbook.records import COLUMNS, Provenance, Record, append_line, read_lines, read_records


@pytest.fixture
def record() -> Record:
    return Record(
        run_id="r1",
        experiment="e",
        target="embedded",
        region="us-east-1",
        function="f",
        via="invoke",
        started_at="2026-01-01T00:00:00+00:00",
        client_ms=1.5,
        status=200,
        provenance=Provenance.EMULATED,
    )


def test_a_row_comes_back_as_the_same_record(record: Record):
    """A record survives the way through JSON unchanged."""
    assert record == Record.from_row(json.loads(json.dumps(record.to_row())))


def test_a_row_has_every_column_in_order(record: Record):
    """Rows of all targets have the same columns, missing values included."""
    assert COLUMNS == tuple(record.to_row())


def test_an_unknown_column_is_refused_by_name(record: Record):
    """A row of another format is not read as something that it isn't."""
    with pytest.raises(ParameterError, match="no column 'latency'"):
        Record.from_row({**record.to_row(), "latency": 3})


def test_a_completed_record_takes_the_place_of_the_first(record: Record, tmp_path: Path):
    """A call whose REPORT line came later stands in the file twice, and is read once, completed, in its place."""
    path = tmp_path / "records.jsonl"
    first, second = replace(record, request_id="a"), replace(record, request_id="b")
    for one in (first, second, replace(first, duration_ms=2.0)):
        append_line(path, one.to_row())
    assert [replace(first, duration_ms=2.0), second] == read_records(path)


def test_calls_without_a_request_id_are_not_taken_for_one(record: Record, tmp_path: Path):
    """Throttled calls have no id from a handler; each of them stays a record of its own."""
    path = tmp_path / "records.jsonl"
    for attempt in (1, 2):
        append_line(path, replace(record, attempt=attempt).to_row())
    assert [1, 2] == [one.attempt for one in read_records(path)]


def test_provenance_combines():
    """A number that is computed from others says from which."""
    assert "priced from published" == Provenance.PRICED.on(Provenance.PUBLISHED)
    assert "priced from simulated from published" == Provenance.PRICED.on(Provenance.SIMULATED.on(Provenance.PUBLISHED))


def test_lines_come_back_in_order(tmp_path: Path):
    """What is appended is read again, umlauts included."""
    rows = [{"n": 1}, {"n": 2, "text": "größer"}]
    for row in rows:
        append_line(tmp_path / "deep" / "file.jsonl", row)
    assert rows == read_lines(tmp_path / "deep" / "file.jsonl")


def test_a_missing_file_has_no_lines(tmp_path: Path):
    """A lesson that kept nothing yet has no rows."""
    assert [] == read_lines(tmp_path / "none.jsonl")


def test_a_torn_last_line_is_left_out(tmp_path: Path):
    """A writer that was killed in the middle of a line costs that line and no other."""
    path = tmp_path / "file.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n{"n"')
    assert [{"n": 1}, {"n": 2}] == read_lines(path)


def test_a_broken_line_before_the_last_is_an_error(tmp_path: Path):
    """A file that was edited by hand is not half believed."""
    path = tmp_path / "file.jsonl"
    path.write_text('{"n": 1\n{"n": 2}\n')
    with pytest.raises(SetupError, match="Line 1 of"):
        read_lines(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_one_sentence_that_says_what_to_do(tmp_path: Path):
    """A disk without room ends in what it costs and how to go on."""
    full = tmp_path / "records.jsonl"
    full.symlink_to("/dev/full")
    with pytest.raises(SetupError, match=r"No space left on device.*those written before are safe.*--resume"):
        append_line(full, {"n": 1})


def test_a_folder_that_is_no_folder_is_one_sentence(tmp_path: Path):
    """A results folder that can't be made ends in a sentence, not in a traceback of the library."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(SetupError, match=r"can't be written: (Not a directory|File exists)"):
        append_line(tmp_path / "results" / "records.jsonl", {"n": 1})


def test_a_value_that_json_has_no_word_for_is_refused(tmp_path: Path):
    """Not-a-number never gets into a file that other tools read."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_line(tmp_path / "file.jsonl", {"n": float("nan")})
