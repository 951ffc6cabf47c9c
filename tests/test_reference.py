"""The files of data/reference."""

import csv
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "reference"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
CONFIDENCES = ("confidence=high", "confidence=medium", "confidence=low", "unconfirmed")
KEYS = {
    "behaviours.csv": ["subject", "case", "where"],
    "claims.csv": ["id"],
    "cloudformation_permissions.csv": ["resource_type", "step", "action", "resource", "when"],
    "cold_starts_published.csv": ["source", "date", "runtime", "arch", "memory_mb", "package", "metric"],
    "lambda_perf_history.csv": ["date", "runtime", "arch", "memory_mb", "package"],
    "lambda_perf_raw_2026-08-22.csv": ["runtime", "arch", "memory_mb", "package", "sample"],
    "latency_published.csv": ["source", "door", "metric"],
    "prices.csv": ["service", "sku", "region", "tier_from"],
    "quotas.csv": ["service", "group", "quota"],
    "usage.csv": ["lesson", "mode"],
    "warm_durations_published.csv": ["date", "workload", "runtime", "arch", "memory_mb"],
}
# What has to be looked up again sooner than the rest: README, "prices.csv".
CHECKED_ON = date(2026, 11, 21)
SEEN_LATELY = date(2026, 5, 21)


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_table_is_known_here():
    """A new file gets its key, and with it the tests below."""
    assert sorted(KEYS) == sorted(path.name for path in FOLDER.glob("*.csv"))


@pytest.mark.parametrize("name", KEYS)
def test_the_readme_tells_how_many_rows_a_table_has(name):
    """The page beside the files counts as the files do."""
    assert f"## {name} ({len(_rows(name)):,} rows" in README


@pytest.mark.parametrize("name", KEYS)
def test_the_readme_explains_every_column(name):
    """No column is left to be guessed at."""
    section = README.partition(f"## {name} ")[2].partition("\n## ")[0]
    assert [] == [column for column in _rows(name)[0] if f"`{column}`" not in section]


@pytest.mark.parametrize("name", KEYS)
def test_no_row_stands_twice(name):
    """What names a row names one row."""
    keys = Counter(tuple(row[column] for column in KEYS[name]) for row in _rows(name))
    assert [] == [key for key, count in keys.items() if count > 1]


@pytest.mark.parametrize("name", KEYS)
def test_a_row_fills_every_column_and_no_more(name):
    """A stray comma would move a price into a date."""
    assert all(None not in row and None not in row.values() for row in _rows(name))


@pytest.mark.parametrize(
    ("name", "value", "day"),
    [
        ("prices.csv", "price_usd", "checked_on"),
        ("quotas.csv", "value", "valid"),
        ("cold_starts_published.csv", "value_ms", "date"),
    ],
)
def test_a_figure_has_a_source_and_a_date_or_is_called_unconfirmed(name, value, day):
    """What is blank says that nobody confirmed it; what is not can be looked up."""
    for row in _rows(name):
        assert row[day]
        if row[value]:
            assert row["source_url"].startswith("https://"), row
        else:
            assert row["note"].startswith("unconfirmed"), row


@pytest.mark.parametrize("name", ["prices.csv", "quotas.csv"])
def test_a_row_says_how_sure_it_is(name):
    """Each note begins with one of four words."""
    assert [] == [row for row in _rows(name) if not row["note"].startswith(CONFIDENCES)]


def test_tiers_join_without_a_gap():
    """Where one tier of a price ends the next begins, and all count in one unit."""
    tiers: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in _rows("prices.csv"):
        tiers.setdefault((row["service"], row["sku"], row["region"]), []).append(row)
    for rows in tiers.values():
        assert 1 == len({row["unit"] for row in rows})
        assert all(lower["tier_to"] == upper["tier_from"] != "" for lower, upper in pairwise(rows)), rows[0]


def test_prices_are_amounts():
    """No price is negative, and none is so large that it must be of a million units."""
    assert all(0 <= Decimal(row["price_usd"]) <= 5 for row in _rows("prices.csv") if row["price_usd"])


def test_prices_are_reviewed_by_the_rule_that_the_readme_gives():
    """Six months for what was seen lately and well, three for what is old, weak, undated or unconfirmed."""
    for row in _rows("prices.csv"):
        seen = date.fromisoformat(row["effective_date"]) if row["effective_date"] else date.min
        sure = bool(row["price_usd"]) and not row["note"].startswith("confidence=low") and seen >= SEEN_LATELY
        expected = (CHECKED_ON, date(2027, 5, 21) if sure else date(2027, 2, 21))
        assert expected == (date.fromisoformat(row["checked_on"]), date.fromisoformat(row["review_by"])), row
        assert seen <= CHECKED_ON


def test_claims_are_of_known_kinds():
    """An article, a kind and a way to test it: each one of a few words."""
    claims = _rows("claims.csv")
    assert set("12345") == {row["article"] for row in claims}
    assert {"aws experiment", "local experiment", "calculation", "documentation"} == {
        row["testable_by"] for row in claims
    }
    kinds = {"behaviour", "cost", "latency", "limit", "practice", "price", "security"}
    assert kinds == {row["kind"] for row in claims}
    assert all(row["claim"] and row["source_url"].startswith("https://") for row in claims)


@pytest.mark.parametrize("name", KEYS)
def test_a_claim_that_a_row_names_exists(name):
    """A reference to a claim leads somewhere."""
    known = {row["id"] for row in _rows("claims.csv")}
    named = set(re.findall(r"\bC\d{3}\b", (FOLDER / name).read_text(encoding="utf-8")))
    assert set() == named - known


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "LICENSE-lambda-perf",
            ("Apache License", "END OF TERMS AND CONDITIONS", "maxday/lambda-perf", "What was changed"),
        ),
        ("LICENSE-mikhail.io", ("MIT License", "Copyright (c) 2019 serverlessland", "What was changed")),
        ("LICENSE-cebert", ("MIT License", "AWS Lambda ARM vs x86 Benchmark Project", "What was changed")),
        ("LICENSE-aws-samples", ("MIT No Attribution", "Amazon.com, Inc.", "What was changed")),
    ],
)
def test_a_licence_lies_beside_what_it_covers(name, words):
    """The text is there in full, and both the notice and the page beside the files name it."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert [] == [word for word in words if word not in text]
    assert name in README
    assert name in (ROOT / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted(path for path in FOLDER.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_a_file_reads_on_its_own(path):
    """No row leans on another row or on a place that a reader doesn't have, and lines end in one way."""
    text = path.read_bytes().decode("utf-8")
    assert [] == re.findall(r"(?i)\bas above\b|\bseed \d+|\bto-?do\b|\r", text)
