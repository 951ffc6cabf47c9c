"""The ledger: what people say about Lambda and API Gateway, and what was found for and against it."""

import csv
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from workbook.errors import ParameterError
from workbook.records import Provenance

LEDGER = Path(__file__).resolve().parent.parent / "data" / "reference" / "claims.csv"

Side = Literal["for", "against", "undecided"]
_WORDS: dict[Side, str] = {"for": "speaks for it", "against": "speaks against it", "undecided": "leaves it undecided"}


@dataclass(frozen=True)
class Claim:
    """One sentence that one of five public articles makes, in the workbook's own words."""

    id: str
    article: int  # 1 to 5
    text: str
    kind: str  # behaviour | cost | latency | limit | practice | price | security
    testable_by: str  # aws experiment | local experiment | calculation | documentation
    facts: str  # what others found; empty where the workbook has to find out for itself
    source_url: str


@dataclass(frozen=True)
class Evidence:
    """One finding about one claim: on which side it speaks, and where it comes from."""

    claim: Claim
    finding: str
    speaks: Side
    provenance: str
    n: int | None  # how many values the finding rests on
    low: float | None  # its interval, in the finding's own unit
    high: float | None
    source_url: str | None

    def __str__(self) -> str:
        return f'{self.claim.id} "{self.claim.text}"\n  {_WORDS[self.speaks]} ({self.provenance}): {self.finding}'

    def to_row(self) -> dict[str, Any]:
        """Return the evidence as a dict of plain values, with the claim as its id."""
        return asdict(self) | {"claim": self.claim.id}


class Findings(list[Evidence]):
    """Evidence in the order in which it was found, shown as a table."""

    def to_markdown(self) -> str:
        """Return the table: the claim in words, on which side the evidence speaks, the finding, and where it comes from."""
        rows = [
            f"| {one.claim.id} | {one.claim.text} | {one.speaks} | {one.finding} | {one.provenance} |"
            for one in sorted(self, key=lambda one: one.claim.id)
        ]
        return "\n".join(["| | what is said | speaks | what was found | by |", "|---|---|---|---|---|", *rows])

    _repr_markdown_ = __repr__ = to_markdown


def claim(claim_id: str) -> Claim:
    """Return the claim of that id.

    >>> claim("C129").text
    'A 1,024 MB function starts faster than a 128 MB one'

    Raises:
        ParameterError: there is no such claim.
    """
    if claim_id not in _ledger():
        raise ParameterError(
            f"There is no claim {claim_id!r}.",
            why="A finding has to meet the words that it speaks for or against.",
            fix="Claims are named C001 to C222; data/reference/claims.csv lists them.",
        )
    return _ledger()[claim_id]


def weigh(
    claim_id: str,
    finding: str,
    holds: bool | None,
    *,
    provenance: str,
    n: int | None = None,
    low: float | None = None,
    high: float | None = None,
    source_url: str | None = None,
) -> Evidence:
    """Return what a finding says of a claim: for it if `holds`, against it if not, undecided if `holds` is None.

    `provenance` is one label, or labels joined by "from" as in "priced from published".

    Raises:
        ParameterError: there is no such claim or no such provenance; or an emulated number, or one computed from it,
            would decide a claim that only an experiment on AWS can decide.
    """
    claimed = claim(claim_id)
    labels = str(provenance).split(" from ")
    if unknown := [label for label in labels if label not in tuple(Provenance)]:
        raise ParameterError(
            f"{unknown[0]!r} is not a provenance.",
            why="A finding counts for what its numbers are.",
            fix=f'Use one of {", ".join(Provenance)}, or two joined by "from".',
        )
    if holds is not None and claimed.testable_by == "aws experiment" and Provenance.EMULATED in labels:
        raise ParameterError(
            f"A number that is {provenance} can't decide {claim_id}: {claimed.text!r}.",
            why="An emulator answers from this machine: it shows a mechanism, and decides nothing about AWS.",
            fix="Rest the finding on published or measured numbers, or pass None and let it stay undecided.",
        )
    speaks: Side = "undecided" if holds is None else "for" if holds else "against"
    return Evidence(claimed, finding, speaks, str(provenance), n, low, high, source_url)


@cache
def _ledger() -> dict[str, Claim]:
    with LEDGER.open(encoding="utf-8", newline="") as file:
        return {
            row["id"]: Claim(
                id=row["id"],
                article=int(row["article"]),
                text=row["claim"],
                kind=row["kind"],
                testable_by=row["testable_by"],
                facts=row["facts"],
                source_url=row["source_url"],
            )
            for row in csv.DictReader(file)
        }
