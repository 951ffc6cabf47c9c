"""What a described API costs."""

import subprocess
import sys
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import pytest

from workbook.costs import Bill, Provisioned, Scenario, WebSocket, bill
from workbook.errors import ParameterError
from workbook.prices import price

LEAST = {"region": "us-east-1", "requests_per_month": 1_000_000, "memory_mb": 1024, "duration_ms": 100}
MILLION = 1_000_000

# Worked examples of https://aws.amazon.com/lambda/pricing/, as the page stood in 2026. All are in Virginia.
LAMBDA_EXAMPLES = {
    "mobile backend": (
        {"requests_per_month": 3 * MILLION, "duration_ms": 120, "memory_mb": 1536, "free_tier": "current"},
        {"duration": "2.33", "requests": "0.40"},
        "2.73",
    ),
    "vehicle telemetry": (
        {"requests_per_month": 7_440_000, "duration_ms": 2000},
        {"duration": "248.00", "requests": "1.49"},
        "249.49",
    ),
    "support tickets, without their /tmp": (
        {"requests_per_month": 6 * MILLION, "duration_ms": 280, "memory_mb": 4096, "free_tier": "current"},
        {"duration": "105.33", "requests": "1.00"},
        "106.33",
    ),
    "insurance claims on arm64, as functions": (
        {"requests_per_month": 2 * MILLION, "duration_ms": 16_000, "architecture": "arm64", "free_tier": "current"},
        {"duration": "421.34", "requests": "0.20"},
        "421.54",
    ),
    "web content, without its streaming": (
        {"requests_per_month": 3 * MILLION, "duration_ms": 500, "memory_mb": 1536, "free_tier": "current"},
        {"duration": "30.83", "requests": "0.40"},
        "31.23",
    ),
    "sale with provisioned environments": (
        {
            "requests_per_month": 2 * MILLION,
            "duration_ms": 280,
            "memory_mb": 4096,
            "free_tier": "current",
            "provisioned": {"environments": 7, "hours_per_month": 24},
        },
        {"environments, provisioned": "10.08", "duration, provisioned": "21.78", "requests": "0.40"},
        "32.26",
    ),
}

# Worked examples of https://aws.amazon.com/api-gateway/pricing/, as the page stood in November 2025, for Virginia.
GATEWAY_EXAMPLES = {
    "HTTP API for a site": (
        {"gateway": "http", "requests_per_month": 432 * MILLION, "request_kb": 12, "response_kb": 46},
        {"HTTP API": "300.00", "HTTP API, beyond 300,000,000": "118.80"},
    ),
    "HTTP API for uploads": (
        {"gateway": "http", "requests_per_month": 1_080_000, "request_kb": Decimal("4.5") * 1024},
        {"HTTP API": "9.72"},
    ),
    "REST API": (
        {"gateway": "rest", "requests_per_month": 5 * MILLION, "response_kb": 3},
        {"REST API": "17.50"},
    ),
    "large REST API": (
        {"gateway": "rest", "requests_per_month": 15_000 * MILLION},
        {
            "REST API": "1165.50",
            "REST API, beyond 333,000,000": "1867.60",
            "REST API, beyond 1,000,000,000": "33320.00",
        },
    ),
}


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def lines(priced: Bill) -> dict[str, Decimal]:
    return {item.what: cents(item.part.cost_usd) for item in priced.items if item.part.cost_usd}


def month(**described) -> Bill:
    return bill(Scenario.parse(LEAST | described))


@pytest.mark.parametrize(("described", "expected", "total"), LAMBDA_EXAMPLES.values(), ids=LAMBDA_EXAMPLES)
def test_lambda_costs_what_its_pricing_page_says(described, expected, total):
    """Each line and the total agree to the cent with an example of AWS's own."""
    priced = month(**described)

    assert {what: Decimal(usd) for what, usd in expected.items()} == lines(priced)
    assert Decimal(total) == cents(priced.total_usd)


