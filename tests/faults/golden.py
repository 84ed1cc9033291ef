"""What is said of each fault: whose trouble, which state, which code; a file that people can read.

``python -m tests.faults.golden --write`` tries all cases of the group *calls* and writes
``outcomes.md`` (and ``calls_made.txt``, which the cases are made from); with words behind it,
only those lines whose cases have one in their names. Look at the difference before it is
committed: each line is what a person is told.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from nas_syncd.messages import LANGUAGES, explain
from nas_syncd.models import Reason
from tests.docs_examples import EXAMPLE
from tests.faults.lab import BrokenError
from tests.faults.strikes import Fault

OUTCOMES = Path(__file__).with_name("outcomes.md")
NOBODYS_FAULT = frozenset(
    {"EIO", "ESTALE", "EHOSTDOWN", "ENOTCONN", "ETIMEDOUT", "ECONNRESET", "ENOSPC", "EDQUOT"}
    | {"EROFS", "EMFILE", "EINTR"}
)
"""No document can be blamed for these, wherever they come from."""
_OURS = re.compile(
    r"^(probe|vouch|temps|remove|test|adopt): |root|marker|\.nas-syncd|installation|\(0\)"
    r"|temp file|test|claim\)|write_all|_flush\.|_read_back|_digest_of|_write\.|_take_claim"
)
"""Sites that every document comes by: the root, the marker, our own folders and files."""
_PLAIN = (
    (re.compile(r"\((\.nas-syncd-(tmp|claims)|installation|0)\)$"), "(our folder)"),
    (re.compile(r"\((20\d\d|0\d|factures)\)$"), "(its folder)"),
    (re.compile(r"\(sick[^)]*\)$"), "(its place)"),
)
_HOW = {
    "once": "once",
    "late": "once, but it was done",
    "document": "for this document",
    "call": "all such calls",
    "all": "all calls from then on",
}
_HEAD = """# What is said when a system call on the NAS fails

Made by `python -m tests.faults.golden --write` from real lives of documents; compared with them
by each case of the fault lab. The call is named by the job and the function of the program that
makes it. *NAS* is how the daemon sees it then. `SHORT` means that half of it was done, `NOTHING`
that none of it was. Where nothing is said, nobody has noticed: it was made good at once.
"""
_ROW = re.compile(r"\| (.+?) \| (.+?) \| (\w+) \| ([\w-]+) \| (\w+) \| (?:`([\w.]+)`|-) \|")


class ToldError(BrokenError):
    """What is said is not what the golden table has."""

    kind = "told"


class Outcome(NamedTuple):
    """What is told while the fault lasts."""

    whose: str
    state: str
    mount: str
    code: str


Key = tuple[str, str, str]
"""The call, how often it fails, with which error."""


def key_of(fault: Fault) -> Key:
    site = fault.site
    for pattern, word in _PLAIN:
        site = pattern.sub(word, site)
    return site, _HOW["late" if fault.late else fault.often], fault.error


def is_of_the_nas(fault: Fault) -> bool:
    """Whether it must not be told as a document's trouble; judged without the program's help."""
    if fault.error in ("SHORT", "NOTHING"):
        return False
    ours = fault.often != "call" and _OURS.search(fault.site) is not None
    return ours or fault.error in NOBODYS_FAULT


def compare(fault: Fault, outcome: Outcome) -> None:
    """
    Raises:
        ToldError: The table has another outcome, or none.
    """
    expected = table().get(key_of(fault), set())
    if outcome not in expected:
        raise ToldError(f"{fault}: {outcome}, the table has {expected or 'nothing'}")


@cache
def table() -> dict[Key, set[Outcome]]:
    """Return the file as it is."""
    found: dict[Key, set[Outcome]] = defaultdict(set)
    call = ""
    for line in OUTCOMES.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            call = line[4:].strip("`")
        elif match := _ROW.fullmatch(line):
            how, errors, whose, state, mount, code = match.groups()
            for error in errors.split():
                found[call, how, error].add(Outcome(whose, state, mount, code or ""))
    return found


def rendered(outcomes: Mapping[Key, Iterable[Outcome]]) -> str:
    """Return the file's text."""
    calls: dict[str, dict[tuple[str, Outcome], list[str]]] = {}
    for (call, how, error), several in outcomes.items():
        for outcome in several:
            calls.setdefault(call, {}).setdefault((how, outcome), []).append(error)
    lines = [_HEAD]
    for call in sorted(calls, key=_job_first):
        lines += [f"### `{call}`", "", "| fails | with | whose trouble | document | NAS | said |"]
        lines.append("| --- | --- | --- | --- | --- | --- |")
        order = list(_HOW.values())
        for (how, one), errors in sorted(
            calls[call].items(), key=lambda row: (order.index(row[0][0]), row[0][1])
        ):
            said = f"`{one.code}`" if one.code else "-"
            with_ = " ".join(sorted(set(errors)))
            lines.append(f"| {how} | {with_} | {one.whose} | {one.state} | {one.mount} | {said} |")
        lines.append("")
    lines += ["## What is said", ""]
    for code in codes_in(outcomes):
        lines += [f"`{code}`:", "", *(f"> {said}\n>" for said in spoken(code))]
        lines[-1] = lines[-1].removesuffix("\n>")
        lines.append("")
    return "\n".join(lines)


