"""Charges a customer's account for a job, which takes WORK_S seconds.

Event: {"job": "j-1", "customer": "ada", "amount_cents": 990}. Needs JOBS and LEDGER, two tables.
FAULT is where it breaks: "" nowhere (the default), "before" or "after" the charge.
IDEMPOTENT is "yes" for a charge that can be repeated without harm, "no" (the default) for one that can't.
"""

import json
import os
import platform
import time

import boto3

dynamodb = boto3.client("dynamodb")
calls = 0


def added(customer: str, amount_cents: int) -> dict:
    """Return the update that adds an amount to what a customer owes."""
    return {
        "TableName": os.environ["LEDGER"],
        "Key": {"id": {"S": customer}},
        "UpdateExpression": "ADD owed_cents :amount",
        "ExpressionAttributeValues": {":amount": {"N": str(amount_cents)}},
    }


def charge_once(job: str, customer: str, amount_cents: int) -> None:
    """Charge, unless this job has been charged before: the receipt and the charge are written both or not at all.

    That takes a ledger in the same database. Somebody else's bank gets the job's id as *its* idempotency key instead.
    """
    receipt = {
        "TableName": os.environ["LEDGER"],
        "Item": {"id": {"S": f"receipt {job}"}},
        "ConditionExpression": "attribute_not_exists(id)",
    }
    try:
        dynamodb.transact_write_items(TransactItems=[{"Put": receipt}, {"Update": added(customer, amount_cents)}])
    except dynamodb.exceptions.TransactionCanceledException as error:
        if error.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
            raise


def set_state(job: str, state: str) -> None:
    """Write into the table how far a job is. One that is done stays done, however often its event comes."""
    try:
        dynamodb.update_item(
            TableName=os.environ["JOBS"],
            Key={"id": {"S": job}},
            UpdateExpression="SET #state = :state",
            ConditionExpression="attribute_not_exists(#state) OR #state <> :done",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":state": {"S": state}, ":done": {"S": "DONE"}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        print(json.dumps({"level": "INFO", "message": "was done already", "job": job}))


def handler(event, context):
    global calls
    calls += 1
    job, customer, amount_cents = event["job"], event["customer"], event["amount_cents"]
    line = {"level": "INFO", "message": "attempt", "job": job, "at": time.time(), "request_id": context.aws_request_id}
    print(json.dumps(line))
    set_state(job, "RUNNING")
    time.sleep(float(os.environ["WORK_S"]))
    if os.environ.get("FAULT") == "before":
        raise ConnectionError("the bank does not answer")
    if os.environ.get("IDEMPOTENT") == "yes":
        charge_once(job, customer, amount_cents)
    else:
        dynamodb.update_item(**added(customer, amount_cents))
    if os.environ.get("FAULT") == "after":
        raise TimeoutError("the bank's answer got lost")
    set_state(job, "DONE")
    return {
        "job": job,
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