def test_a_month_with_and_without_provisioned_environments_is_two_bills():
    """AWS's app launch: 8 hours with 100 environments, and the rest of the month on demand, are 19.96 USD."""
    # https://aws.amazon.com/lambda/pricing/, Provisioned Concurrency, example 1
    launch = month(
        requests_per_month=500_000,
        duration_ms=100,
        memory_mb=1536,
        provisioned={"environments": 100, "hours_per_month": 8},
    )
    rest = month(requests_per_month=2_500_000, duration_ms=120, memory_mb=1536, free_tier="current")

    assert Decimal("19.96") == cents(launch.total_usd + rest.total_usd)


@pytest.mark.parametrize(("described", "expected"), GATEWAY_EXAMPLES.values(), ids=GATEWAY_EXAMPLES)
def test_api_gateway_costs_what_its_pricing_page_says(described, expected):
    """Each line agrees to the cent with an example of AWS's own."""
    priced = month(**described)

    found = {item.what: cents(item.part.cost_usd) for item in priced.items if item.part.price.service == "API Gateway"}
    assert {what: Decimal(usd) for what, usd in expected.items()} == found


def test_responses_cost_what_the_pricing_page_says():
    """AWS's REST API: 5 million responses of 3 KB are 1.29 USD of transfer, and 18.79 USD with the requests."""
    # https://aws.amazon.com/api-gateway/pricing/; its larger example prices 57,220 GB without their tiers, and isn't met
    found = lines(month(gateway="rest", requests_per_month=5 * MILLION, response_kb=3))

    assert Decimal("1.29") == found["out to the internet"]
    assert Decimal("18.79") == found["REST API"] + found["out to the internet"]


def test_a_chat_costs_what_the_pricing_page_says():
    """AWS's chat: 1,000 users send 100 messages a day, each reaches five, 12 hours connected: 18.00 and 5.40 USD."""
    # https://aws.amazon.com/api-gateway/pricing/, WebSocket APIs
    chat = month(
        gateway="websocket",
        requests_per_month=1000 * 100 * 30,
        request_kb=3,
        response_kb=3,
        websocket={"messages_per_request": 6, "connection_minutes": 1000 * 12 * 60 * 30},
    )

    costs = [cents(item.part.cost_usd) for item in chat.items if item.part.price.service == "API Gateway"]
    assert [Decimal("18.00"), Decimal("5.40")] == costs


@pytest.mark.parametrize(
    ("log_gb", "free_tier", "expected"),
    [(30, "current", ["0.00", "12.50"]), (72 * 1024, "none", ["5120.00", "5120.00", "2048.00", "1126.40"])],
)
def test_logs_cost_what_the_pricing_page_says(log_gb, free_tier, expected):
    """AWS's 30 GB with 5 of them free, and its 72 TB of logs through every tier."""
    # https://aws.amazon.com/cloudwatch/pricing/, examples on logs; a request that logs 1 MB makes 1,024 a GB
    logged = month(requests_per_month=log_gb * 1024, log_kb_per_request=1024, free_tier=free_tier)

    costs = [cents(item.part.cost_usd) for item in logged.items if item.part.price.service == "CloudWatch Logs"]
    assert [Decimal(usd) for usd in expected] == costs


@pytest.mark.parametrize(
    ("duration_ms", "init_ms", "cold_fraction", "expected_ms"),
    [
        (100, 0, 0, "100"),
        ("100.001", 0, 0, "101"),
        ("0.2", 0, 0, "1"),
        (100, 400, 0, "100"),
        ("99.4", "400.4", 1, "500"),
        ("99.4", "400.4", "0.25", "200"),
    ],
)
def test_duration_is_billed_in_started_milliseconds_of_init_and_run(duration_ms, init_ms, cold_fraction, expected_ms):
    """Each invocation is rounded up for itself; a cold one after its init phase was added."""
    times = {"duration_ms": duration_ms, "init_ms": init_ms, "cold_fraction": cold_fraction}
    scenario = Scenario.parse(LEAST | {name: Decimal(value) for name, value in times.items()})

    assert Decimal(expected_ms) * 1000 == scenario.duration_gb_s


