"""The house figures: one style, the provenance printed on each, a sentence as alt text.

A plot function takes data and returns a figure; it fetches nothing. `show` displays the figure and closes it. Titles say
what is to be seen or asked; what differs by colour differs by marker, hatch or place as well.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, YearLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from pandas.api.types import is_datetime64_any_dtype

from workbook import frames, statistics
from workbook.records import Provenance

_STYLE = Path(__file__).with_name("house.mplstyle")
_TALL = 4.8  # the other height, in inches, for figures of many rows
_POINTS_UP_TO = 50  # more values than this are shown as a distribution
_NAMED_CALLERS = 12  # more than these don't fit beside their bars
_SHARES = (0, 0.5, 0.9, 0.95, 0.99, 0.999)
_ERRORS = {"TooManyRequestsException": "throttled"}  # https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_MARKERS = "osD^vP*X"
_HATCHES = ("//", "", "..", "xx", "--", "++")


def show(fig: Figure, *, alt: str) -> None:
    """Display a figure with a sentence that says what the chart shows, for those who can't see it, and close it."""
    display(fig, metadata={"image/png": {"alt": alt}})
    plt.close(fig)


# a run on this target


def heartbeats(beats: list[float], invocations: list[tuple[float, float]], provenance: Provenance) -> Figure:
    """Return a figure of a background thread's beats under the invocations that ran meanwhile.

    `beats` are moments, `invocations` pairs of begin and end; all in seconds since the epoch, of one clock.
    """
    start = min(begin for begin, _ in invocations)
    with _house(provenance, height=2.4) as (fig, ax):
        for number, (begin, end) in enumerate(invocations, start=1):
            ax.axvspan(begin - start, end - start, color=_colour(0), alpha=0.2, linewidth=0)
            ax.text((begin + end) / 2 - start, 1.6, f"invocation {number}", ha="center")
        ax.plot([beat - start for beat in beats], [1] * len(beats), "|", color=_colour(2), markersize=22)
        ax.set_title("Between two invocations the thread stands still")
        ax.set_xlabel("seconds since the first invocation began")
        ax.set_yticks([1], ["beats of\nthe thread"])
        ax.set_ylim(0.4, 2)
    return fig


def where_time_goes(calls: pd.DataFrame, *, title: str, guess_ms: float | None = None) -> Figure:
    """Return a figure of calls as bars: init phase, handler, and everything else that the caller waited for.

    `calls` has one row per bar: its name in `variant`, and `init_ms`, `duration_ms`, `client_ms` and `provenance` as in a
    frame of records. A guess, in milliseconds, is drawn as a line across.
    """
    init, run = calls["init_ms"].fillna(0), calls["duration_ms"]
    rest = (calls["client_ms"] - init - run).clip(lower=0)
    parts = pd.DataFrame({"init phase": init, "handler": run, "everything else": rest}).set_index(calls["variant"])
    with _house(calls["provenance"]) as (fig, ax):
        _stack(fig, ax, parts)
        ax.set_title(title)
        ax.set_xlabel("milliseconds that the caller waited")
        _draw_guess(ax, guess_ms)
    return fig


def where_money_goes(parts: pd.DataFrame, *, title: str, provenance: str) -> Figure:
    """Return a figure with a bar per row of a table, of the amounts in its columns, in US dollars."""
    with _house(provenance, height=_height(len(parts))) as (fig, ax):
        _stack(fig, ax, parts)
        ax.set_title(title)
        ax.set_xlabel("US dollars a month")
    return fig


def calls(table: pd.DataFrame, clock: str, *, title: str, log: bool = False) -> Figure:
    """Return a figure with a row per variant: each call that counts, and the median with its 95 % interval.

    From 50 values on a bar from the 5th to the 95th percentile takes the place of the points. A variant of which no call
    counts has an empty row.
    """
    said = frames.summary(table, clock)
    with _house(table["provenance"], height=_height(len(said))) as (fig, ax):
        for row, (variant, line) in enumerate(said.iterrows()):
            values = frames.results(table[table["variant"] == variant])[clock].dropna().tolist()
            if values:
                _draw_values(ax, row, values, median=line["median_ms"], interval=line["interval_ms"])
        ax.set_yticks(range(len(said)), [f"{variant}\nn = {n}" for variant, n in said["n"].items()])
        ax.set_ylim(len(said) - 0.4, -0.6)
        ax.set_title(title)
        _milliseconds(ax, f"{clock}: milliseconds", log=log)
    return fig


