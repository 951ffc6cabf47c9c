"""Answers with a page of orders, and logs as much as LOG_LEVEL asks for: "INFO", one line (the default), or "DEBUG", everything.

Event: an HTTP API's. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import logging
import os
import platform

logging.getLogger().setLevel(os.environ.get("LOG_LEVEL", "INFO"))
log = logging.getLogger("orders")
calls = 0


def orders(count: int) -> list[dict]:
    """Return the newest orders, as a shop would have them."""
    return [
        {"id": 70_000 - number, "article": f"article {number % 13}", "quantity": 1 + number % 4, "price_cents": 990}
        for number in range(count)
    ]


def handler(event, context):
    global calls
    calls += 1
    page = orders(50)
    log.info(json.dumps({"message": "answered", "orders": len(page), "request_id": context.aws_request_id}))
    if log.isEnabledFor(logging.DEBUG):
        log.debug(json.dumps({"event": event, "answer": page}))
    answer = {
        "orders": page,
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}