def test_init_is_billed_with_provisioned_environments_too():
    """What starts while environments stand ready costs their price of duration."""
    ready = {"provisioned": {"environments": 1}}
    warm, cold = month(**ready), month(**ready, init_ms=100, cold_fraction=1)

    assert 2 * lines(warm)["duration, provisioned"] == lines(cold)["duration, provisioned"]


@pytest.mark.parametrize(
    ("request_kb", "response_kb", "expected"), [(0, 0, 1), (512, 512, 1), (513, 1, 2), (1, 1025, 3), (600, 700, 2)]
)
def test_an_http_api_counts_started_512_kb_of_the_larger(request_kb, response_kb, expected):
    """Request and response count once together, by the larger."""
    scenario = Scenario.parse(LEAST | {"request_kb": request_kb, "response_kb": response_kb})

    assert expected * MILLION == scenario.metered_requests


@pytest.mark.parametrize(
    ("request_kb", "response_kb", "messages", "expected"),
    [(0, 0, 1, 1), (32, 32, 2, 2), (33, 1, 2, 3), (1, 65, 3, 7), (1, 1, Decimal("1.5"), Decimal("1.5"))],
)
def test_a_websocket_api_counts_started_32_kb_of_each_message(request_kb, response_kb, messages, expected):
    """The first message of a request comes in, the others go out, and each is counted by its own size."""
    described = {"request_kb": request_kb, "response_kb": response_kb, "websocket": {"messages_per_request": messages}}

    assert expected * MILLION == Scenario.parse(LEAST | described).metered_messages


def test_a_rest_api_counts_requests_whatever_their_size():
    """A megabyte in costs as much as nothing in."""
    assert lines(month(gateway="rest"))["REST API"] == lines(month(gateway="rest", request_kb=1024))["REST API"]


@pytest.mark.parametrize(
    ("gateway", "messages", "expected_gb"), [("none", 6, 1), ("http", 6, 1), ("websocket", 6, 5), ("websocket", 1, 0)]
)
def test_what_goes_out_is_every_response(gateway, messages, expected_gb):
    """One response a request; from a WebSocket API all messages but the one that came in."""
    described = {"gateway": gateway, "requests_per_month": 1024, "response_kb": 1024}
    scenario = Scenario.parse(LEAST | described | {"websocket": {"messages_per_request": messages}})

    assert expected_gb == scenario.out_gb


@pytest.mark.parametrize(
    ("hours", "expected_s"), [(730, 730 * 3600), (1, 3600), (Decimal("0.01"), 300), (Decimal("1.001"), 3900)]
)
def test_provisioned_environments_are_billed_in_started_five_minutes(hours, expected_s):
    """Memory counts for as long as it stands ready, whether it is used or not."""
    scenario = Scenario.parse(LEAST | {"provisioned": {"environments": 3, "hours_per_month": hours}})

    assert 3 * expected_s == scenario.provisioned_gb_s


def test_environments_stand_ready_for_a_whole_month_unless_said_otherwise():
    """A month has 730 hours."""
    assert 730 == Scenario.parse(LEAST | {"provisioned": {"environments": 1}}).provisioned.hours_per_month


def test_no_environments_are_as_none_described():
    """What doesn't stand ready doesn't change the bill."""
    assert lines(month()) == lines(month(provisioned={"environments": 0}))


