"""The depth of a chain of calls travels in the trace header."""

from workbook.emulator.lineage import inbound_depth, with_lineage


def test_a_trace_that_the_function_asked_for_is_kept() -> None:
    """With active tracing the header keeps its root and its sampling, and the lineage is added."""
    given = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    assert with_lineage(given, "arn", 3).startswith(f"{given};Lineage=")


def test_the_depth_comes_back() -> None:
    """The receiver of a call reads the depth that its caller was given."""
    assert 3 == inbound_depth({"x-amzn-trace-id": with_lineage(None, "arn", 3)})


def test_a_caller_outside_lambda() -> None:
    """A request without a lineage is the first of its chain."""
    assert 0 == inbound_depth({})
    assert 0 == inbound_depth({"x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793"})
