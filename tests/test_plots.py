"""Figures say where their numbers come from."""

import matplotlib.pyplot as plt
import pytest

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
    fig = plots.where_time_goes(calls)
    widths = [bar.get_width() for bar in fig.axes[0].patches]
    assert [60.0, 0.0, 2.0, 2.0, 8.0, 3.0] == widths
    assert "numbers: emulated" in texts(fig)
    plt.close(fig)


def test_showing_leaves_no_figure_open(calls, capsys):
    """A notebook with many figures keeps none of them in memory."""
    plots.show(plots.where_time_goes(calls), alt="Two bars.")
    assert [] == plt.get_fignums()