@pytest.mark.parametrize(
    ("free_tier", "expected"),
    [
        ("none", []),
        ("current", ["requests", "duration", "logs, coming in", "out to the internet"]),
        ("legacy", ["requests", "duration", "REST API", "logs, coming in", "out to the internet"]),
    ],
)
def test_what_is_free_depends_on_the_age_of_the_account(free_tier, expected):
    """Lambda, logs and transfer are always free up to a point; API Gateway only was for older accounts."""
    priced = month(gateway="rest", free_tier=free_tier, response_kb=1, log_kb_per_request=1)

    assert [f"{what}, free tier" for what in expected] == [item.what for item in priced.items if not item.part.cost_usd]


@pytest.mark.parametrize(
    ("gateway", "expected"), [("http", ["1.00"]), ("rest", ["3.50"]), ("websocket", ["1.00", "0.25"])]
)
def test_the_first_year_of_an_older_account_takes_off_a_million(gateway, expected):
    """Three million requests, messages and minutes: one million of each is free, and 750,000 minutes."""
    described = {"gateway": gateway, "requests_per_month": 2 * MILLION, "free_tier": "legacy"}
    chat = {"messages_per_request": 1, "connection_minutes": 1_750_000}
    priced = month(**described, websocket=chat)

    costs = [item.part.cost_usd for item in priced.items if item.part.price.service == "API Gateway"]
    assert [Decimal(usd) for usd in expected] == [cents(usd) for usd in costs if usd]


def test_what_is_free_counts_towards_the_tiers():
    """A month of exactly one tier, some of it free, stays in that tier."""
    priced = month(requests_per_month=10 * 1024**2, response_kb=1024, free_tier="current")

    assert [100, 10_140] == [item.part.quantity for item in priced.items if item.part.price.service == "Data transfer"]


def test_nothing_used_costs_nothing():
    """A month without a request has an empty bill."""
    assert (0, ()) == (month(requests_per_month=0).total_usd, month(requests_per_month=0).items)


def test_only_four_values_are_required():
    """What is left out has its default, and the bill says so."""
    scenario = Scenario.parse(LEAST)

    assert ("none", "x86_64", "none") == (scenario.gateway, scenario.architecture, scenario.free_tier)
    assert any(line.startswith("At their defaults: gateway none, request_kb 0") for line in bill(scenario).assumptions)
    for name in LEAST:
        with pytest.raises(ParameterError, match=f"The scenario lacks {name}\\."):
            Scenario.parse({key: value for key, value in LEAST.items() if key != name})


@pytest.mark.parametrize("name", ["requests_per_month", "memory_mb", "duration_ms", "cold_fraction", "response_kb"])
@pytest.mark.parametrize(
    "value", [True, "1000", None, [1], -1, float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("1e99")]
)
def test_what_is_no_amount_is_refused(name, value):
    """A bool, a text, nothing, less than nothing, and what is not finite: each with what would be allowed."""
    with pytest.raises(
        ParameterError, match=rf"{name} in the scenario is .*Give a (whole )?number from [\d,]+ to [\d,]+\."
    ):
        Scenario.parse(LEAST | {name: value})


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({"cold_fraction": Decimal("1.01")}, r"is 1\.01.* from 0 to 1\."),
        ({"memory_mb": 127}, r"is 127.* whole number from 128 to 10,240\."),
        ({"memory_mb": 512.5}, r"is 512\.5.* whole number"),
        ({"duration_ms": 900_001}, r"from 0 to 900,000\."),
        ({"gateway": "soap"}, r"is 'soap'.*none, http, rest, websocket\."),
        ({"architecture": "x86"}, r"x86_64, arm64\."),
        ({"free_tier": True}, r"is True.*none, current, legacy\."),
        ({"region": "mars"}, r"in mars.*eu-west-1, us-east-1, us-west-2\."),
        ({"region": 7}, r"in 7.*eu-west-1, us-east-1, us-west-2\."),
        ({"memory": 512}, r"no 'memory' in the scenario.*memory_mb"),
        ({"provisioned": {"environment": 1}}, r"no 'environment' in provisioned.*environments, hours_per_month\."),
        ({"provisioned": {"hours_per_month": 1}}, r"Provisioned lacks environments\."),
        ({"provisioned": {"environments": 1, "hours_per_month": 745}}, r"hours_per_month in provisioned.*0 to 744\."),
        ({"provisioned": 5}, r"5 can't describe provisioned\."),
        ({"websocket": {"messages_per_request": 0.5}}, r"messages_per_request in websocket.*from 1 to"),
        ({"websocket": [1]}, r"\[1\] can't describe websocket\."),
    ],
)
def test_what_is_not_understood_is_refused_with_what_there_is(described, expected):
    """Every refusal names the value, the place, and what would be allowed."""
    with pytest.raises(ParameterError, match=expected):
        Scenario.parse(LEAST | described)


