"""What is left: of processes, temporary files and control groups on this machine, and of resources in an account."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from workbook.emulator import control_groups
from workbook.targets import Target

# Everything that a lesson can make, directly or by the services that it calls: where it is listed, and what names it.
_LISTS = (
    ("apigateway", "get_rest_apis", "items", "id"),
    ("apigatewayv2", "get_apis", "Items", "ApiId"),
    ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("dynamodb", "list_tables", "TableNames", None),
    ("events", "list_rules", "Rules", "Name"),
    ("iam", "list_policies", "Policies", "Arn"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("iam", "list_users", "Users", "UserName"),
    ("kinesis", "list_streams", "StreamNames", None),
    ("kms", "list_keys", "Keys", "KeyId"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_layers", "Layers", "LayerName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("scheduler", "list_schedules", "Schedules", "Name"),
    ("secretsmanager", "list_secrets", "SecretList", "Name"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", None),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
)


def in_account(root: Target) -> set[str]:
    """Return what stands in an account, as its root sees it, such as "s3 list_buckets: wb-1"."""
    return {
        f"{service} {operation}: {one[name] if name else one}"
        for service, operation, key, name in _LISTS
        for page in _pages(root.client(service), operation)
        for one in page.get(key) or ()
    }


def _pages(client: object, operation: str) -> Iterator[dict]:
    if client.can_paginate(operation):
        yield from client.get_paginator(operation).paginate()
    else:
        yield getattr(client, operation)()


def processes(place: Path) -> dict[int, str]:
    """Return the processes that know a place, from their command line or their environment: what runs there, and only that.

    Whatever a run starts inherits its TMPDIR or gets one below it, functions and guards included.
    """
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        with suppress(psutil.Error):  # it ended since, or is another user's
            told = [*(process.info["cmdline"] or ()), *process.environ().values()]
            if any(str(place) in text for text in told) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.info["cmdline"] or ())
    return found


def groups() -> set[str]:
    """Return the control groups of emulators that no longer run."""
    running = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    found = (group for place in control_groups.places() for group in place.glob("workbook-emulator-*"))
    return {str(group) for group in found if not any(group.stem in line for line in running)}


def files(folder: Path) -> set[str]:
    """Return what lies in a folder."""
    return {str(path) for path in folder.iterdir()} if folder.exists() else set()
