"""What AWS documents, beside what was observed."""

import pytest

from workbook import behaviours
from workbook.emulator.corrections import CORRECTIONS
from workbook.errors import ParameterError
from workbook.targets import Target

EMBEDDED = Target("embedded", "http://127.0.0.1:1")
LOCALSTACK = Target("localstack", "http://127.0.0.1:1")
DOORS = ["REST API", "HTTP API 1.0", "HTTP API 2.0", "function URL"]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of one subject: a case without a correction, one with, and one of which nothing is documented."""
    path = tmp_path / "behaviours.csv"
    path.write_text(
        "subject,case,where,documented,restored_by,source_url,seen_on,note\n"
        "door,plain,here,200,,https://a,2026-11-21,confidence=high; said\n"
        "door,mended,here,502,some_correction,https://a,2026-11-21,confidence=low; one report\n"
        "door,silent,here,,,https://a,2026-11-21,confidence=low; nothing is said\n"
    )
    monkeypatch.setattr(behaviours, "TABLE", path)


@pytest.mark.parametrize(
    ("case", "seen", "target", "expected"),
    [
        ("plain", "200", EMBEDDED, "yes"),
        ("plain", "404", EMBEDDED, "no"),
        ("mended", "502", EMBEDDED, "restored"),
        ("mended", "200", EMBEDDED, "no"),
        ("mended", "502", LOCALSTACK, "yes"),
        ("silent", "200", EMBEDDED, "not documented"),
    ],
)
def test_agreement(table, case, seen, target, expected):
    """An echo of a correction is no agreement, but only where that correction is in force."""
    row = behaviours.beside("door", {(case, "here"): seen}, target).iloc[0]
    assert (expected, seen, "emulated") == (row["agrees"], row["observed"], row["provenance"])


def test_only_what_was_observed_is_in_the_table_and_in_its_order(table):
    """A case that nobody tried has no row."""
    found = behaviours.beside("door", {("silent", "here"): "x", ("plain", "here"): "200"}, EMBEDDED)
    assert ["plain", "silent"] == list(found["case"])


def test_an_unknown_subject_or_case_is_named(table):
    """Who mistypes reads what there is."""
    with pytest.raises(ParameterError, match=r"about 'gate'.*The subjects are: door"):
        behaviours.documented("gate")
    with pytest.raises(ParameterError, match=r"\('loud', 'here'\) is no case of 'door'.*plain, mended, silent"):
        behaviours.beside("door", {("loud", "here"): "1"}, EMBEDDED)


def test_every_case_of_the_front_door_has_its_four_doors():
    """The matrix of the lesson has no hole."""
    rows = behaviours.documented("front door")
    assert dict.fromkeys(rows["case"], DOORS) == rows.groupby("case")["where"].apply(list).to_dict()


@pytest.mark.parametrize("subject", ["front door", "front door feature", "asynchronous invocation"])
def test_every_row_says_how_sure_it_is_and_where_it_stands(subject):
    """A row that nobody can look up is none, and a blank is never sure."""
    rows = behaviours.documented(subject)
    assert set(rows["sure"]) <= {"high", "medium", "low"}
    assert rows["source_url"].str.startswith("https://").all()
    assert {"low"} >= set(rows.loc[rows["documented"].isna(), "sure"])


def test_what_restores_a_behaviour_is_a_correction():
    """`restored_by` names corrections that there are."""
    named = behaviours.documented("front door")["restored_by"].dropna()
    named = {*named, *behaviours.documented("asynchronous invocation")["restored_by"].dropna()}
    assert named <= {correction.name for correction in CORRECTIONS}