@pytest.mark.parametrize("description", [[LEAST], "text", 5, None])
def test_what_is_no_object_describes_nothing(description):
    """Values without names are refused."""
    with pytest.raises(ParameterError, match=r"can't describe the scenario\. .*region, requests_per_month"):
        Scenario.parse(description)


def test_a_scenario_is_checked_however_it_is_made():
    """A notebook that builds or changes one meets the same door as a file."""
    scenario = Scenario(
        region="us-east-1",
        requests_per_month=1,
        memory_mb=512,
        duration_ms=0.1,
        provisioned=Provisioned(environments=1),
        websocket=WebSocket(connection_minutes=1),
    )

    assert Decimal("0.1") == scenario.duration_ms
    with pytest.raises(ParameterError, match="memory_mb in the scenario is 64"):
        replace(scenario, memory_mb=64)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (
            {"log_kb_per_request": 1},
            "Nobody has confirmed the price of CloudWatch Logs ingest-lambda-vended in eu-west-1",
        ),
        ({"provisioned": {"environments": 1}}, "Lambda provisioned-concurrency-x86 in eu-west-1"),
        ({"region": "us-west-2", "gateway": "rest"}, "no API Gateway rest-requests in us-west-2.*eu-west-1, us-east-1"),
        (
            {"gateway": "websocket", "requests_per_month": 10**9},
            "Nobody has confirmed the price of API Gateway websocket-messages in eu-west-1",
        ),
    ],
)
def test_a_price_that_the_book_lacks_is_named(described, expected):
    """It isn't taken as zero, and not from another region or tier."""
    with pytest.raises(ParameterError, match=expected):
        month(**{"region": "eu-west-1"} | described)


def test_what_isnt_used_needs_no_price():
    """Ireland's missing price of logs doesn't stand in the way of a function that doesn't log."""
    assert Decimal("1.87") == cents(month(region="eu-west-1").total_usd)


def test_amounts_stay_exact_until_they_are_written():
    """Three requests cost 0.0000006 USD, and a binary fraction would not."""
    priced = month(requests_per_month=3, duration_ms=0)

    assert Decimal("0.0000006") == priced.total_usd
    assert Decimal("0.00") == priced.to_facts()["total_usd"]


def test_the_largest_scenario_can_be_written():
    """Every number at its upper bound still makes a bill."""
    most = month(
        requests_per_month=10**15,
        memory_mb=10_240,
        duration_ms=900_000,
        gateway="websocket",
        request_kb=10**6,
        response_kb=10**6,
        log_kb_per_request=10**6,
        websocket={"connection_minutes": 10**15, "messages_per_request": 10**6},
    )

    assert most.to_facts()["total_usd"] > 10**18
    assert "| a month " in str(most)


