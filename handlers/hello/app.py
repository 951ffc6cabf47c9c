"""Greets whoever calls, directly or through an HTTP API, and says where it ran.

Event: {"name": "Ada"}, or an HTTP API's event with `?name=Ada`. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import platform


def greeting(name: str) -> str:
    """Return the words for somebody of that name."""
    return f"Hello, {name}!"


def handler(event, context):
    is_http = "requestContext" in event
    asked = (event.get("queryStringParameters") or {}) if is_http else event
    answer = {
        "greeting": greeting(asked.get("name", "world")),
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
    print(json.dumps({"level": "INFO", "message": "greeted", "request_id": context.aws_request_id}))
    if not is_http:
        return answer
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}
