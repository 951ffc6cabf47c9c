"""The price book."""

import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

from workbook.errors import ParameterError
from workbook.prices import cost, due, price


def test_a_price_says_what_it_is_of_and_when_it_was_seen():
    """The line of a price is the whole figure: amount, unit, meter, place and day."""
    expected = "0.0000166667 USD per GB-second (Lambda duration-x86, us-east-1, seen 2026-09-19)"
    assert expected == str(price("Lambda", "duration-x86"))


def test_a_tiny_price_is_written_out():
    """Nobody has to read an exponent."""
    assert str(price("Lambda", "requests")).startswith("0.0000002 USD per request ")


def test_a_price_of_an_unknown_day_says_so():
    """Where no day was recorded, none is invented."""
    assert str(price("Fargate", "vcpu-arm64")).endswith("(Fargate vcpu-arm64, us-east-1, day unknown)")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (0, "0.0000166667"),
        (5_999_999_999.5, "0.0000166667"),
        (6_000_000_000, "0.000015"),
        (Decimal(15_000_000_000), "0.0000133334"),
        (10**15, "0.0000133334"),
    ],
)
def test_usage_picks_the_tier(usage, expected):
    """A tier begins with its lower bound and ends before its upper one."""
    assert Decimal(expected) == price("Lambda", "duration-x86", usage=usage).usd


def test_a_region_has_its_own_price():
    """HTTP API requests cost more in Ireland than in Virginia."""
    ireland = price("API Gateway", "http-requests", region="eu-west-1").usd
    assert (Decimal("0.000001"), Decimal("0.00000111")) == (price("API Gateway", "http-requests").usd, ireland)


def test_a_free_allowance_costs_nothing_and_ends():
    """The millionth request of a month is free, and the next is no longer in the allowance."""
    assert Decimal(0) == price("Lambda", "free-requests", region="global", usage=999_999).usd
    with pytest.raises(ParameterError, match=r"usage of 1,000,000 \(request\).* from 0 to 1,000,000"):
        price("Lambda", "free-requests", region="global", usage=1_000_000)


def test_what_lies_below_the_first_tier_has_no_price():
    """The book knows DynamoDB's storage price from the 25th GB on, and doesn't extend it downwards."""
    with pytest.raises(ParameterError, match=r"usage of 24\.5 \(GB-month\).* from 25;"):
        price("DynamoDB", "storage", usage=24.5)
    assert Decimal("0.25") == price("DynamoDB", "storage", usage=25).usd


@pytest.mark.parametrize("usage", [-1, float("nan")])
def test_a_usage_that_is_no_amount_has_no_price(usage):
    """Less than nothing is refused, and so is what is not a number."""
    with pytest.raises(ParameterError, match=f"A monthly usage of {usage} is no amount"):
        price("Lambda", "duration-x86", usage=usage)


def test_an_unknown_service_is_answered_with_those_that_there_are():
    """A mistyped name costs one look."""
    with pytest.raises(ParameterError, match=r"no service 'Lamda'.*Lambda, Lambda@Edge"):
        price("Lamda", "requests")


def test_an_unknown_sku_is_answered_with_the_services_own():
    """Only the skus of that service are offered."""
    with pytest.raises(ParameterError, match=r"It has: customer-key, requests\."):
        price("KMS", "key")


def test_a_region_without_the_price_is_answered_with_those_that_have_it():
    """No price is taken over from another region."""
    with pytest.raises(ParameterError, match=r"It has: eu-west-1, us-east-1, us-west-2\."):
        price("Lambda", "requests", region="eu-central-1")


@pytest.mark.parametrize(
    ("service", "sku", "usage"),
    [("Lambda", "snapstart-cache", 0), ("API Gateway", "websocket-messages", 2_000_000_000)],
)
def test_a_price_that_nobody_confirmed_is_not_assumed(service, sku, usage):
    """A blank row ends in an error, also where another tier of the same meter is known."""
    with pytest.raises(ParameterError, match=f"Nobody has confirmed the price of {service} {sku} in eu-west-1"):
        price(service, sku, region="eu-west-1", usage=usage)


@pytest.mark.parametrize(
    ("quantity", "used", "expected"),
    [
        (0, 0, []),
        (1, 0, [(1, "0.000001")]),
        (300_000_000, 0, [(300_000_000, "0.000001")]),
        (432_000_000, 0, [(300_000_000, "0.000001"), (132_000_000, "0.0000009")]),
        (2, 299_999_999, [(1, "0.000001"), (1, "0.0000009")]),
        (Decimal("0.5"), 300_000_000, [(Decimal("0.5"), "0.0000009")]),
    ],
)
def test_a_quantity_costs_what_each_of_its_tiers_asks(quantity, used, expected):
    """A month's usage is cut where tiers meet, after what the month has already used."""
    slices = cost("API Gateway", "http-requests", quantity, used=used)

    assert [(units, Decimal(usd)) for units, usd in expected] == [(part.quantity, part.price.usd) for part in slices]
    assert [units * Decimal(usd) for units, usd in expected] == [part.cost_usd for part in slices]


def test_a_quantity_may_reach_through_every_tier():
    """20 billion GB-seconds are 6, 9 and 5 billion at three prices, and nothing is rounded."""
    slices = cost("Lambda", "duration-x86", 20 * 10**9)

    assert [6 * 10**9, 9 * 10**9, 5 * 10**9] == [part.quantity for part in slices]
    assert Decimal("301667.2") == sum(part.cost_usd for part in slices)


def test_a_quantity_that_reaches_what_the_book_lacks_has_no_cost():
    """A tier without a price is named, also behind tiers that have one; so is what lies beyond an allowance."""
    with pytest.raises(ParameterError, match="Nobody has confirmed the price of API Gateway websocket-messages"):
        cost("API Gateway", "websocket-messages", 10**9 + 1, region="eu-west-1")
    with pytest.raises(ParameterError, match="no price at a monthly usage of 1,000,000"):
        cost("Lambda", "free-requests", 1_000_001, region="global")


@pytest.mark.parametrize("quantity", [-1, Decimal("-Infinity"), Decimal("Infinity"), float("nan")])
def test_a_quantity_that_is_no_amount_has_no_cost(quantity):
    """Less than nothing is refused, and so is what has no end or is not a number."""
    with pytest.raises(ParameterError, match=f"A quantity of {quantity} can't be priced"):
        cost("Lambda", "requests", quantity)


def test_a_price_is_due_from_the_day_after_its_review_date():
    """On the review date itself there is still time."""
    known = price("Lambda", "requests")
    assert not known.is_due(known.review_by)
    assert known.is_due(date.fromordinal(known.review_by.toordinal() + 1))


def test_what_is_due_is_listed():
    """Nothing is due on the day of the check, old and weak figures come first, and in the end everything is due."""
    lists = [due(date(2026, 11, 21)), due(date(2027, 3, 1)), due(date(2028, 1, 1))]
    assert [0, 203, 358] == [len(prices) for prices in lists]
    assert price("Lambda", "requests") in lists[2]
    assert price("Lambda", "requests") not in lists[1]
    assert price("API Gateway", "rest-requests") in lists[1]


def test_prices_start_without_pandas():
    """A price can be asked for where the tables' library is not wanted."""
    code = "import sys, workbook.prices, workbook.claims; print('pandas' in sys.modules)"
    assert "False" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
