"""Provisioned concurrency is environments that are ready before a call comes, and calls beyond them run on demand.

Needed by 07_concurrency, which compares a burst with and without it. Plain MiniStack says READY at once and starts nothing,
so that every call is cold; it takes $LATEST too, lists nothing, and ignores the property of a version in a template.

AWS: allocation, spill-over, the aliases that move, and reserved concurrency, which is at least what is provisioned:
https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
Of logs, the page says that "you can see the initialization time" there once an environment had a call: the first REPORT has
an Init Duration, though the caller waited for none of it. It is billed, as every init phase is:
https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
The words for $LATEST, and those of a template that fails, are from people who met them:
https://github.com/hashicorp/terraform-provider-aws/issues/12120
https://github.com/serverless/serverless/issues/7250
Those of the other refusals are from LocalStack, whose tests run on AWS too:
https://github.com/localstack/localstack/blob/223ce47fa98dc91978d1a4b4592027d810541058/localstack-core/localstack/services/lambda_/provider.py
"""

import time
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import stacks

from workbook.emulator import concurrency, provisioned, resources, workers
from workbook.emulator.invocations import Execute, Function, keep_qualifiers, surround

Answer = tuple[int, dict[str, str], bytes]


def apply() -> None:
    """Replace what sets provisioned concurrency, and let invocations have the environments."""
    stock_put, stock_get = lambda_svc._put_provisioned_concurrency, lambda_svc._get_provisioned_concurrency

    def put(name: str, qualifier: str | None, data: dict[str, Any]) -> Answer:
        function = lambda_svc._functions.get(name)
        _, version = lambda_svc._effective_func_record_for_qualifier(function, qualifier)
        if version is None or not workers.is_ours(version):
            return stock_put(name, qualifier, data)  # its error, or an environment of its own
        wanted = data["ProvisionedConcurrentExecutions"]
        if refused := _refused(function, qualifier, version["Version"], wanted):
            return refused
        return lambda_svc.json_response(provisioned.provide(f"{lambda_svc._func_arn(name)}:{qualifier}", wanted), 202)

    def get(name: str, qualifier: str | None) -> Answer:
        if qualifier or name not in lambda_svc._functions:
            return stock_get(name, qualifier)
        configs = lambda_svc._functions[name].get("provisioned_concurrency") or {}
        arn = lambda_svc._func_arn(name)
        found = [{"FunctionArn": f"{arn}:{qualifier}"} | state for qualifier, state in configs.items()]
        return lambda_svc.json_response({"ProvisionedConcurrencyConfigs": found})

    lambda_svc._put_provisioned_concurrency, lambda_svc._get_provisioned_concurrency = put, get
    for name in ("_delete_provisioned_concurrency", "_update_alias", "_delete_alias", "_delete_function", "reset"):
        setattr(lambda_svc, name, _then_settle(getattr(lambda_svc, name)))
    _follow_templates()
    keep_qualifiers()
    surround(serve)


def serve(function: Function, event: Any, proceed: Execute) -> dict[str, Any]:
    """Run an invocation in an environment that was provisioned for it, if one is free."""
    config = function.get("config") or function
    pool = provisioned.pool_of(config)
    environment = pool.lease() if pool else None
    if environment is None:
        return proceed(function, event)
    ready = function | {"environment": environment}
    return lambda_svc._execute_function_dispatch(ready, config, event, lambda_svc.new_uuid(), time.time())


def _refused(function: Function, qualifier: str | None, version: str, wanted: int) -> Answer | None:
    """Return AWS's answer if that many can't be provisioned, None if they can."""
    if version == "$LATEST":
        return concurrency.refusal(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
    configs, aliases = function.get("provisioned_concurrency") or {}, function["aliases"]
    if qualifier in aliases and version in configs:
        message = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        return lambda_svc.error_response_json("ResourceConflictException", message, 409)
    if any(name != qualifier and name in aliases and aliases[name]["FunctionVersion"] == version for name in configs):
        message = "Version is pointed by a Provisioned Concurrency alias"
        return lambda_svc.error_response_json("ResourceConflictException", message, 409)
    more = wanted - (configs.get(qualifier) or {}).get("RequestedProvisionedConcurrentExecutions", 0)
    reserved, minimum = concurrency.reserved(function), concurrency.minimum_unreserved()
    if reserved is not None:
        if concurrency.provisioned(function) + more > reserved:
            return concurrency.refusal(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
            )
    elif concurrency.unreserved() - more < minimum:
        return concurrency.refusal(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
            f"its minimum value of [{minimum}]."
        )
    return None


def _then_settle(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of MiniStack's after which environments end, or move, whose version or alias did."""

    def call(*what: Any, **more: Any) -> Any:
        done = stock(*what, **more)
        provisioned.settle()
        return done

    return call


def _follow_templates() -> None:
    """Let CloudFormation provision for a version too, and wait until an allocation ended, beside its other work."""
    kinds = ("AWS::Lambda::Version", "AWS::Lambda::Alias")
    stock_blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind in kinds or stock_blocks(kind)
    for kind in kinds:
        resources.apply_properties(kind, _provide)
    for kind in (*kinds, "AWS::Lambda::Function"):
        resources.after_deletion(kind, provisioned.settle)


def _provide(arn: str, properties: resources.Properties, _before: resources.Properties) -> None:
    """Provision what a version's properties ask for, as MiniStack does for an alias, and wait for it."""
    name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
    config = properties.get("ProvisionedConcurrencyConfig")
    if not config:
        return
    wanted = {"ProvisionedConcurrentExecutions": int(config["ProvisionedConcurrentExecutions"])}
    if qualifier not in lambda_svc._functions[name]["aliases"]:
        resources.check(lambda_svc._put_provisioned_concurrency(name, qualifier, wanted))
    if reason := provisioned.reason_after_allocation(arn):
        raise ValueError(f"Provisioned Concurrency configuration failed to be applied. Reason: {reason}")
