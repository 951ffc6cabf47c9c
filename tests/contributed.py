"""Contributions that tests make up."""

import csv
from pathlib import Path

from workbook.measured import COLUMNS

CALL = dict.fromkeys(COLUMNS, "") | {
    "date": "2026-11-20",
    "region": "eu-west-1",
    "workbook": "0.1.0",
    "revision": "0a1b2c3d4e",
    "lesson": "02_front_door",
    "experiment": "doors",
    "variant": "REST API",
    "attempt": "1",
    "counts_as": "result",
    "via": "rest_api",
    "memory_mb": "256",
    "temperature": "warm",
    "environment": "1",
    "client_ms": "31.25",
    "status": "200",
    "provenance": "measured",
    "licence": "CC0-1.0",
}


def write(path: Path, *calls: dict[str, str]) -> Path:
    """Write a file of these calls, each one as CALL is but for what it says itself, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(CALL | call for call in calls)
    return path


def doors(path: Path, region: str = "eu-west-1", way_ms: float = 20.0) -> Path:
    """Write a file of twenty calls through each of two doors, of which one takes 8 ms longer, and return its path."""
    slower = {"REST API": 8.0, "HTTP API 2.0": 0.0}
    return write(
        path,
        *(
            {"region": region, "variant": door, "client_ms": f"{way_ms + more + number / 10:.3f}"}
            for number in range(20)
            for door, more in slower.items()
        ),
    )
