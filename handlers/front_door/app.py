"""Answers whoever comes through whichever door, in the shape that the query string's `answer` asks for.

Without one it answers well: with the event that it got. `own` and `headers` leave out the status code, `misshapen` has a
body that is no text, `nothing` is None, `binary` and `twice` (a header with two values) are as they say, `failure` raises,
and `slow` takes `seconds`.

Events: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import platform
import time

calls = 0

SHAPES = {
    "own": {"greeting": "hello"},
    "headers": {"headers": {"x-shelf": "top"}},
    "misshapen": {"statusCode": 200, "body": {"greeting": "hello"}},
    "nothing": None,
    "binary": {
        "statusCode": 200,
        "headers": {"content-type": "application/octet-stream"},
        "body": base64.b64encode(bytes(range(256))).decode(),
        "isBase64Encoded": True,
    },
    "twice": {"statusCode": 200, "body": "", "multiValueHeaders": {"x-shelf": ["top", "bottom"]}},
}


def log(message: str, context, **more) -> None:
    """Write one line with the moment, as a JSON object."""
    print(json.dumps({"message": message, "at": time.time(), "request_id": context.aws_request_id, **more}))


def handler(event, context):
    global calls
    calls += 1
    query = event.get("queryStringParameters") or {}
    wanted = query.get("answer")
    path = event.get("rawPath") or event["path"]
    log("asked", context, path=path, wanted=wanted)
    if wanted == "failure":
        raise ValueError("no such order")
    if wanted == "slow":
        time.sleep(float(query["seconds"]))
        log("work done", context, path=path)
    if wanted in SHAPES:
        return SHAPES[wanted]
    answer = {
        "event": event,
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}
