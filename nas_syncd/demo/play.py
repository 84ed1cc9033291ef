"""The performance: the daemon runs, documents arrive, the pretend NAS goes away and comes back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from nas_syncd.demo.backend import Backend
from nas_syncd.demo.place import Place
from nas_syncd.demo.process import Daemon, adopt, write_config
from nas_syncd.demo.samples import AWAY_FROM, AWAY_LONGEST_SECONDS, AWAY_SHARE, Sample
from nas_syncd.demo.script import Arrivals, Script
from nas_syncd.demo.show import Show

SHORTEST_SPAN = 3.0
ENDING_SECONDS = 2.5
"""What the end (catching up, stopping, checking) usually takes."""
PATIENCE_SECONDS = 60.0
"""How long after the script everything may take to be safe; then it has failed."""
TICK_SECONDS = 0.1
START_SECONDS = 10.0

Drawn = Sequence[tuple[Sample, bytes]]


class DemoError(Exception):
    """The demo cannot go on: ``words`` say why, ``code`` is the exit code."""

    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.words = words
        self.code = code


class Play:
    """One performance in one folder."""

    def __init__(self, place: Place, show: Show, drawn: Drawn) -> None:
        self.place = place
        self.show = show
        self.scene = show.scene
        self.scene.total = len(drawn)
        self.interrupted = False
        self.faults: list[str] = []
        """What went wrong beside the documents, as a person reads it."""
        self.digests = {
            number: hashlib.sha256(data).hexdigest() for number, (_, data) in enumerate(drawn, 1)
        }
        self.backend = Backend(place.database, place.uploads)
        self.arrivals = Arrivals(self.backend, drawn, self.scene.tell)

    def perform(self, until: float) -> None:
        """Play from the adoption to the daemon's end; ``until`` is on the monotonic clock."""
        try:
            self._adopt()
            self.arrivals.backlog()
            self.scene.tell("demo.story.backlog")
            with self.show:
                self._with_daemon(until)
        finally:
            self._put_back()
            self.backend.close()

    def _adopt(self) -> None:
        write_config(self.place, self.scene.language)
        code, said = adopt(self.place)
        if code:
            raise DemoError(self.scene.text("demo.adopt.failed", exit_code=code, detail=said))

    # -- the daemon -------------------------------------------------------------------------

    def _with_daemon(self, until: float) -> None:
        with Daemon(self.place) as daemon:
            try:
                self._act(daemon, until)
            except KeyboardInterrupt:
                self.interrupted = True
            self._stop(daemon)

    def _act(self, daemon: Daemon, until: float) -> None:
        begun = time.monotonic()
        while not daemon.ended and self.scene.safe == 0:
            if time.monotonic() > begun + START_SECONDS:
                break  # the script does not depend on it
            self._tick(daemon)
        script = self._script(max(SHORTEST_SPAN, until - ENDING_SECONDS - time.monotonic()))
        begun = time.monotonic()
        while not script.over and not daemon.ended:
            script.play(time.monotonic() - begun)
            self._tick(daemon)
        if not daemon.ended:
            self.scene.tell("demo.story.catching_up")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.scene.safe < self.scene.total and not daemon.ended:
            if time.monotonic() > deadline:
                self._fault("demo.late", seconds=PATIENCE_SECONDS)
                break
            self._tick(daemon)

    def _tick(self, daemon: Daemon) -> None:
        for event in daemon.events():
            self.scene.take(event)
        self.scene.begun = self.arrivals.begun
        self.scene.safe = self.backend.safe()
        self.show.refresh()
        time.sleep(TICK_SECONDS)

    def _stop(self, daemon: Daemon) -> None:
        died = daemon.ended
        whole = "stopping" if self.scene.safe == self.scene.total else "ending"
        self.scene.tell(f"demo.story.{'interrupted' if self.interrupted else whole}")
        self.show.refresh()
        stopped = daemon.stop()
        for event in daemon.events():
            self.scene.take(event)
        self.scene.safe = self.backend.safe()
        if died:
            self._fault("demo.daemon.died", exit_code=stopped.code, detail=daemon.last_words())
        elif not stopped.well:
            self._fault("demo.stop.badly", exit_code=stopped.code, seconds=stopped.seconds)

    # -- the script -------------------------------------------------------------------------

    def _script(self, span: float) -> Script:
        script = Script(span)
        self.scene.tell("demo.story.arriving")
        away = AWAY_FROM * span
        script.add(away, self._take_away)
        script.add(away + min(AWAY_SHARE * span, AWAY_LONGEST_SECONDS), self._bring_back)
        self.arrivals.write(script)
        return script

    def _take_away(self) -> None:
        """As an unmounted share looks: the folder is there, bare."""
        self.place.nas.rename(self.place.nas_away)
        self.place.nas.mkdir()
        self.scene.tell("demo.story.away")

    def _bring_back(self) -> None:
        self._put_back()
        self.scene.tell("demo.story.back")

    def _put_back(self) -> None:
        if not self.place.nas_away.exists():
            return
        try:
            self.place.nas.rmdir()  # only goes when not one byte was written below it
        except OSError:
            self.place.nas.rename(self.place.nas_bare)
            self._fault("demo.bare.written", path=str(self.place.nas_bare))
        self.place.nas_away.rename(self.place.nas)

    def _fault(self, code: str, **params: object) -> None:
        self.faults.append(self.scene.text(code, **params))