def burst(table: pd.DataFrame, *, title: str) -> Figure:
    """Return a figure of calls made at the same moment: a bar per caller, from the burst to the answer, cold ones hatched.

    A call that failed, as a throttled one does, has no bar, but a mark at the moment of its answer. Of many callers not
    every one is named.
    """
    calls = table.sort_values("attempt")
    answered, failed = frames.results(calls), calls[calls["error_type"].notna()]
    step = math.ceil(len(calls) / _NAMED_CALLERS)
    with _house(table["provenance"], height=_height(min(len(calls), _NAMED_CALLERS), least=2.6)) as (fig, ax):
        for temperature, number, hatch in (("cold", 0, "//"), ("warm", 1, ""), ("provisioned", 4, "..")):
            some = answered[answered["temperature"] == temperature]
            if not some.empty:
                look = {"color": _colour(number), "hatch": hatch, "edgecolor": "white"}
                ax.barh(some["attempt"], some["client_ms"], label=temperature, **look)
        for number, (error, some) in enumerate(failed.groupby("error_type", sort=False)):
            look = {"color": _colour((2, 6, 8)[number % 3]), "marker": "XPv*"[number % 4], "clip_on": False}
            ax.plot(some["client_ms"], some["attempt"], linestyle="", label=_ERRORS.get(error, error), **look)
        ax.set_yticks(calls["attempt"][::step], [f"caller {number}" for number in calls["attempt"][::step]])
        ax.set_xlim(left=0)
        ax.invert_yaxis()
        ax.set_title(title)
        ax.set_xlabel("milliseconds until the answer")
        _legend_below(fig, ax)
    return fig


def percentiles(table: pd.DataFrame, clock: str, *, title: str) -> Figure:
    """Return a figure of the calls that count, by percentile: a line for each variant, with a point for each call.

    The axis gives as much room to the tenth that is slowest as to the nine before it, and so on, since a tail is what
    it is for. The k-th fastest of n calls stands at (k - 0.5) / n (Hazen 1914), so that the slowest has a place too.
    """
    counted = frames.results(table)
    last = 1 - 0.5 / counted["variant"].value_counts().max()
    shares = [share for share in _SHARES if share <= last]
    with _house(table["provenance"], height=_TALL) as (fig, ax):
        drawn = {}
        for number, (variant, calls) in enumerate(counted.groupby("variant", sort=False)):
            values = sorted(calls[clock].dropna())
            places = [_nines((rank + 0.5) / len(values)) for rank in range(len(values))]
            style = {"marker": _MARKERS[number % len(_MARKERS)], "linestyle": ("-", "--", ":")[number % 3]}
            (drawn[variant],) = ax.plot(places, values, markersize=4, color=_colour(2 * number), **style)
        ax.set_xticks([_nines(share) for share in shares], [f"{100 * share:.5g}" for share in shares])
        ax.set_xlim(0, _nines(last) + 0.05)
        ax.grid(axis="x", color="0.9")
        _milliseconds(ax, f"{clock}: milliseconds", log=False, axis="y")
        _name_ends(ax, drawn)
        ax.set_title(title)
        ax.set_xlabel("percentile of the calls (logarithmic towards 100)")
    return fig


