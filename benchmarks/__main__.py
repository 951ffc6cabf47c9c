"""`make bench`: emulator, calls and deployment, each beside its peer, in one table of ratios.

Alternatives take turns, so that a busy moment of the machine meets all of them. Medians are shown with the middle half of
the values; a ratio below 1 means that the workbook takes less. Nothing here fails a test: durations differ by machine.
"""

import itertools
import json
import statistics
from dataclasses import asdict, dataclass

from benchmarks import calls, deployment, start
from workbook.lab import RESULTS, new_run_id
from workbook.runs.versions import git_state, versions


@dataclass(frozen=True)
class Row:
    """One quantity of the workbook's, in milliseconds, beside a peer's."""

    what: str
    peer: str
    ours_ms: list[float]
    peers_ms: list[float]

    @property
    def ratio(self) -> float:
        """The workbook's median over the peer's."""
        return statistics.median(self.ours_ms) / statistics.median(self.peers_ms)


def main() -> None:
    """Measure everything, print the table, and keep the values in `data/results`."""
    rows = []
    print(f"{'':<44}{'workbook':>24}  {'peer':<20}{'':>24}{'ratio':>8}")
    for what, peer, ours_ms, peers_ms in itertools.chain(start.measure(), calls.measure(), deployment.measure()):
        row = Row(what, peer, ours_ms, peers_ms)
        rows.append(row)
        print(f"{what:<44}{_spread(ours_ms):>24}  {peer:<20}{_spread(peers_ms):>24}{row.ratio:>8.2f}", flush=True)
    path = RESULTS / f"bench-{new_run_id()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"versions": versions(), "git": git_state(), "rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}
    path.write_text(json.dumps(facts, indent=2) + "\n")
    print(f"\nAll values are in {path}.")


def _spread(values_ms: list[float]) -> str:
    low, middle, high = statistics.quantiles(values_ms, n=4)
    return f"{middle:.1f} ms [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