def codes_in(outcomes: Mapping[Key, Iterable[Outcome]]) -> list[str]:
    """Return every code that the table has, once."""
    return sorted({one.code for several in outcomes.values() for one in several if one.code})


def spoken(code: str) -> list[str]:
    """Return the message of *code*, whole, in each language."""
    return [explain(Reason(code, EXAMPLE.get(code, {})), language) for language in LANGUAGES]


def _job_first(call: str) -> tuple[int, str]:
    jobs = ["probe", "copy", "vouch", "temps", "remove", "look", "restore", "find", "test", "adopt"]
    return jobs.index(call.partition(":")[0]), call


# -- writing it ---------------------------------------------------------------------------------


def write(*only: str) -> int:
    """Try what has one of *only* in its name; return how many cases broke a promise."""
    from tests.faults import calls
    from tests.faults.kinds import KINDS

    calls.CALLS_MADE.write_text(_calls_made(calls.calls_in, KINDS), encoding="utf-8")
    keys = {case: key_of(calls.case_from(case)[2]) for case in calls.GROUP.cases()}
    wanted = {key for case, key in keys.items() if any(word in case for word in only or ("",))}
    outcomes: dict[Key, set[Outcome]] = defaultdict(set)
    if only:
        outcomes |= {k: v for k, v in table().items() if k in keys.values() and k not in wanted}
    cases = [case for case, key in keys.items() if key in wanted]
    broken = 0
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for case, outcome in pool.map(_tried, cases, chunksize=16):
            if isinstance(outcome, Outcome):
                outcomes[keys[case]].add(outcome)
            else:
                broken += 1
                sys.stderr.write(f"{case}: {outcome}\n")
    OUTCOMES.write_text(rendered(outcomes), encoding="utf-8")
    return broken


def _calls_made(
    calls_in: Callable[[str, bool, Path], list[tuple[str, int]]], kinds: Iterable[str]
) -> str:
    lines = []
    for kind in kinds:
        for claims in (False, True):
            with tempfile.TemporaryDirectory(prefix="fault-") as folder:
                made = calls_in(kind, claims, Path(folder))
            lines.append(f"== {kind}/{'claims' if claims else 'exclusive'}")
            lines += [site if number == 1 else f"{site} #{number}" for site, number in made]
    return "\n".join(lines) + "\n"


def _tried(case: str) -> tuple[str, Outcome | str]:
    from tests.faults import calls

    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        try:
            return case, calls.outcome_of(*calls.case_from(case), Path(folder))
        except BrokenError as broken:
            return case, f"{broken.kind}: {broken}"


if __name__ == "__main__":
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    from tests.faults import golden  # the module that the cases know, not this one of its name

    sys.exit(golden.write(*sys.argv[2:]) > 0)
