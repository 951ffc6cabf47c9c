"""LocalStack, which `python tests/localstack` has started. Our emulator beside it is the `target` of all tests."""

import pytest

from workbook.targets import Target, configured


@pytest.fixture(scope="session")
def localstack() -> Target:
    """LocalStack as a target."""
    return configured("localstack")