def timeline(panels: Mapping[str, pd.DataFrame], *, title: str, provenance: str) -> Figure:
    """Return a figure of what happened when: a panel per table, each with its name and a scale of its own.

    A table has one row per span: its place in `lane`, `begin_s` and `end_s` in seconds, and what it is in `kind`. A span
    that ends as it begins is a moment, drawn as a diamond.
    """
    kinds = list(dict.fromkeys(kind for table in panels.values() for kind in table["kind"]))
    drawn: dict[str, Any] = {}
    rows = [table["lane"].nunique() for table in panels.values()]
    with _panels(provenance, 1.2 + sum(0.75 + 0.4 * count for count in rows), rows) as (fig, axes):
        for ax, (name, table) in zip(axes, panels.items(), strict=True):
            lanes = list(dict.fromkeys(table["lane"]))
            for span in table.itertuples():
                number, row, width = kinds.index(span.kind), lanes.index(span.lane), span.end_s - span.begin_s
                style = {"color": _colour(number), "hatch": _HATCHES[number % len(_HATCHES)], "edgecolor": "white"}
                if width > 0:
                    mark = ax.barh(row, width, left=span.begin_s, height=0.6, **style)
                else:
                    (mark,) = ax.plot([span.begin_s], [row], "D", markersize=9, color=style["color"], clip_on=False)
                drawn.setdefault(span.kind, mark)
            ax.set_yticks(range(len(lanes)), lanes)
            ax.set_ylim(len(lanes) - 0.4, -0.6)
            ax.set_xlim(left=0)
            ax.set_title(name, fontsize="medium", fontweight="normal")
        axes[-1].set_xlabel("seconds")
        fig.suptitle(title, x=0.01, ha="left", fontweight=plt.rcParams["axes.titleweight"])
        fig.legend(drawn.values(), drawn.keys(), loc="outside lower left", ncols=3)
    return fig


def ranked(values_ms: Sequence[float], *, provenance: str, title: str) -> Figure:
    """Return a figure of calls in the order of their length, with lines for mean and median. The time axis is logarithmic."""
    ordered = sorted(values_ms)
    marks = {"mean": sum(ordered) / len(ordered), "median": statistics.quantile(ordered, 0.5)}
    with _house(provenance) as (fig, ax):
        ax.plot(range(1, len(ordered) + 1), ordered, "o", markersize=4, color=_colour(0))
        for (name, value), style, colour in zip(marks.items(), ("--", ":"), (_colour(2), _colour(4)), strict=True):
            ax.axhline(value, linestyle=style, color=colour)
            ax.annotate(f"{name} {value:.3g}", (1, value), xytext=(0, 3), textcoords="offset points", color=colour)
        ax.set_title(title)
        ax.set_xlabel("calls, fastest first")
        _milliseconds(ax, "milliseconds", log=True, axis="y")
    return fig


# what others measured on AWS


def inits(table: pd.DataFrame, *, title: str, guess_ms: float | None = None) -> Figure:
    """Return a figure with a row per runtime of published Init Durations, shortest median first, and the learner's guess.

    `table` has the columns `runtime`, `init_ms` and `provenance`.
    """
    runtimes = table.groupby("runtime")["init_ms"]
    order = runtimes.median().sort_values().index
    with _house(table["provenance"], height=_height(len(order))) as (fig, ax):
        for row, runtime in enumerate(order):
            values = runtimes.get_group(runtime).tolist()
            said = statistics.summarise(values)
            _draw_values(ax, row, values, median=said.median, interval=said.median_interval)
        ax.set_yticks(range(len(order)), order)
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.set_title(title)
        _milliseconds(ax, "Init Duration in milliseconds", log=True)
        _draw_guess(ax, guess_ms)
    return fig


def lines(
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    *,
    title: str,
    labels: Mapping[str, str],
    provenance: str,
    log_x: bool = False,
) -> Figure:
    """Return a figure with a line for each value of the column `by`, and that value at the line's end.

    `x` and `y` name columns, and `labels` says what they are. The axis of y begins at 0, or has a line there if values
    are below.
    """
    with _house(provenance, height=_TALL) as (fig, ax):
        drawn = {}
        for number, (name, group) in enumerate(table.groupby(by, sort=False)):
            (drawn[name],) = ax.plot(group[x], group[y], marker=_MARKERS[number % len(_MARKERS)], markersize=4)
        if log_x:
            values = sorted(set(table[x]))
            if values[-1] >= 1000 * values[0]:
                values = [value for value in values if math.log10(value).is_integer()]
            ax.set_xscale("log")
            ax.set_xticks(values, [_in_words(value) for value in values], minor=False)
            ax.xaxis.set_minor_formatter(NullFormatter())
        elif is_datetime64_any_dtype(table[x]):
            ax.xaxis.set_major_locator(YearLocator())
            ax.xaxis.set_major_formatter(DateFormatter("%Y"))
        if table[y].min() >= 0:
            ax.set_ylim(bottom=0)
        else:
            ax.axhline(0, color="0.6", linewidth=1)
        _name_ends(ax, drawn)
        ax.set_title(title)
        ax.set_xlabel(labels["x"])
        ax.set_ylabel(labels["y"])
    return fig


