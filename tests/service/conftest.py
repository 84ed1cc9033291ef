"""A fresh host with systemd, and a backend's world on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.systemd import SystemdHost
from tests.stage import Stage

UNIT = "nas-syncd.service"
WORLD = "/srv/finance"
NAS = "/mnt/share"
SETTINGS = "/etc/nas-syncd/config.env"


class Host:
    """The host, its users (``finance`` owns the world, ``anna`` is of its group) and the stage."""

    def __init__(self, systemd: SystemdHost, stage: Stage) -> None:
        self.systemd = systemd
        self.must = systemd.must
        self.run = systemd.run
        self.must("useradd -m finance && useradd -m anna && usermod -aG finance anna")
        self.must(f"mkdir -p {NAS} && chown finance: {NAS}")
        self.stage = stage
        stage.nas = systemd.root / NAS.lstrip("/")
        stage.settings["NAS_LOCAL_PATH"] = NAS
        del stage.settings["NAS_SYNCD_STATE_DIR"]  # the unit's
        self.must(f"chown -R finance: {WORLD}")
        self.write_settings()

    def write_settings(self, path: str = SETTINGS, mode: int = 0o644) -> None:
        """Write the stage's settings with the paths as the host knows them."""
        lines = [f"{name}={value}\n" for name, value in self.stage.settings.items()]
        self.systemd.write(path, "".join(lines).replace(str(self.stage.root), WORLD), mode)

    def mount_share(self, marker: str = '{"nas": "11111111-0000"}') -> None:
        """Mount the NAS, a tmpfs of the user ``finance``, with its marker."""
        self.must(f"mount -t tmpfs -o size=256m,mode=755,uid=finance,gid=finance share {NAS}")
        (self.stage.nas / ".nas-syncd.json").write_text(marker)

    def break_share(self) -> Callable[[str], None]:
        """Mount a NAS that does wrong; returned is what sets its rules (see ``faultfs.py``)."""
        self.must("mkdir -p /srv/disk && chown finance: /srv/disk && echo '[]' > /run/rules.json")
        self.must(
            "systemd-run --quiet --unit=share -p Type=exec"
            f" -p 'ExecStop=/bin/fusermount3 -u -z {NAS}' /opt/nas-syncd/bin/python"
            f" /opt/nas-syncd-source/tests/lab/faultfs.py /srv/disk {NAS} /run/rules.json"
        )
        self.systemd.wait_until(
            lambda: self.run(f"mountpoint -q {NAS}")[0] == 0, "the share is mounted"
        )
        self.systemd.write("/srv/disk/.nas-syncd.json", '{"nas": "11111111-0000"}')

        def rules(text: str) -> None:
            self.systemd.write("/run/rules.new", text)
            self.must("mv /run/rules.new /run/rules.json")

        return rules

    def override(self, *lines: str) -> None:
        """What ``systemctl edit`` would write."""
        text = "[Service]\n" + "".join(f"{line}\n" for line in lines)
        self.systemd.write(f"/etc/systemd/system/{UNIT}.d/test.conf", text)
        self.must("systemctl daemon-reload")

    def install(self, *more: str) -> str:
        return self.must(f"nas-syncd service install --system --yes {' '.join(more)}")

    def show(self, name: str) -> str:
        return self.systemd.show(UNIT, name)

    @property
    def pid(self) -> str:
        return self.show("MainPID")

    def has_told(self, event: str) -> bool:
        """Whether the journal holds this event, by the field that we gave it."""
        return bool(self.run(f"journalctl -q SYNCD_EVENT={event} -o cat")[1].strip())

    def wait_status(self, words: str, seconds: float = 20) -> None:
        """Until the STATUS line says *words*."""
        self.systemd.wait_until(
            lambda: words in self.show("StatusText"), f"STATUS: {words}", seconds
        )

    def wait_restarted(self, times: int = 1, seconds: float = 30) -> None:
        """Until it runs again, for the *times*-th time."""

        def again() -> bool:
            return self.show("NRestarts") == str(times) and self.show("ActiveState") == "active"

        self.systemd.wait_until(again, "it runs again", seconds)

    def journal(self) -> str:
        return self.must(f"journalctl --quiet --no-pager -o cat -u {UNIT}")


@pytest.fixture
def host(
    tmp_path: Path, systemd_host: Callable[[dict[Path, str]], SystemdHost]
) -> Callable[..., Host]:
    """``host(**settings)``: see :class:`Host`; nothing is installed yet."""

    def fresh(**settings: object) -> Host:
        stage = Stage(tmp_path / "world", None, **settings)
        return Host(systemd_host({stage.root: WORLD}), stage)

    return fresh
