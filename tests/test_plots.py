"""Figures say where their numbers come from."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from workbook import plots
from workbook.frames import frame
from workbook.records import Provenance, Record


def texts(fig: plt.Figure) -> list[str]:
    return [text.get_text() for text in fig.findobj(plt.Text)]


@pytest.fixture
def calls():
    rows = [("first call", 60.0, 2.0, 70.0), ("call 2", None, 2.0, 5.0)]
    return frame(
        Record(
            run_id="r",
            experiment="e",
            variant=variant,
            target="embedded",
            region="us-east-1",
            function="f",
            via="invoke",
            started_at="2026-01-01T00:00:00+00:00",
            init_ms=init_ms,
            duration_ms=duration_ms,
            client_ms=client_ms,
            status=200,
            provenance=Provenance.EMULATED,
        )
        for variant, init_ms, duration_ms, client_ms in rows
    )


def test_heartbeats_stand_at_their_moments():
    """Each beat is drawn once, relative to the first invocation, and the figure carries its provenance."""
    fig = plots.heartbeats([100.0, 100.5, 102.0], [(100.0, 101.0), (102.0, 103.0)], Provenance.EMULATED)
    assert [0.0, 0.5, 2.0] == list(fig.axes[0].lines[0].get_xdata())
    assert "numbers: emulated" in texts(fig)
    plt.close(fig)


def test_bars_add_up_to_what_the_caller_waited(calls):
    """Init phase, handler and the rest are the client's time, and a warm call has no init phase."""
    fig = plots.where_time_goes(calls, title="Where it goes", guess_ms=40.0)
    widths = [bar.get_width() for bar in fig.axes[0].patches]
    assert [60.0, 0.0, 2.0, 2.0, 8.0, 3.0] == widths
    assert [40.0, 40.0] == list(fig.axes[0].lines[0].get_xdata())
    assert "your guess" in texts(fig)
    assert "numbers: emulated" in texts(fig)
    plt.close(fig)


def test_showing_leaves_no_figure_open(calls, capsys):
    """A notebook with many figures keeps none of them in memory."""
    plots.show(plots.where_time_goes(calls, title="Where it goes"), alt="Two bars.")
    assert [] == plt.get_fignums()


def test_no_guess_draws_nothing(calls):
    """Who didn't guess sees no line."""
    fig = plots.where_time_goes(calls, title="Where it goes")
    assert [] == list(fig.axes[0].lines)
    assert "your guess" not in texts(fig)
    plt.close(fig)


def test_calls_show_every_call_that_counts_and_no_other(calls):
    """Below fifty values each call that counts is a point, and a dropped one isn't drawn."""
    dropped = calls.assign(counts_as="wrong temperature", client_ms=9999.0)
    fig = plots.calls(pd.concat([calls, dropped]), "client_ms", title="Calls")
    drawn = [float(x) for line in fig.axes[0].lines if line.get_marker() == "o" for x in line.get_xdata()]
    assert [70.0, 5.0] == drawn
    assert ["first call\nn = 1", "call 2\nn = 1"] == [label.get_text() for label in fig.axes[0].get_yticklabels()]
    plt.close(fig)


def test_a_variant_of_which_nothing_counts_has_an_empty_row(calls):
    """Where every call was dropped, the figure says so instead of failing."""
    fig = plots.calls(calls.assign(counts_as="error"), "client_ms", title="Calls")
    assert [] == list(fig.axes[0].lines)
    assert ["first call\nn = 0", "call 2\nn = 0"] == [label.get_text() for label in fig.axes[0].get_yticklabels()]
    plt.close(fig)


def test_many_calls_become_a_distribution(calls):
    """From fifty values on a bar from the 5th to the 95th percentile takes the place of the points."""
    many = pd.concat([calls.iloc[[0]].assign(client_ms=float(value)) for value in range(1, 102)])
    fig = plots.calls(many, "client_ms", title="Calls", log=True)
    (bar,) = fig.axes[0].patches
    assert pytest.approx((6.0, 96.0)) == (bar.get_x(), bar.get_x() + bar.get_width())
    assert "client_ms: milliseconds (logarithmic)" in texts(fig)
    plt.close(fig)


def test_a_burst_tells_cold_from_warm_without_colour(calls):
    """Cold bars are hatched, warm ones aren't, and each caller has one."""
    table = calls.assign(attempt=[1, 2], temperature=["cold", "warm"])
    fig = plots.burst(table, title="Burst")
    assert [("//", 70.0), ("", 5.0)] == [(bar.get_hatch(), bar.get_width()) for bar in fig.axes[0].patches]
    assert {"cold", "warm", "caller 1", "caller 2"} <= set(texts(fig))
    plt.close(fig)


