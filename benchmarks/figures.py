"""What is made of measured values: percentiles, spreads, ratios. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Several rounds of one figure."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return short(self.median)
        return f"{short(self.median)} ({short(self.lowest)} to {short(self.highest)})"


def spread(values: Iterable[float]) -> Spread:
    """
    Raises:
        ValueError: There are no values.
    """
    found = list(values)
    if not found:
        raise ValueError("nothing was measured")
    return Spread(statistics.median(found), min(found), max(found))


def ratios(others: Sequence[float], ours: Sequence[float]) -> Spread:
    """Return how many times as long the others took, round by round: only what was measured one
    after the other is compared."""
    return spread(other / own for other, own in zip(others, ours, strict=True))


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of the values that at least this share of them do not exceed."""
    found = sorted(values)
    if not found:
        return float("nan")
    rank = math.ceil(share * len(found) - 1e-9)  # 0.99 * 100 is a little more than 99
    return found[min(len(found), max(1, rank)) - 1]


def short(value: float) -> str:
    """Return two or three digits' worth of it."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """Return the order of one round: forward, then backward, so that no contender always comes
    after the same one."""
    return list(names) if number % 2 == 0 else list(reversed(names))
