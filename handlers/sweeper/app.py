"""Deletes the stacks and buckets of an account that are past their time, which a tag of theirs tells."""

import json
import os
from datetime import UTC, datetime

import boto3
from botocore.exceptions import ClientError

TAG, PREFIX = os.environ["EXPIRY_TAG"], os.environ["PREFIX"]
stacks, s3 = boto3.client("cloudformation"), boto3.client("s3")


def is_past(tags, now):
    """Return whether a tag says so, such as 2026-11-23T10:00:00Z; without one, or with nonsense in it, it isn't."""
    try:
        return datetime.fromisoformat({tag["Key"]: tag["Value"] for tag in tags}[TAG]) <= now
    except (KeyError, TypeError, ValueError):
        return False


def empty(bucket):
    """Delete every version of every object in a bucket."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def delete_stack(stack, now):
    """Delete a stack, unless it is being changed, and return whether that was to be done."""
    at_rest = stack["StackStatus"].endswith(("_COMPLETE", "_FAILED"))
    if not (at_rest and is_past(stack.get("Tags", []), now)):
        return False
    for page in stacks.get_paginator("list_stack_resources").paginate(StackName=stack["StackName"]):
        for part in page["StackResourceSummaries"]:
            if part["ResourceType"] == "AWS::S3::Bucket" and part["ResourceStatus"] != "DELETE_COMPLETE":
                empty(part["PhysicalResourceId"])
    stacks.delete_stack(StackName=stack["StackName"])
    return True


def delete_bucket(bucket, now):
    """Delete a bucket that is in no stack, and return whether that was to be done."""
    if not is_past(s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"], now):
        return False
    empty(bucket["Name"])
    s3.delete_bucket(Bucket=bucket["Name"])
    return True


def handler(event, context):
    """Delete what is past its time. What fails stops nothing else, and is tried again the next time."""
    now, told = datetime.now(UTC), {"deleted": [], "failed": []}
    pages = stacks.get_paginator("describe_stacks").paginate()
    work = [(stack["StackName"], delete_stack, stack) for page in pages for stack in page["Stacks"]]
    pages = s3.get_paginator("list_buckets").paginate(Prefix=PREFIX, BucketRegion=s3.meta.region_name)
    work += [(bucket["Name"], delete_bucket, bucket) for page in pages for bucket in page["Buckets"]]
    for name, delete, found in work:
        try:
            told["deleted"] += [name] if name.startswith(PREFIX) and delete(found, now) else []
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchTagSet", "NoSuchBucket"}:
                told["failed"].append(f"{name}: {error}")
    print(json.dumps(told))
    return told
