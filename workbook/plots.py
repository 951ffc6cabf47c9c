"""The house figures: one style, the provenance printed on each, a sentence as alt text.

A plot function takes data and returns a figure; it fetches nothing. `show` displays the figure and closes it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from workbook.records import Provenance

_STYLE = Path(__file__).with_name("house.mplstyle")


def show(fig: Figure, *, alt: str) -> None:
    """Display a figure with a sentence that says what the chart shows, for those who can't see it, and close it."""
    display(fig, metadata={"image/png": {"alt": alt}})
    plt.close(fig)


def heartbeats(beats: list[float], invocations: list[tuple[float, float]], provenance: Provenance) -> Figure:
    """Return a figure of a background thread's beats under the invocations that ran meanwhile.

    `beats` are moments, `invocations` pairs of begin and end; all in seconds since the epoch, of one clock.
    """
    start = min(begin for begin, _ in invocations)
    with plt.style.context(_STYLE):
        colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        fig, ax = plt.subplots(figsize=(8, 2.4))
        for number, (begin, end) in enumerate(invocations, start=1):
            ax.axvspan(begin - start, end - start, color=colours[0], alpha=0.2, linewidth=0)
            ax.text((begin + end) / 2 - start, 1.6, f"invocation {number}", ha="center")
        ax.plot([beat - start for beat in beats], [1] * len(beats), "|", color=colours[2], markersize=22)
        ax.set_title("Between two invocations the thread stands still")
        ax.set_xlabel("seconds since the first invocation began")
        ax.set_yticks([1], ["beats of\nthe thread"])
        ax.set_ylim(0.4, 2)
        _label(fig, provenance)
    return fig


def where_time_goes(calls: pd.DataFrame) -> Figure:
    """Return a figure of calls as bars: init phase, handler, and everything else that the caller waited for.

    `calls` is a frame of records with `variant` as the name of each bar, `init_ms`, `duration_ms` and `client_ms`.
    """
    init, run = calls["init_ms"].fillna(0), calls["duration_ms"]
    rest = (calls["client_ms"] - init - run).clip(lower=0)
    with plt.style.context(_STYLE):
        fig, ax = plt.subplots()
        left = 0 * init
        for part, label, hatch in (
            (init, "init phase", "//"),
            (run, "handler", ""),
            (rest, "everything else", ".."),
        ):
            ax.barh(calls["variant"], part, left=left, label=label, hatch=hatch, edgecolor="white")
            left = left + part
        ax.invert_yaxis()
        ax.set_title("The first call waits for an environment, the next finds one")
        ax.set_xlabel("milliseconds that the caller waited")
        ax.legend(loc="lower right")
        _label(fig, Provenance(calls["provenance"].iloc[0]))
    return fig


def _label(fig: Figure, provenance: Provenance) -> None:
    """Print the provenance in the lower right corner of a figure."""
    fig.text(0.995, 0.01, f"numbers: {provenance}", ha="right", va="bottom", fontsize=9, color="0.35")