def sweep(table: pd.DataFrame, *, title: str, provenance: str) -> Figure:
    """Return a figure of what a function's memory size does: its duration above, what it costs below, a line per workload.

    `table` has the columns `workload`, `memory_mb`, `duration_ms` and `usd_per_million`, the price of a million
    invocations. Sizes and durations stand on logarithmic axes. The dotted line is where a function has one whole vCPU,
    1,769 MB: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
    """
    sizes = sorted(table["memory_mb"].unique())
    with _panels(provenance, 6.4, [1, 1]) as (fig, axes):
        for ax, column in zip(axes, ("duration_ms", "usd_per_million"), strict=True):
            drawn = {}
            for number, (name, group) in enumerate(table.groupby("workload", sort=False)):
                marker = _MARKERS[number % len(_MARKERS)]
                (drawn[name],) = ax.plot(group["memory_mb"], group[column], marker=marker, markersize=5)
            ax.set_xscale("log")
            ax.set_xticks(sizes, [_in_words(size) for size in sizes], minor=False)
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.axvline(1769, color="0.6", linestyle=":")
            if column == "duration_ms":
                _milliseconds(ax, "milliseconds", log=True, axis="y")
            else:
                ax.set_ylim(bottom=0)
                ax.set_ylabel("US dollars a million")
            _name_ends(ax, drawn, step=0.1)
        axes[0].annotate("one vCPU", (1769, 1), xycoords=("data", "axes fraction"), ha="center", color="0.35")
        axes[-1].set_xlabel("memory size in MB (logarithmic)")
        fig.suptitle(title, x=0.01, ha="left", fontweight=plt.rcParams["axes.titleweight"])
    return fig


def bars(values: Mapping[str, float], *, provenance: str, title: str, xlabel: str) -> Figure:
    """Return a figure with a bar per name, in the order given, each with its value beside it."""
    with _house(provenance, height=_height(len(values), least=2.6)) as (fig, ax):
        ax.bar_label(ax.barh(list(values), list(values.values())), fmt=lambda value: f" {_plain(value)}")
        ax.invert_yaxis()
        ax.margins(x=0.18)
        ax.set_title(title)
        ax.set_xlabel(xlabel)
    return fig


def magnitudes(values: Mapping[str, float], *, provenance: str, title: str, xlabel: str) -> Figure:
    """Return a figure with a point per name on a logarithmic axis, which has no place for bars, as it has no 0."""
    with _house(provenance, height=_height(len(values), least=2.6)) as (fig, ax):
        ax.plot(list(values.values()), list(values), "D", markersize=8)
        for row, value in enumerate(values.values()):
            ax.annotate(_plain(value), (value, row), xytext=(8, 0), textcoords="offset points", va="center")
        ax.set_xscale("log")
        ax.grid(axis="y", color="0.9")
        ax.invert_yaxis()
        ax.margins(x=0.2, y=0.12)
        ax.set_title(title)
        ax.set_xlabel(f"{xlabel} (logarithmic)")
    return fig


# what the figures share


@contextmanager
def _house(provenance: Any, height: float = 3.2) -> Iterator[tuple[Figure, Axes]]:
    """Open an empty figure in the house style, with its provenance printed in the lower right corner."""
    with _panels(provenance, height, [1]) as (fig, [ax]):
        yield fig, ax