def test_a_burst_shows_what_was_refused(calls):
    """A throttled call is a mark and no bar, with a name that says so."""
    table = calls.assign(
        attempt=[1, 2],
        temperature=["cold", None],
        error_type=[None, "TooManyRequestsException"],
        counts_as=["result", "error"],
    )
    fig = plots.burst(table, title="Burst")
    (bar,), (mark,) = fig.axes[0].patches, fig.axes[0].lines
    assert (70.0, [5.0], [2]) == (bar.get_width(), list(mark.get_xdata()), list(mark.get_ydata()))
    assert "X" == mark.get_marker()
    assert {"cold", "throttled", "caller 1", "caller 2"} <= set(texts(fig))
    plt.close(fig)


def test_a_burst_tells_provisioned_from_the_others(calls):
    """Who found an environment that stood ready has a bar of its own kind."""
    fig = plots.burst(calls.assign(attempt=[1, 2], temperature=["cold", "provisioned"]), title="Burst")
    cold, ready = fig.axes[0].patches
    assert cold.get_hatch() != ready.get_hatch()
    assert {"cold", "provisioned"} <= set(texts(fig))
    plt.close(fig)


def test_of_many_callers_some_are_named(calls):
    """Names that would overlap are left out, and no bar is."""
    crowd = pd.concat([calls.iloc[[0]].assign(attempt=number, temperature="warm") for number in range(1, 31)])
    fig = plots.burst(crowd, title="Burst")
    assert (30, 10) == (len(fig.axes[0].patches), len(fig.axes[0].get_yticks()))
    plt.close(fig)


def test_percentiles_give_the_tail_room(calls):
    """Each call that counts has its place among those of its variant, and each nine as much room as the one before it."""
    ranks = pd.concat([calls.iloc[[0]].assign(variant="open", client_ms=float(value)) for value in range(100, 0, -1)])
    few = calls.iloc[[1, 1]].assign(variant="closed", client_ms=[7.0, 9.0])
    dropped = calls.iloc[[1]].assign(variant="closed", client_ms=9999.0, counts_as="error")
    fig = plots.percentiles(pd.concat([ranks, few, dropped]), "client_ms", title="Tail")
    opened, closed = fig.axes[0].lines
    assert (1.0, 100.0) == (opened.get_ydata()[0], opened.get_ydata()[-1])
    assert pytest.approx((0.0022, 2.301), abs=0.0005) == (opened.get_xdata()[0], opened.get_xdata()[-1])
    assert [7.0, 9.0] == list(closed.get_ydata())
    assert opened.get_marker() != closed.get_marker()
    assert opened.get_linestyle() != closed.get_linestyle()
    ticks = dict(
        zip([label.get_text() for label in fig.axes[0].get_xticklabels()], fig.axes[0].get_xticks(), strict=True)
    )
    assert ["0", "50", "90", "95", "99"] == list(ticks)
    assert pytest.approx((1, 2)) == (ticks["90"], ticks["99"])
    assert {"open", "closed", "client_ms: milliseconds", "numbers: emulated"} <= set(texts(fig))
    plt.close(fig)


def test_a_timeline_has_a_bar_per_span_and_a_diamond_per_moment():
    """Spans stand where they begin, each panel on its own scale; what has no length is a point, and kinds differ by hatch."""
    columns = ["lane", "begin_s", "end_s", "kind"]
    here = pd.DataFrame([("a", 0, 1, "attempt"), ("b", 1, 3, "wait"), ("a", 3, 4, "attempt")], columns=columns)
    there = pd.DataFrame([("a", 60, 60, "attempt")], columns=columns)
    fig = plots.timeline({"here": here, "there": there}, title="when", provenance="emulated, documented")
    upper, lower = fig.axes
    assert [(0, 1), (1, 2), (3, 1)] == [(bar.get_x(), bar.get_width()) for bar in upper.patches]
    assert ["a", "b"] == [label.get_text() for label in upper.get_yticklabels()]
    assert 2 == len({bar.get_hatch() for bar in upper.patches})
    assert ([60], 0) == (list(lower.lines[0].get_xdata()), len(lower.patches))
    assert ["here", "there"] == [ax.get_title(loc="left") for ax in fig.axes]


