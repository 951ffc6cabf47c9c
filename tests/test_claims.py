"""The ledger of claims."""

import json

import pytest

from workbook.claims import Findings, claim, weigh
from workbook.errors import ParameterError
from workbook.records import Provenance

ON_AWS = "C129"  # about a magnitude on AWS
LOCALLY = "C020"  # about a mechanism
CALCULATED = "C053"  # about a sum


def test_a_claim_is_found_by_its_id():
    """The ledger gives the sentence, who says it, and what could test it."""
    found = claim(ON_AWS)
    expected = ("A 1,024 MB function starts faster than a 128 MB one", 3, "aws experiment")
    assert expected == (found.text, found.article, found.testable_by)


def test_an_unknown_claim_is_an_error():
    """A finding about nothing is a mistake."""
    with pytest.raises(ParameterError, match="no claim 'C999'"):
        weigh("C999", "anything", True, provenance="published")


@pytest.mark.parametrize(("holds", "expected"), [(True, "for"), (False, "against"), (None, "undecided")])
def test_a_finding_speaks_for_against_or_not_at_all(holds, expected):
    """Three answers, and the third is as good as the others."""
    assert expected == weigh(ON_AWS, "so it was", holds, provenance="published").speaks


@pytest.mark.parametrize(
    "provenance", [Provenance.EMULATED, "emulated", "priced from emulated", "simulated from emulated"]
)
@pytest.mark.parametrize("holds", [True, False])
def test_an_emulated_number_decides_no_magnitude_on_aws(provenance, holds):
    """Neither for nor against, and not by way of a price or a model either."""
    with pytest.raises(ParameterError, match=f"A number that is {provenance} can't decide {ON_AWS}"):
        weigh(ON_AWS, "it was faster here", holds, provenance=provenance)


def test_an_emulated_number_may_stand_beside_a_claim_about_aws():
    """The local run shows the mechanism and leaves the claim undecided."""
    assert "undecided" == weigh(ON_AWS, "it was faster here", None, provenance="emulated").speaks


@pytest.mark.parametrize(
    ("claim_id", "provenance"),
    [
        (ON_AWS, "published"),
        (ON_AWS, "measured"),
        (ON_AWS, "priced from published"),
        (LOCALLY, "emulated"),
        (CALCULATED, "priced from emulated"),
    ],
)
def test_what_may_decide_does(claim_id, provenance):
    """Numbers from AWS decide about AWS; a mechanism and a sum may be tried out here."""
    assert "for" == weigh(claim_id, "so it was", True, provenance=provenance).speaks


@pytest.mark.parametrize("provenance", ["emulatd", "Emulated", "priced from emulatd", ""])
def test_a_label_that_is_no_provenance_is_refused(provenance):
    """A mistyped label doesn't get past the rule."""
    with pytest.raises(ParameterError, match="is not a provenance"):
        weigh(ON_AWS, "so it was", True, provenance=provenance)


@pytest.mark.parametrize(
    ("holds", "words"), [(True, "speaks for it"), (False, "speaks against it"), (None, "leaves it undecided")]
)
def test_evidence_reads_as_two_lines(holds, words):
    """The claim, then what the finding says of it and what kind of number that rests on."""
    evidence = weigh(ON_AWS, "77 ms and 74 ms.", holds, provenance="published")
    expected = f'C129 "A 1,024 MB function starts faster than a 128 MB one"\n  {words} (published): 77 ms and 74 ms.'
    assert expected == str(evidence)


def test_evidence_becomes_a_row_of_plain_values():
    """A row can be written as JSON and names the claim by its id."""
    evidence = weigh(
        ON_AWS, "ratio", False, provenance=Provenance.PUBLISHED, n=20, low=0.9, high=1.1, source_url="https://x.example"
    )
    expected = {
        "claim": ON_AWS,
        "finding": "ratio",
        "speaks": "against",
        "provenance": "published",
        "n": 20,
        "low": 0.9,
        "high": 1.1,
        "source_url": "https://x.example",
    }
    assert expected == json.loads(json.dumps(evidence.to_row()))


def test_findings_are_a_table_by_claim():
    """Findings are read claim by claim, in whatever order they came, each with its side and its provenance."""
    later = weigh("C168", "3.5 times", True, provenance="published")
    earlier = weigh(ON_AWS, "97 % are left", False, provenance="published")
    header, _, *rows = Findings([later, earlier]).to_markdown().splitlines()
    assert "| | what is said | speaks | what was found | by |" == header
    assert f"| C129 | {claim(ON_AWS).text} | against | 97 % are left | published |" == rows[0]
    assert rows[1].startswith("| C168 |")
