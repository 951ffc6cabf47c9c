"""Functions to be called: made of one file of Python, and given new environments on request."""

import io
import secrets
import zipfile

from workbook.targets import Target


def make(target: Target, name: str, code: str, *, memory_mb: int = 128) -> None:
    """Make a function of one module and wait until it can be called."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", code)
    client = target.client("lambda")
    client.create_function(
        FunctionName=name,
        Role=f"arn:aws:iam::{target.account_id}:role/bench",
        Runtime="python3.13",
        Handler="app.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=30,
        MemorySize=memory_mb,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)


def make_cold(target: Target, name: str) -> None:
    """Change the function's settings, which ends its environments, and wait until the next call is a cold one."""
    client = target.client("lambda")
    client.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": secrets.token_hex(4)}})
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