@contextmanager
def _panels(provenance: Any, height: float, shares: Sequence[float]) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open such a figure with panels one below the other, whose heights are in these proportions."""
    with plt.style.context(_STYLE):
        size = (plt.rcParams["figure.figsize"][0], height)
        fig, axes = plt.subplots(len(shares), figsize=size, height_ratios=shares, squeeze=False)
        said = provenance if isinstance(provenance, str) else ", ".join(dict.fromkeys(provenance))
        fig.supxlabel(f"numbers: {said}", x=0.995, ha="right", fontsize=11, color="0.35")
        yield fig, list(axes[:, 0])


def _colour(number: int) -> str:
    """Return a colour of the palette itself: a name such as C0 is looked up when a figure is drawn, in whatever style then holds."""
    return plt.rcParams["axes.prop_cycle"].by_key()["color"][number]


def _height(rows: int, least: float = 3.2) -> float:
    """Return the height in inches of a figure with that many rows."""
    return least if rows <= 4 else _TALL if rows <= 8 else 0.48 * rows + 1.4


def _draw_values(ax: Axes, row: int, values: list[float], *, median: float, interval: statistics.Interval) -> None:
    """Draw one row: the values, the median as a stroke, and its interval as a bracket as far as it is known."""
    if len(values) < _POINTS_UP_TO:
        spread = [row + 0.24 * ((number % 5) - 2) / 2 for number in range(len(values))]
        ax.plot(values, spread, "o", color=_colour(0), markersize=5, alpha=0.55)
    else:
        low, high = statistics.quantile(values, 0.05), statistics.quantile(values, 0.95)
        ax.barh(row, high - low, left=low, height=0.34, color=_colour(0), alpha=0.45)
    ax.plot([median], [row], "|", color="black", markersize=22, markeredgewidth=2)
    if interval.is_bounded:
        ax.plot([interval.low, interval.high], [row, row], color="black", linewidth=2)


def _milliseconds(ax: Axes, label: str, *, log: bool, axis: str = "x") -> None:
    """Name an axis of time, with plain numbers on it; a linear one begins at 0."""
    scaled = ax.xaxis if axis == "x" else ax.yaxis
    if log:
        (ax.set_xscale if axis == "x" else ax.set_yscale)("log")
        scaled.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scaled.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.5g}"))
        scaled.set_minor_formatter(NullFormatter())
    else:
        (ax.set_xlim if axis == "x" else ax.set_ylim)(0)
    scaled.set_label_text(f"{label} (logarithmic)" if log else label)


def _draw_guess(ax: Axes, guess_ms: float | None) -> None:
    if guess_ms is not None:
        ax.axvline(guess_ms, color=_colour(4), linestyle="--")
        ax.annotate(
            "your guess", (guess_ms, 0), xycoords=("data", "axes fraction"), xytext=(4, 4),
            textcoords="offset points", color=_colour(4),
        )  # fmt: skip


def _stack(fig: Figure, ax: Axes, parts: pd.DataFrame) -> None:
    """Draw a bar for each row, of its columns one after the other, told apart by hatch as well as by colour."""
    left = pd.Series(0.0, index=parts.index)
    for number, name in enumerate(parts):
        hatch = _HATCHES[number % len(_HATCHES)]
        ax.barh(parts.index, parts[name], left=left, label=name, hatch=hatch, edgecolor="white")
        left = left + parts[name]
    ax.invert_yaxis()
    _legend_below(fig, ax)


def _legend_below(fig: Figure, ax: Axes) -> None:
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=3)


def _name_ends(ax: Axes, drawn: Mapping[str, Line2D], step: float = 0.06) -> None:
    """Write each line's name to the right of its last point, moved up where two would be nearer than this share of the axis."""
    to_share = ax.transData + ax.transAxes.inverted()
    ends = {name: to_share.transform((line.get_xdata()[-1], line.get_ydata()[-1]))[1] for name, line in drawn.items()}
    place = float("-inf")
    for name, end in sorted(ends.items(), key=lambda item: item[1]):
        place = max(end, place + step)
        ax.text(1.01, place, name, transform=ax.transAxes, color=drawn[name].get_color(), va="center")


def _nines(share: float) -> float:
    """Return how many nines a share has: 1 for 0.9, 2 for 0.99."""
    return -math.log10(1 - share)


def _in_words(value: float) -> str:
    """Return a number as it is said: 512, 1,024, 10 k, 3 M, 2 bn."""
    for least, unit, name in ((10**9, 10**9, "bn"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if value >= least:
            return f"{value / unit:,.5g} {name}"
    return f"{value:,.5g}"


def _plain(value: float) -> str:
    """Return a number with three meaningful digits and no exponent."""
    return f"{float(f'{value:.3g}'):,.10f}".rstrip("0").rstrip(".")
