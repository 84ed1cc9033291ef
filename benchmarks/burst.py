"""Uploads at a steady rate, in a process of their own: ``python -m benchmarks.burst …``.

A backend under load: every 50 ms so many files, then their rows in one transaction. Prints as JSON
when the first file was begun and when the last row was committed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path

from benchmarks.workloads import BACKEND_DIR, TYPES

TICK_SECONDS = 0.05


def burst(uploads: Path, database: Path, rate: int, seconds: float, size: int) -> dict[str, float]:
    """Upload and commit; return the monotonic times of its begin and end, and how many came."""
    content = os.urandom(size)
    each = round(rate * TICK_SECONDS)
    db = sqlite3.connect(database, timeout=60)
    began, number = time.monotonic(), 0
    for tick in range(round(seconds / TICK_SECONDS)):
        time.sleep(max(0.0, began + tick * TICK_SECONDS - time.monotonic()))
        names = [f"{one:06d}-burst.pdf" for one in range(number, number + each)]
        for name in names:
            (uploads / name).write_bytes(name.encode() + content)
        with db:
            db.executemany(
                "INSERT INTO documents (user_id, file_path, doc_type, date, created_at,"
                " processing_status) VALUES (1, ?, ?, ?, '2024-01-16 10:00:00', 'completed')",
                [_row(number + place, name) for place, name in enumerate(names)],
            )
        number += each
    db.close()
    return {"began": began, "ended": time.monotonic(), "count": number}


def _row(number: int, name: str) -> tuple[str, str, str]:
    date = f"2024-{number % 12 + 1:02d}-15"
    return f"{BACKEND_DIR}/{name}", TYPES[number // 12 % 4], date


if __name__ == "__main__":
    place, table, rate, seconds, size = sys.argv[1:]
    print(json.dumps(burst(Path(place), Path(table), int(rate), float(seconds), int(size))))