def test_ranked_calls_stand_beside_their_mean_and_median():
    """The calls rise from left to right, and the two lines are where they belong."""
    fig = plots.ranked([3.0, 1.0, 2.0, 94.0], provenance="emulated", title="Ranked")
    points, mean, median = fig.axes[0].lines
    assert [1.0, 2.0, 3.0, 94.0] == list(points.get_ydata())
    assert (25.0, 2.5) == (mean.get_ydata()[0], median.get_ydata()[0])
    assert {"mean 25", "median 2.5"} <= set(texts(fig))
    plt.close(fig)


def test_published_inits_are_ranked_by_their_median():
    """The runtime that starts first stands first, whatever the order of the rows, and the guess is drawn in."""
    rows = [("slow", 300.0), ("fast", 10.0), ("fast", 12.0), ("slow", 280.0)]
    table = pd.DataFrame(rows, columns=["runtime", "init_ms"]).assign(provenance="published")
    fig = plots.inits(table, title="Inits", guess_ms=50.0)
    assert ["fast", "slow"] == [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert {"your guess", "numbers: published"} <= set(texts(fig))
    plt.close(fig)


def test_lines_are_named_in_their_own_colour_and_apart():
    """Each line's name has the line's colour, and names of lines that end together don't overlap."""
    table = pd.DataFrame({"x": [1, 2, 1, 2], "y": [5.0, 10.0, 6.0, 10.0], "of": ["a", "a", "b", "b"]})
    labels = {"x": "x in things", "y": "y in things"}
    fig = plots.lines(table, "x", "y", "of", title="Lines", labels=labels, provenance="simulated", log_x=True)
    names = {text.get_text(): text for text in fig.axes[0].texts}
    assert [line.get_color() for line in fig.axes[0].lines] == [names["a"].get_color(), names["b"].get_color()]
    assert abs(names["a"].get_position()[1] - names["b"].get_position()[1]) == pytest.approx(0.06)
    assert {"x in things", "y in things", "numbers: simulated"} <= set(texts(fig))
    plt.close(fig)


@pytest.mark.parametrize("draw", [plots.bars, plots.magnitudes])
def test_values_stand_beside_their_marks_without_exponents(draw):
    """Large and small numbers are written as people write them."""
    fig = draw({"large": 5311.9, "small": 0.0018986}, title="Values", xlabel="things", provenance="priced")
    assert {"5,310", "0.0019"} <= {text.strip() for text in texts(fig)}
    plt.close(fig)


def test_the_style_holds_after_the_figure_is_made(calls):
    """A figure keeps the house's colours when it is drawn later, outside the style."""
    fig = plots.where_time_goes(calls, title="Where it goes", guess_ms=40.0)
    assert "#832db6" == to_hex(fig.axes[0].lines[0].get_color())
    plt.close(fig)


def test_a_sweep_shows_time_and_money_of_each_workload():
    """Above stand durations, below the price of a million invocations, each with a line per workload and the vCPU's mark."""
    rows = [("computing", 128, 800.0, 2.0), ("computing", 1769, 80.0, 2.5), ("waiting", 1769, 100.0, 3.0)]
    table = pd.DataFrame(rows, columns=["workload", "memory_mb", "duration_ms", "usd_per_million"])
    fig = plots.sweep(table, title="Sizes", provenance="priced from emulated")
    above, below = fig.axes
    assert [[800.0, 80.0], [100.0]] == [list(line.get_ydata()) for line in above.lines[:2]]
    assert [[2.0, 2.5], [3.0]] == [list(line.get_ydata()) for line in below.lines[:2]]
    assert "log" == above.get_yscale()
    assert {"computing", "waiting", "one vCPU", "Sizes", "numbers: priced from emulated"} <= set(texts(fig))
    plt.close(fig)


def test_names_at_the_ends_of_lines_keep_apart():
    """Two lines that end at the same value have their names one above the other, on a logarithmic axis too."""
    rows = [(name, size, 100.0, 1.0) for name in ("one", "other") for size in (128, 256)]
    table = pd.DataFrame(rows, columns=["workload", "memory_mb", "duration_ms", "usd_per_million"])
    fig = plots.sweep(table, title="Sizes", provenance="emulated")
    for ax in fig.axes:
        low, high = sorted(text.get_position()[1] for text in ax.texts if text.get_text() in ("one", "other"))
        assert high - low == pytest.approx(0.1)
    plt.close(fig)
