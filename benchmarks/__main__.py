"""`make bench`: what the workbook takes beside what one would use instead, and whether it holds what it aims at.

Alternatives take turns, so that a busy moment of the machine meets all of them. A figure is a median unless its row says
otherwise, and stands with its 95 % interval; `?` is a side that so few values can't bound. Figures whose intervals overlap
are not ranked. Nothing here fails a test: durations differ by machine.

`python -m benchmarks TOPIC …` runs some topics only.
"""

import argparse
import importlib
import json

from workbook.lab import RESULTS, new_run_id
from workbook.runs.versions import git_state, versions

TOPICS = ("start", "calls", "deployment", "instrument", "intervals", "cpu", "tuning", "wall", "core")


def main() -> None:
    """Measure the chosen topics or all, print a table for each, and keep the values in `data/results`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Set the workbook beside its peers.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"out of: {', '.join(TOPICS)}; all if none is named")
    chosen = parser.parse_args().topics or TOPICS
    if unknown := [name for name in chosen if name not in TOPICS]:
        parser.error(f"there is no topic {unknown[0]!r}; choose from: {', '.join(TOPICS)}")
    rows = []
    for name in chosen:
        topic = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{topic.__doc__.splitlines()[0]}\n\n{'':60}  {'workbook':>26}  {'peer':>26}", flush=True)
        for row in topic.measure():
            rows.append({"topic": name} | row.to_facts())
            ours, peers = (f"{figure} {row.unit}".rstrip() if figure else "" for figure in (row.ours, row.peers))
            print(f"{row.what:60}  {ours:>26}  {peers:>26}  {row.peer:18}  {row.reading}".rstrip(), flush=True)
    path = RESULTS / f"bench-{new_run_id()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"versions": versions(), "git": git_state(), "rows": rows}, indent=2) + "\n")
    print(f"\nAll values are in {path}.")


if __name__ == "__main__":
    main()