def test_the_facts_are_lines_a_total_days_and_assumptions():
    """Each line is quantity times price; the days are those of the prices that the lines rest on."""
    facts = month(gateway="http").to_facts()

    assert ["items", "total_usd", "price_dates", "assumptions"] == list(facts)
    for item in facts["items"]:
        assert ["service", "what", "quantity", "unit", "unit_price_usd", "cost_usd"] == list(item)
        assert item["quantity"] * item["unit_price_usd"] == item["cost_usd"]
    assert Decimal("2.87") == facts["total_usd"]
    assert {
        "service": "Lambda",
        "sku": "requests",
        "region": "us-east-1",
        "seen": price("Lambda", "requests").effective_date.isoformat(),
        "review_by": price("Lambda", "requests").review_by.isoformat(),
    } in facts["price_dates"]


def test_tiers_of_one_day_are_dated_once():
    """A meter that spans tiers stands once among the days."""
    dates = month(gateway="http", requests_per_month=432 * MILLION).to_facts()["price_dates"]

    assert ["requests", "duration-x86", "http-requests"] == [dated["sku"] for dated in dates]


def test_a_price_of_an_unknown_day_says_so():
    """A day that nobody wrote down is missing, and the price is named."""
    chat = month(region="eu-west-1", gateway="websocket", websocket={"connection_minutes": 1})

    assert None in [dated["seen"] for dated in chat.to_facts()["price_dates"]]
    assert "Seen on an unknown day: API Gateway websocket-connection-minutes." in str(chat)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({}, ["a month has 730 hours", "1 GB is 1,024 MB", "Left out: keeping logs", "NAT, DNS", "No free tier"]),
        ({"gateway": "http"}, ["each started 512 KB of the larger"]),
        ({"gateway": "rest"}, ["counts each request once"]),
        ({"gateway": "websocket"}, ["each started 32 KB"]),
        ({"free_tier": "current"}, ["made since 15 July 2025", "400,000 GB-seconds", "Credits are not taken off"]),
        ({"free_tier": "legacy"}, ["made before 15 July 2025", "twelve months", "750,000 connection minutes"]),
        ({"provisioned": {"environments": 1}}, ["five minutes", "nothing of Lambda's is free"]),
        ({"websocket": {"connection_minutes": 1}}, ["described, but not priced"]),
    ],
)
def test_every_convention_is_said(described, expected):
    """What the bill takes for granted stands below it."""
    text = str(month(**described))

    assert [] == [words for words in expected if words not in text]


def test_a_bill_reads_as_a_table():
    """Aligned as text, a table in a notebook, rounded to the cent, and labelled as priced."""
    priced = month(gateway="http", requests_per_month=2_000, duration_ms=20)

    table = str(priced).partition("\n\n")[0]
    assert (
        "| service     | what     | quantity | unit      |     USD each |   USD |\n"
        "| ----------- | -------- | -------: | --------- | -----------: | ----: |\n"
        "| Lambda      | requests |    2,000 | request   |    0.0000002 | <0.01 |\n"
        "| Lambda      | duration |       40 | GB-second | 0.0000166667 | <0.01 |\n"
        "| API Gateway | HTTP API |    2,000 | request   |     0.000001 | <0.01 |\n"
        "| a month     | priced   |          |           |              | <0.01 |"
    ) == table
    assert str(priced) == priced._repr_markdown_()


def test_costs_start_without_pandas():
    """A bill can be written where the tables' library is not wanted."""
    code = "import sys, workbook.costs; print('pandas' in sys.modules)"

    assert "False" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()


def test_a_bill_adds_up_by_what_is_paid_for():
    """The groups hold every line once, whatever the gateway and however the environments are paid."""
    base = {"region": "us-east-1", "requests_per_month": 2_000_000, "memory_mb": 256, "duration_ms": 20}
    more = {"response_kb": 4, "log_kb_per_request": 1, "free_tier": "current"}
    for gateway in ("none", "http", "rest", "websocket"):
        for provisioned in ({}, {"provisioned": {"environments": 2}}):
            priced = bill(Scenario.parse({**base, **more, **provisioned, "gateway": gateway}))
            assert priced.total_usd == sum(priced.by_group().values())
            assert (gateway != "none") == (priced.by_group()["gateway"] > 0)
