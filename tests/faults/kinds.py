"""The lives that the lab knows: what is prepared, what is done, and when all is well."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from nas_syncd import pairing
from nas_syncd.errors import NasDownError, SyncError
from nas_syncd.inherited import Inherited
from tests.faults.lives import BLOCKS, FOLDER, SMALL, Life
from tests.oracle import snapshot

# -- filing -----------------------------------------------------------------------------------


class Small(Life):
    """A small document; no folder for it is there yet."""

    kind = "small"

    def prepare(self) -> None:
        self.add("sick.pdf", SMALL, date="2023-07-15")


class Blocks(Life):
    """One of several blocks; its folder is there, with a stranger's file in it."""

    kind = "blocks"

    def prepare(self) -> None:
        self.add("sick.pdf", BLOCKS)


class Adopted(Life):
    """Its bytes stand in its place already."""

    kind = "adopted"

    def prepare(self) -> None:
        self.put(f"{FOLDER}/sick.pdf", SMALL)
        self.add("sick.pdf", SMALL)


class Collision(Life):
    """Something else of the same size stands in its place."""

    kind = "collision"

    def prepare(self) -> None:
        self.put(f"{FOLDER}/sick.pdf", SMALL.upper())
        self.add("sick.pdf", SMALL)


class Back(Small):
    """The NAS was away: before anything else a small file is written and read back."""

    kind = "back"

    def prepare(self) -> None:
        super().prepare()
        self.site.guard.check().result(20)
        self.site.guard.trouble(NasDownError("away"))


# -- afterwards -------------------------------------------------------------------------------


class Kept(Life):
    """What is looked after when it was filed: a dead run's temp file, the second look."""

    kind = "kept"

    def prepare(self) -> None:
        self.add("sick.pdf", SMALL)
        self.before = snapshot(self.world.nas)
        self.turn(upkeep=False)
        installation = self.site.journal.installation
        dead = f".nas-syncd-tmp/{installation}/0/.nas-syncd-0123456789abcdef-0.part"
        self.put(dead, b"what a run left that died")
        self.world.clock.pass_by(61)

    def act(self) -> None:
        self.turn()

    def is_well(self) -> bool:
        entry = self.entry()
        grown = entry is not None and entry.receipt is not None and not entry.young
        return super().is_well() and grown and self.world.flags(self.ids["sick.pdf"]) == [True]


class Restored(Kept):
    """The NAS has lost power, and forgotten the rename: the temp file is back."""

    kind = "restored"

    def prepare(self) -> None:
        super().prepare()
        journal = self.site.journal
        temp = journal.temp_of(self.flow.table.scope, self.ids["sick.pdf"])
        assert temp is not None
        os.rename(self.world.nas / FOLDER / "sick.pdf", self.world.nas / temp)
        self.may_lie = True

    def again(self) -> None:
        self.turn()
        self.may_lie = not self.is_well()

    def temps_of_this_run(self) -> list[str]:
        return []  # the NAS has brought it back: it goes with the next start

    def is_well(self) -> bool:
        return Life.is_well(self)


class InheritedFlag(Life):
    """An older tool has set the flag: the NAS is read, and nothing written."""

    kind = "inherited"

    def prepare(self) -> None:
        self.put(f"{FOLDER}/sick.pdf", SMALL)
        self.add("sick.pdf", SMALL, synced_to_nas=1)

    def act(self) -> None:
        self.turn(upkeep=False)
        inherited = Inherited(self.site, self.flow.table)  # type: ignore[arg-type]
        if self.site.guard.view.usable:
            with self._told():
                list(inherited.check(inherited.documents()))
        self.check()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SyncError as error:
            self.troubles.append(error)

    def again(self) -> None:
        self.act()
        self.turn()

    def is_well(self) -> bool:
        entry = self.entry()
        return super().is_well() and entry is not None and entry.receipt is not None


class AskedFor(Life):
    """A person asks whether the NAS can be written (``test``, the doctor)."""

    kind = "tested"

    def act(self) -> None:
        try:
            self.site.try_nas()
            self.site.agent.call(
                "test", root=str(self.world.nas), nas=self.world.uuid, renaming=True
            )
        except SyncError as error:
            self.troubles.append(error)
        self.check()

    def again(self) -> None:
        self.troubles.clear()
        self.act()
        self.turn()

    def is_well(self) -> bool:
        return super().is_well() and not self.troubles


class Paired(Life):
    """``adopt`` on a NAS that has no marker yet; then a document is filed."""

    kind = "paired"

    def prepare(self) -> None:
        (self.world.nas / ".nas-syncd.json").unlink()

    def act(self) -> None:
        try:
            pairing.adopt(self.site, pairing.look(self.site), "1.0")
        except SyncError as error:
            self.troubles.append(error)
        self.check()

    def again(self) -> None:
        self.troubles.clear()
        self.act()
        if not self.ids:
            self.add_a_healthy_one()
        self.turn()

    def is_well(self) -> bool:
        return super().is_well() and not self.troubles and bool(self.ids)


KINDS: dict[str, Callable[..., Life]] = {
    life.kind: life
    for life in (
        *(Small, Blocks, Adopted, Collision, Back),
        *(Kept, Restored, InheritedFlag, AskedFor, Paired),
    )
}
