"""Every system call of the NAS agent fails: once, for one document, for all, early and late.

``calls_made.txt`` lists what the agent calls in each life; ``python -m tests.faults.golden
--write`` writes it anew. Each case knows what must be said of it: ``outcomes.md``, the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tests.faults import golden
from tests.faults.kinds import KINDS
from tests.faults.lab import BrokenError, StuckError
from tests.faults.lives import Life
from tests.faults.strikes import LATE_OPS, Fault, StruckCalls

CALLS_MADE = Path(__file__).with_name("calls_made.txt")

DOWN = ("EIO", "ESTALE", "EHOSTDOWN", "ENOTCONN", "ETIMEDOUT", "ECONNRESET")
FULL = ("ENOSPC", "EDQUOT")
REFUSED = ("EACCES", "EPERM")
BUSY = ("EBUSY", "ETXTBSY")
UNABLE = ("EINVAL", "ENOTSUP")
PLAUSIBLE: dict[str, tuple[str, ...]] = {
    "open": (*DOWN, *FULL, *REFUSED, *BUSY, *UNABLE, "EROFS", "EINTR", "EMFILE", "ENAMETOOLONG"),
    "write": (*DOWN, *FULL, *REFUSED, *UNABLE, "EROFS", "EINTR", "EBUSY", "SHORT", "NOTHING"),
    "fsync": (*DOWN, *FULL, *UNABLE, "EROFS", "EINTR", "EACCES"),
    "close": (*DOWN, *FULL, "EINTR", "EROFS", "EACCES"),
    "read": (*DOWN, *REFUSED, *UNABLE, "EINTR", "EBUSY", "SHORT", "NOTHING"),
    "seek": ("EIO", "ESTALE", "EINVAL"),
    "drop_cache": ("EIO", "ESTALE", *UNABLE),
    "fstat": (*DOWN, *REFUSED, "EINTR"),
    "lstat": (*DOWN, *REFUSED, *UNABLE, "EINTR", "ENAMETOOLONG"),
    "fstatvfs": (*DOWN, *REFUSED, *UNABLE, "EINTR"),
    "mkdir": (
        *(*DOWN, *FULL, *REFUSED, *UNABLE),
        *("EROFS", "EINTR", "EMFILE", "EBUSY", "ENAMETOOLONG"),
    ),
    "listdir": (*DOWN, *REFUSED, *UNABLE, "EINTR", "EMFILE"),
    "unlink": (*DOWN, *REFUSED, *BUSY, "EROFS", "EINTR"),
    "rename": (
        *(*DOWN, *FULL, *REFUSED, *BUSY, *UNABLE),
        *("EROFS", "EINTR", "EMFILE", "ENAMETOOLONG", "EXDEV"),
    ),
}
PLAUSIBLE["rename_exclusive"] = PLAUSIBLE["rename"]
TYPICAL = frozenset(
    {"EIO", "EDQUOT", "ENOSPC", "EACCES", "EROFS", "EBUSY", "EINVAL", "EMFILE", "EINTR"}
    | {"ENAMETOOLONG", "SHORT"}
)
"""One of each kind: where a call is struck again and again, or in a like life."""
FOR_GOOD = ("EIO", "EHOSTDOWN", "EACCES", "EROFS")
LATE = ("EIO", "ETIMEDOUT", "EACCES", "EBUSY", "EINTR")
THOROUGH = frozenset({"small", "kept", "restored", "inherited", "tested", "paired"})
BOUND = frozenset({"small", "blocks", "adopted", "collision"})
"""Lives whose act is about one document, beside which another one may be."""
ROUNDS = 4
"""Of a trouble that lasts."""
_CASE = re.compile(r"(\w+)/(\w+): (.+?)(?: #(\d+))?: (\w+) (\w+)( done all the same)?")

Case = tuple[str, bool, Fault]
"""Which life, whether names are claimed, what fails."""


def name_of(kind: str, claims: bool, fault: Fault) -> str:
    return f"{kind}/{'claims' if claims else 'exclusive'}: {fault}"


def case_from(name: str) -> Case:
    match = _CASE.fullmatch(name)
    assert match, name
    kind, mode, site, number, error, often, late = match.groups()
    return kind, mode == "claims", Fault(site, int(number or 1), error, often, bool(late))


@cache
def calls_made() -> dict[tuple[str, bool], list[tuple[str, int]]]:
    """Return, for each life and mode, the sites that it comes by, in order."""
    found: dict[tuple[str, bool], list[tuple[str, int]]] = {}
    for line in CALLS_MADE.read_text().splitlines():
        if line.startswith("== "):
            kind, _, mode = line[3:].partition("/")
            made = found.setdefault((kind, mode == "claims"), [])
        elif line:
            site, _, number = line.partition(" #")
            made.append((site, int(number or 1)))
    return found


def op_of(site: str) -> str:
    return site.partition(": ")[2].partition(".")[2].partition("(")[0]


def faults_of(kind: str, claims: bool) -> Iterator[Fault]:
    """Yield what is tried in this life; in full where it is the first to come by a call."""
    known = set(calls_made()["small", False]) | set(calls_made()[kind, False] if claims else ())
    for site, number in calls_made()[kind, claims]:
        first = (kind, claims) == ("small", False) or (site, number) not in known
        if kind == "back" and not site.startswith("probe: "):
            continue
        if not first and claims:
            yield from (Fault(site, number, error) for error in ("EIO", "EACCES", "EBUSY"))
            continue
        op = op_of(site)
        thorough = first and kind in THOROUGH
        typical = [error for error in PLAUSIBLE[op] if error in TYPICAL]
        yield from (
            Fault(site, number, error) for error in (PLAUSIBLE[op] if thorough else typical)
        )
        if op in LATE_OPS or (op == "open" and makes_a_file(site)):
            late = LATE if thorough else LATE[:2]
            yield from (Fault(site, number, error, late=True) for error in late)
        if first and site.startswith("copy: ") and kind in BOUND:
            yield from (Fault(site, number, error, "document") for error in typical)
        if first and kind in ("small", "kept", "tested"):
            failing = [error for error in typical if error not in ("SHORT", "NOTHING")]
            yield from (Fault(site, number, error, "call") for error in failing)
        if first:
            for_good = FOR_GOOD if thorough else FOR_GOOD[:1]
            yield from (Fault(site, number, error, "all") for error in for_good)


def makes_a_file(site: str) -> bool:
    return any(word in site for word in ("temp file", "test", "(claim)", "new marker"))


class Calls:
    """See the module."""

    name = "calls"
    about = "every system call of the NAS agent fails, in each way it can"

    def missing(self) -> str | None:
        return None

    def cases(self) -> Sequence[str]:
        return [
            name_of(kind, claims, fault)
            for kind, claims in calls_made()
            for fault in faults_of(kind, claims)
        ]

    def short(self) -> Sequence[str]:
        """One in so many, in no order that the sites have."""
        return self.cases()[:: len(self.cases()) // 35]

    def run(self, case: str, folder: Path) -> str:
        kind, claims, fault = case_from(case)
        outcome = outcome_of(kind, claims, fault, folder)
        golden.compare(fault, outcome)
        return f"{outcome.whose}: {outcome.code or 'nothing to tell'}"


def outcome_of(kind: str, claims: bool, fault: Fault, folder: Path) -> golden.Outcome:
    """Live through it; return what was said while the fault lasted.

    Raises:
        BrokenError: See the lives.
    """
    with KINDS[kind](folder, claims=claims) as life:
        life.calls.fault = fault
        life.act()
        if fault.often != "once":
            again_and_again(life, fault)
        if not life.calls.struck:
            raise BrokenError(f"{fault.site} #{fault.number} was never called")
        outcome = golden.Outcome(life.whose(), life.state(), life.mount(), life.code())
        judge(life, fault, outcome)
        life.site.guard.check().result(20)  # as is done a second later
        life.get_well()
        return outcome


def again_and_again(life: Life, fault: Fault) -> None:
    """The trouble lasts, and there is another document beside the sick one.

    Raises:
        StuckError: That one is not safe although only the other's calls fail.
    """
    if life.kind in BOUND:
        life.add_a_healthy_one()
    for _ in range(ROUNDS):
        life.time_goes_by(2 * 86_400.0)
        life.act()
    if fault.often == "document" and not life.world.flag(life.ids["well.pdf"]):
        raise StuckError(f"one document's trouble stops another: {life.fates}")


def judge(life: Life, fault: Fault, outcome: golden.Outcome) -> None:
    """
    Raises:
        StuckError: A document is blamed for the NAS's trouble, or has none of the patience that
            is its due.
    """
    ours = golden.is_of_the_nas(fault)
    if ours and outcome.whose not in ("mount", "nobody"):
        raise StuckError(f"the NAS's trouble is told as the {outcome.whose}'s: {outcome}")
    if fault.often == "all" and "sick.pdf" in life.ids:
        entry = life.entry()
        if entry is not None and entry.attempts > 0 and fault.error in FOR_GOOD[:2]:
            raise StuckError(f"{entry.attempts} attempts were counted while the NAS was away")
    if fault.often == "document" and life.mount() != "ok":
        raise StuckError(f"one document's trouble is taken for the NAS's: {life.site.guard.view}")


def calls_in(kind: str, claims: bool, folder: Path) -> list[tuple[str, int]]:
    """Return the sites that a life comes by when nothing fails."""
    with KINDS[kind](folder, claims=claims, calls=StruckCalls()) as life:
        life.act()
        made = list(dict.fromkeys(life.calls.made))
        life.get_well()
        return made


GROUP = Calls()
