"""Takes a job with 202 and a status address, and says how far a job is: POST /jobs, GET /jobs/{job}.

The job is in the table before the worker hears of it, so that its address answers from the first moment on. A caller that
sends the same order again, under the same `Idempotency-Key`, gets the same job. Needs JOBS, the table, and WORKER, the function.

Event: an HTTP API's. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import os
import uuid

import boto3

dynamodb, functions = boto3.client("dynamodb"), boto3.client("lambda")


def accept(order: dict, caller: str, key: str | None) -> dict:
    """Write the job down, start the worker without waiting for it, and answer 202; 422 if the key was for another order."""
    job = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{caller} {key}") if key else uuid.uuid4())
    written = json.dumps(order, sort_keys=True)
    known = write_down(job, written)
    if known and known["order"]["S"] != written:
        return answer(422, {"message": f"The key {key} was used for another order."})
    if known is None or known["state"]["S"] == "ACCEPTED":  # new, or the desk broke before it could start the worker
        payload = json.dumps({**order, "job": job})
        functions.invoke(FunctionName=os.environ["WORKER"], InvocationType="Event", Payload=payload)
    return answer(202, {"job": job}, location=f"/jobs/{job}", **{"retry-after": "1"})


def write_down(job: str, order: str) -> dict | None:
    """Write a job into the table if it is new; return what stands there if it isn't."""
    try:
        dynamodb.put_item(
            TableName=os.environ["JOBS"],
            Item={"id": {"S": job}, "order": {"S": order}, "state": {"S": "ACCEPTED"}},
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        return error.response["Item"]
    return None


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
    if event["routeKey"].startswith("GET "):
        return tell(event["pathParameters"]["job"])
    caller = event["requestContext"]["authorizer"]["iam"]["userArn"]
    return accept(json.loads(event["body"]), caller, event["headers"].get("idempotency-key"))
