"""Takes a job with 202 and a status address, and says how far a job is: POST /jobs, GET /jobs/{id}.

The job is in the table before the worker hears of it, so that its address answers from the first moment on. A client that
asks again with the same `Idempotency-Key` gets the same job. Needs JOBS, the table, and WORKER, the function.

Event: an HTTP API's. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import os
import uuid

import boto3

dynamodb, functions = boto3.client("dynamodb"), boto3.client("lambda")


def accept(order: dict, key: str | None) -> dict:
    """Write the job down, start the worker without waiting for it, and answer 202."""
    job = key or str(uuid.uuid4())
    item = {"id": {"S": job}, "state": {"S": "ACCEPTED"}}
    try:
        dynamodb.put_item(TableName=os.environ["JOBS"], Item=item, ConditionExpression="attribute_not_exists(id)")
        payload = json.dumps({"job": job, **order})
        functions.invoke(FunctionName=os.environ["WORKER"], InvocationType="Event", Payload=payload)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        pass  # the client asks a second time: the job is known
    return answer(202, {"job": job}, location=f"/jobs/{job}", **{"retry-after": "1"})


def tell(job: str) -> dict:
    """Answer with the job's state, or with 404."""
    found = dynamodb.get_item(TableName=os.environ["JOBS"], Key={"id": {"S": job}}, ConsistentRead=True)
    if "Item" not in found:
        return answer(404, {"message": f"There is no job {job}."})
    return answer(200, {"job": job, "state": found["Item"]["state"]["S"]})


def answer(status: int, body: dict, **headers: str) -> dict:
    """Return an HTTP answer with a JSON body."""
    return {"statusCode": status, "headers": {"content-type": "application/json", **headers}, "body": json.dumps(body)}


def handler(event, context):
    if event["routeKey"].startswith("POST "):
        return accept(json.loads(event["body"]), event["headers"].get("idempotency-key"))
    return tell(event["pathParameters"]["job"])
