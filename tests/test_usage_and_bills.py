"""What lessons use, by their templates, and what that costs: bills that were worked out by hand."""

import re
from decimal import Decimal

import pytest
from stacks import INFRA

from workbook import prices
from workbook.usage import BILLED, BY_HANDLER, Shape, bill

HELLO = "00_start_here"


def _d(**amounts: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in amounts.items()}


# what it costs


def test_a_bill_that_was_worked_out_by_hand():
    """Each amount times its price, and what is free each month goes off once, over both architectures together."""
    month = _d(
        lambda_requests="2000000",  # 0.40 at 0.20 a million, of which one is free
        lambda_gb_s_x86="300000",  # 5.00001 at 0.0000166667, all of them free
        lambda_gb_s_arm64="200000",  # 2.66668 at 0.0000133334, and 100,000 of them are free
        http_api_requests="1000000",  # 1.00
        rest_api_requests="1000000",  # 3.50
        sqs_requests="1500000",  # 0.60 at 0.40 a million, of which one is free
        dynamodb_write_units="1000000",  # 0.625
        dynamodb_read_units="1000000",  # 0.125
        s3_put_requests="1000",  # 0.005
        s3_get_requests="10000",  # 0.004
        log_gb="6",  # 3.00 at 0.50, of which five are free
        metric_requests="1000",  # 0.01
        out_gb="101",  # 9.09 at 0.09, of which a hundred are free
    )
    found = bill(month, "us-east-1")
    assert Decimal("26.02569") == found.list_usd
    assert (
        Decimal("0.2") + Decimal("1.33334") + Decimal("0.2") + Decimal("0.5") + Decimal("0.09") + Decimal("5.269")
        == found.charged_usd
    )
    assert ((), ()) == (found.borrowed, found.unpriced)


def test_nothing_costs_nothing():
    """A lesson that calls nobody has a bill without a line."""
    assert ((), 0, 0) == ((empty := bill({}, "us-east-1")).items, empty.list_usd, empty.charged_usd)


def test_a_price_that_the_region_lacks_is_replaced_by_the_dearest_and_named():
    """Nothing is taken as free for want of a price: a dearer region's stands in, and the bill says so."""
    found = bill(_d(rest_api_requests="1000000"), "af-south-1")
    assert Decimal("3.7") == found.list_usd  # eu-central-1's, the dearest that the book has
    assert [
        "The book has no price of API Gateway rest-requests in af-south-1; that of eu-central-1, the dearest that it has, "
        "stands in for it."
    ] == list(found.notes())


def test_logs_of_a_region_are_priced_as_its_other_logs():
    """Ireland's price of Lambda's logs isn't in the book, and its standard one is no lower than that of other regions."""
    found = bill(_d(log_gb="1"), "eu-west-1")
    assert Decimal("0.57") == found.list_usd
    assert re.search(
        "no price of CloudWatch Logs ingest-lambda-vended in eu-west-1; that of ingest-standard", str(found)
    )


def test_what_has_no_price_is_named_and_in_no_sum():
    """A service that nobody thought of shows, rather than to count as nothing."""
    found = bill({"kms Encrypt": Decimal(3), **_d(sqs_requests="1000000")}, "us-east-1")
    assert (("kms Encrypt",), Decimal("0.4")) == (found.unpriced, found.list_usd)
    assert "Without a price, and in no sum: kms Encrypt." in str(found)


@pytest.mark.parametrize("name", BILLED)
def test_everything_billed_stands_in_the_price_book(name: str):
    """Each sku has a price, and each allowance an amount."""
    _, service, sku, free_sku = BILLED[name]
    assert prices.price(service, sku).usd > 0
    if free_sku:
        assert prices.price(service, free_sku, region="global").tier_to > 0


def test_every_handler_that_calls_aws_says_what_it_asks_for():
    """What a function does by itself isn't seen going, so the most that it can do is written down."""
    handlers = [
        path.parent.name for path in (INFRA.parent / "handlers").glob("*/app.py") if "boto3.client" in path.read_text()
    ]
    no_lessons = {"prepared", "sweeper"}  # the first makes a client and calls nobody, the second is the account owner's
    assert {*handlers} - no_lessons == {*BY_HANDLER}


# what a template says


def test_a_template_says_which_functions_there_are_and_what_polls():
    """Lesson 07's queue is polled for one of its functions, and each message is received and deleted."""
    shape = Shape.of(INFRA / "07_concurrency.yaml")
    assert (512, 30, {"-checkout-worker"}) == (shape.memory_mb, shape.timeout_s, shape.polled)
    assert {"sqs_requests": 2} == shape.by_itself("wb-1-07-concurrency-checkout-worker")
    assert {} == shape.by_itself("wb-1-07-concurrency-checkout")
    assert {"sqs_requests": 15} == shape.polls(60)  # five pollers, 20 s each


def test_a_lesson_without_a_template_has_the_least_functions():
    """Where nothing is deployed, nothing is polled."""
    assert Shape() == Shape.of(INFRA / "03b_cold_starts_on_aws.yaml")
