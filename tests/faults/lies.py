"""A lying NAS: no flag is ever set on wrong bytes; when it speaks the truth again all is safe."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.faults import lying
from tests.faults.calls import calls_made, op_of
from tests.faults.kinds import KINDS
from tests.faults.lab import BrokenError, DirtyError, LiedError, StuckError
from tests.faults.lives import DAY, FOLDER, SMALL, Life
from tests.faults.lying import Lie, LyingCalls
from tests.helpers import nfd
from tests.oracle import snapshot

BLOCKS = 5
ROUNDS = 3
RENAMES = {False: "rename_exclusive", True: "rename"}


def lies_told(kind: str, claims: bool) -> list[Lie]:
    """Return what is told in this life."""
    rename = RENAMES[claims]
    copies = kind != "adopted"
    found = [lie for always in (False, True) for lie in _of_listings(kind, claims, always)]
    if not copies:
        return found + [lie for always in (False, True) for lie in _of_reading(1, always)]
    last = BLOCKS if kind == "blocks" else 1
    # the collision reads what stands there first
    first = 3 if kind == "collision" else 1
    for always in (False, True):
        for block in range(1, last + 1):
            found += _of_writing(block, always)
            found += _of_reading(block + first - 1, always)
        found += [
            Lie("fstat: half the size", "fstat", lying.says_size(0.5), always=always),
            Lie("fstat: twice the size", "fstat", lying.says_size(2), always=always),
            Lie("fstat: no size", "fstat", lying.says_size(0), always=always),
            Lie("fsync: does nothing", "fsync", lambda _calls, _fd: None, always=always),
        ]
        found += _of_closing(kind, claims, always)
        number = 1 if claims else 2  # the first exclusive one is the probe's
        found += [
            Lie(f"rename: {name}", rename, tell, number, always) for name, tell in _RENAMING.items()
        ]
    return found


def _of_writing(block: int, always: bool) -> list[Lie]:
    ways = {
        "flips the first bit": lying.flips(0),
        "flips the last bit": lying.flips(-1),
        "is dropped": lying.drops,
        "leaves a hole": lying.leaves_a_hole,
        "drops the end": lying.drops_the_end,
        "adds a byte": lying.adds_a_byte,
        "is done twice": lying.writes_twice,
        "goes to the start": lying.writes_at_the_start,
    }
    if block == 1:
        del ways["goes to the start"]  # where it belongs
    return [Lie(f"write: {how}", "write", tell, block, always) for how, tell in ways.items()]


def _of_reading(number: int, always: bool) -> list[Lie]:
    ways = {
        "gives a flipped bit": lying.gives_a_flipped_bit,
        "ends early": lying.ends_early,
        "gives an old version": lying.gives_an_old_version,
        "gives zeros": lying.gives_zeros,
    }
    # the first read of a copy is the marker's
    return [Lie(f"read: {how}", "read", tell, number + 1, always) for how, tell in ways.items()]


def _of_closing(kind: str, claims: bool, always: bool) -> list[Lie]:
    ways = {
        "cut to nothing": lying.is_cut_to(0),
        "cut in half": lying.is_cut_to(0.5),
        "one byte more": lying.grows,
        "gone": os.unlink,
    }
    number = 4 if kind != "collision" else 5  # the marker, the probe's two, what stands there
    return [
        Lie(f"after close: {how}", "close", lying.closes_and(act), number, always)
        for how, act in ways.items()
    ]


def _of_listings(kind: str, claims: bool, always: bool) -> list[Lie]:
    made = sum(op_of(site) == "listdir" for site, _ in calls_made()[kind, claims])
    ways: dict[str, Callable[[list[str]], list[str]]] = {
        "is empty": lambda _names: [],
        "misses the document's name": lambda names: [n for n in names if "sick" not in n],
        "has every name twice": lambda names: names * 2,
        "is in capitals": lambda names: [n.upper() for n in names],
        "is decomposed": lambda names: [nfd(n) for n in names],
        "has a ghost in our place": lambda names: [*names, "sick.pdf"],
        "has ghosts in all places": lambda names: [*names, "sick.pdf", "sick-1.pdf"],
    }
    return [
        Lie(f"listdir: {how}", "listdir", lying.lists(change), number, always)
        for how, change in ways.items()
        for number in range(1, made + 1)
    ]


_RENAMING: dict[str, lying.Tell] = {
    "is lost": lying.loses_the_rename,
    "loses the file": lying.renames_to_nowhere,
    **{
        f"is done, and says {errno.errorcode[number]}": lying.renames_and_says(number)
        for number in (errno.EEXIST, errno.ENOENT, errno.EIO, errno.EACCES, errno.EINVAL)
    },
    **{
        f"is not done, and says {errno.errorcode[number]}": lying.says_without_renaming(number)
        for number in (errno.EEXIST, errno.ENOENT)
    },
}


# -- power lost after the flag was set ------------------------------------------------------------


def forgets_the_rename(life: Life, place: Path) -> None:
    temp = life.site.journal.temp_of(life.flow.table.scope, life.ids["sick.pdf"])
    assert temp is not None
    os.rename(place, life.world.nas / temp)


POWER: dict[str, Callable[[Life, Path], Any]] = {
    "the rename is forgotten": forgets_the_rename,
    "the file is gone": lambda _life, place: place.unlink(),
    "the file is empty": lambda _life, place: os.truncate(place, 0),
    "half of the file is left": lambda _life, place: os.truncate(place, len(SMALL) // 2),
    "its folder is gone": lambda _life, place: _remove_folder(place.parent),
}


def _remove_folder(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


# -- names that the NAS takes for the same --------------------------------------------------------

STRANGERS = {
    "other case": "ÉTÉ.PDF",
    "other composition": "été.pdf",
    "both": "Été.Pdf",
    "nobody": "",
}
CONTENTS = {"other bytes": SMALL.upper(), "the same bytes": SMALL}


class Lies:
    """See the module."""

    name = "lies"
    about = "a NAS that stores, gives back, lists or renames something else than it says"

    def missing(self) -> str | None:
        return None

    def cases(self) -> Sequence[str]:
        modes = {False: "exclusive", True: "claims"}
        told = [
            f"{kind}/{mode}: {lie}"
            for kind in ("small", "blocks", "collision", "adopted")
            for claims, mode in modes.items()
            for lie in lies_told(kind, claims)
        ]
        lost = [
            f"power/{mode}: {what}{when}"
            for mode in modes.values()
            for what in POWER
            for when in ("", ", and we start again")
        ]
        same = [
            f"names/{mode}: {stranger}, {content}"
            for mode in modes.values()
            for stranger in STRANGERS
            for content in CONTENTS
            if stranger != "nobody" or content == "other bytes"
        ]
        return [*told, *lost, *same]

    def short(self) -> Sequence[str]:
        return self.cases()[:: len(self.cases()) // 20]

    def run(self, case: str, folder: Path) -> str:
        head, _, what = case.partition(": ")
        kind, _, mode = head.partition("/")
        claims = mode == "claims"
        if kind == "power":
            return lose_power(what, claims, folder)
        if kind == "names":
            return meet(what, claims, folder)
        lie = next(lie for lie in lies_told(kind, claims) if str(lie) == what)
        return be_told(kind, claims, lie, folder)


def be_told(kind: str, claims: bool, lie: Lie, folder: Path) -> str:
    """The NAS lies, once or for some rounds; then it speaks the truth."""
    calls = LyingCalls()
    with KINDS[kind](folder, claims=claims, calls=calls) as life:
        calls.lie = lie
        life.act()
        if not calls.told:
            raise BrokenError(f"{lie} was never told")
        noticed = life.code()
        if lie.always:
            life.add_a_healthy_one()
            for _ in range(ROUNDS):
                life.time_goes_by(2 * DAY)
                life.turn()
            if not life.world.flag(life.ids["well.pdf"]):
                raise StuckError(f"lies about one document stop another: {life.fates}")
        life.site.guard.check().result(20)
        life.get_well()
        return f"{noticed or 'made good at once'}, then safe"


def lose_power(what: str, claims: bool, folder: Path) -> str:
    """The NAS had said that all was flushed. A minute later the flag is true again, or false."""
    again = what.endswith(", and we start again")
    with KINDS["small"](folder, claims=claims) as life:
        life.act()
        id_ = life.ids["sick.pdf"]
        if not life.world.flag(id_):
            raise StuckError("it was not even filed")
        place = life.world.nas / "2023/07/factures/sick.pdf"
        POWER[what.partition(", and")[0]](life, place)
        life.spoiled = {str(place.relative_to(life.world.nas))}
        life.may_lie = True
        if again:
            life.restart()
            life.site.guard.check().result(20)
        life.time_goes_by(61)
        life.keep_house()
        if life.world.flag(id_) and life.verdict.lying:
            raise LiedError(f"a minute later the flag is still true: {life.verdict}")
        life.may_lie = False
        for _ in range(2):
            life.time_goes_by(2 * DAY)
            life.turn()
        if not life.world.flag(id_):
            raise StuckError(f"{life.fates}")
        left = [temp for temp in life.verdict.temps if not temp.startswith(".nas-syncd-claims")]
        if left:
            raise DirtyError(f"{left}")
        return "the flag went back, then safe" if False in life.world.flags(id_) else "restored"


def meet(what: str, claims: bool, folder: Path) -> str:
    """A NAS for which ``été.pdf`` and ``ÉTÉ.PDF`` are one name, composed or not."""
    stranger, _, content = what.partition(", ")
    calls = LyingCalls()
    calls.case_insensitive = True
    with Life(folder, claims=claims, calls=calls) as life:
        if STRANGERS[stranger]:
            life.put(f"{FOLDER}/{nfd(STRANGERS[stranger])}", CONTENTS[content])
        life.before = snapshot(life.world.nas)
        id_ = life.add("été.pdf", SMALL)
        other = life.add("autre/ÉTÉ.pdf", SMALL + b"!")
        life.turn()
        life.turn()
        if not (life.world.flag(id_) and life.world.flag(other)):
            raise StuckError(f"{life.fates}")
        owners = {life.entry(name).receipt.destination for name in life.ids}  # type: ignore[union-attr]
        if len({lying._same(place) for place in owners}) != 2:
            raise LiedError(f"two documents own one file: {owners}")
        seen = life.verdict
        if seen.changed or seen.temps or seen.partial:
            raise DirtyError(f"{seen}")
        return "both safe"


GROUP = Lies()
