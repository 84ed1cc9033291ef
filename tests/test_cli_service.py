"""``nas-syncd service`` with stand-ins for ``systemctl`` and ``launchctl`` that record their calls.

On a real systemd: ``tests/service``. There was no Mac at hand.
"""

from __future__ import annotations

import io
import os
import plistlib
import sys
from pathlib import Path

import pytest

from nas_syncd.cli import main
from nas_syncd.cli.call import Call
from nas_syncd.cli.service import Wanted, install, uninstall
from nas_syncd.install import Scope, service_state
from nas_syncd.install.launchd import Launchd
from nas_syncd.install.state import ServiceState
from nas_syncd.install.systemd import moment, state_from
from tests.cli_desk import Desk, make_desk

SYSTEMCTL = """#!/bin/sh
here=$(dirname "$0")
[ "$1" != --user ] || shift
[ "$1" = show ] || echo "$*" >>"$here/calls"
is() { [ -e "$here/$1" ] && echo "$2" || echo "$3"; }
case $1 in
show)
  unit=$HOME/.config/systemd/user/nas-syncd.service
  [ -e "$unit" ] && echo LoadState=loaded || echo LoadState=not-found
  echo "UnitFileState=$(is enabled enabled disabled)"
  echo "ActiveState=$(is active active inactive)"
  echo "SubState=$(is active running dead)"
  echo "ActiveEnterTimestamp=Thu 2026-11-26 19:08:53 UTC"
  echo "MainPID=$(is active 42 0)"
  echo "StatusText=$(is active 'On the NAS since the start: 3' '')"
  echo NRestarts=0
  ;;
enable) : >"$here/enabled" ;;
start | restart)
  [ ! -e "$here/broken" ] || { echo 'Job failed.' >&2; exit 1; }
  : >"$here/active"
  ;;
disable) rm -f "$here/enabled" "$here/active" ;;
esac
"""
LAUNCHCTL = """#!/bin/sh
here=$(dirname "$0")
[ "$1" = print ] || echo "$*" >>"$here/calls"
case $1 in
print)
  [ ! -e "$here/going" ] || { rm "$here/going" "$here/loaded"; }
  [ -e "$here/loaded" ] || { echo 'Could not find service' >&2; exit 113; }
  [ ! -e "$here/slow" ] || { rm "$here/slow"; echo 'state = waiting'; exit 0; }
  printf 'gui/501/local.nas-syncd = {\\n\\tstate = running\\n\\n\\truns = 2\\n\\tpid = %s\\n' $PPID
  printf '\\tlast exit code = 78: EX_CONFIG\\n\\tendpoints = {\\n\\t\\tstate = active\\n\\t}\\n}\\n'
  ;;
bootstrap)
  [ ! -e "$here/busy" ] || { rm "$here/busy"; echo 'Bootstrap failed: 5: I/O error' >&2; exit 5; }
  [ -f "$3" ] && : >"$here/loaded" && : >"$here/slow"
  ;;
bootout) : >"$here/going"; : >"$here/busy" ;;
esac
"""


class StandIn:
    """A program of that name, found first on the path."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    def calls(self) -> list[str]:
        """What it was told since the last look; questions left out."""
        path = self.folder / "calls"
        told = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def desk(tmp_path, home, capsys):
    yield from make_desk(tmp_path, capsys)


def on_path(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("PATH", f"{stand_in.folder}:{os.environ['PATH']}")
    return stand_in


@pytest.fixture
def systemctl(tmp_path, monkeypatch) -> StandIn:
    return on_path(StandIn(tmp_path / "bin", "systemctl", SYSTEMCTL), monkeypatch)


@pytest.fixture
def launchctl(tmp_path, monkeypatch) -> StandIn:
    return on_path(StandIn(tmp_path / "bin", "launchctl", LAUNCHCTL), monkeypatch)


# -- systemd ----------------------------------------------------------------------------------


def test_installing_twice_changes_nothing_and_uninstalling_leaves_nothing(
    desk: Desk, home: Path, systemctl: StandIn
):
    unit = home / ".config/systemd/user/nas-syncd.service"
    said = desk("service", "install", "--user", "--dry-run")
    assert said.code == 0
    assert str(unit) in said.out
    assert systemctl.calls() == []
    assert not unit.exists()

    said = desk("service", "install", "--user", "--yes")
    assert said.code == 0
    assert "On the NAS since the start: 3" in said.out
    assert systemctl.calls() == [
        "daemon-reload",
        "enable nas-syncd.service",
        "start nas-syncd.service",
    ]
    assert str(desk.stage.env_file) in unit.read_text()

    written = unit.stat()
    said = desk("service", "install", "--user", "--yes")
    assert said.code == 0
    assert systemctl.calls() == []
    assert unit.stat().st_mtime_ns == written.st_mtime_ns

    said = desk("service", "uninstall", "--user", "--yes")
    assert systemctl.calls() == ["disable --now nas-syncd.service", "daemon-reload"]
    assert not unit.exists()
    assert str(desk.stage.env_file) in said.out
    assert desk("service", "uninstall", "--user", "--yes").code == 0
    assert systemctl.calls() == []


def test_what_was_changed_by_hand_is_shown_and_put_right(desk: Desk, home: Path, systemctl):
    desk("service", "install", "--user", "--yes")
    systemctl.calls()
    unit = home / ".config/systemd/user/nas-syncd.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=120", "WatchdogSec=1"))

    said = desk("service", "install", "--user", "--yes")

    assert "-WatchdogSec=1\n" in said.out
    assert "+WatchdogSec=120\n" in said.out
    assert systemctl.calls() == ["daemon-reload", "restart nas-syncd.service"]
    assert "WatchdogSec=120" in unit.read_text()


def test_a_unit_of_somebody_elses_is_left_alone(desk: Desk, home: Path, systemctl):
    unit = home / ".config/systemd/user/nas-syncd.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")

    for command in ("install", "uninstall"):
        said = desk("service", command, "--user", "--yes")
        assert said.code == 1
        assert str(unit) in said.err
    assert systemctl.calls() == []
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_nothing_is_done_without_a_yes(desk: Desk, home: Path, systemctl, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    said = desk("service", "install", "--user")

    assert said.code == 2
    assert "--yes" in said.err
    assert systemctl.calls() == []
    assert not (home / ".config/systemd").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"NAS_SYNCD_WORKERS": "many"}, "NAS_SYNCD_WORKERS"), ({"UPLOAD_DIR": ""}, "UPLOAD_DIR")],
)
def test_wrong_settings_install_nothing(desk: Desk, home: Path, systemctl, settings, named):
    said = desk("service", "install", "--user", "--yes", **settings)

    assert said.code == 78
    assert named in said.err
    assert systemctl.calls() == []


def test_without_settings_it_says_where_they_belong(home: Path, systemctl, capsys):
    assert main(["service", "install", "--user", "--yes"]) == 78

    said = capsys.readouterr().err
    assert str(home / ".config/nas-syncd/config.env") in said
    assert "UPLOAD_DIR" in said
    assert systemctl.calls() == []


def test_a_service_that_does_not_start_is_told_of(desk: Desk, systemctl: StandIn):
    (systemctl.folder / "broken").touch()
    said = desk("service", "install", "--user", "--yes")

    assert said.code == 1
    assert "systemctl --user start nas-syncd.service" in said.err


def test_status_and_print_can_be_read_by_programs(desk: Desk, home: Path, systemctl):
    before = desk("service", "status", "--user", "--json")
    assert (before.code, before.data["installed"], before.data["running"]) == (1, False, False)
    printed = desk("service", "print", "--user", "--json").data
    desk("service", "install", "--user", "--yes")

    assert Path(printed["path"]).read_text() == printed["content"]
    after = desk("service", "status", "--user", "--json")
    assert after.code == 0
    assert after.data["since"] == "2026-11-26T19:08:53+00:00"
    assert (after.data["pid"], after.data["enabled"]) == (42, True)
    assert desk("service", "print", "--user").out == printed["content"]


def test_system_and_user_exclude_each_other(desk: Desk):
    said = desk("service", "status", "--user", "--system")
    assert said.code == 2
    assert desk("service", "install", "--user", "--run-as", "nobody").code == 2


# -- how it is --------------------------------------------------------------------------------


def test_a_host_without_a_manager_is_said_to_have_none(home: Path, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for scope in (None, *Scope):
        state = service_state(scope)
        assert (state.manager, state.installed, state.running) == (None, False, False)
        assert state.detail


def test_a_manager_that_never_answers_is_not_waited_for(home: Path, systemctl, monkeypatch):
    (systemctl.folder / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("nas_syncd.install.commands.ASK_SECONDS", 0.3)
    monkeypatch.setattr("nas_syncd.install.commands.run.__defaults__", (0.3,))

    state = service_state(Scope.USER)

    assert state.manager is None
    assert "no answer" in state.detail


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"},
            (False, "dead"),
        ),
        (
            {
                "LoadState": "loaded",
                "ActiveState": "failed",
                "SubState": "failed",
                "Result": "watchdog",
            },
            (False, "failed (watchdog)"),
        ),
        (
            {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"},
            (True, "running"),
        ),
        ({}, (False, "")),
    ],
)
def test_what_systemd_says_is_understood(said, expected):
    state = state_from(said, Scope.SYSTEM)
    assert (state.running, state.detail) == expected


def test_how_the_last_process_ended_is_a_number_or_a_signals_name():
    exited = {"ExecMainCode": "1", "ExecMainStatus": "78"}
    killed = {"ExecMainCode": "2", "ExecMainStatus": "9"}
    assert state_from(exited, Scope.SYSTEM).last_exit == "78"
    assert state_from(killed, Scope.SYSTEM).last_exit == "SIGKILL"
    assert state_from({"ExecMainCode": "0"}, Scope.SYSTEM).last_exit is None
    assert moment("n/a") is None


# -- launchd ----------------------------------------------------------------------------------


@pytest.fixture
def mac(tmp_path: Path, launchctl: StandIn) -> Launchd:
    (tmp_path / "Users/anna").mkdir(parents=True)
    return Launchd(tmp_path / "Users/anna", 501)


def call_of(desk: Desk) -> Call:
    call = Call("en")
    call.env_file = desk.stage.env_file
    return call


YES = Wanted(Scope.USER, yes=True)


def test_on_a_mac_every_path_in_the_property_list_exists_after_the_installation(
    desk: Desk, mac: Launchd, launchctl: StandIn, capsys
):
    assert install(call_of(desk), YES, mac) == 0

    assert launchctl.calls() == [
        "enable gui/501/local.nas-syncd",
        f"bootstrap gui/501 {mac.path}",
    ]
    found = plistlib.loads(mac.path.read_bytes())
    assert mac.path.name == f"{found['Label']}.plist"
    assert mac.path.stat().st_mode & 0o022 == 0
    paths = [found["ProgramArguments"][0], found["ProgramArguments"][-1], found["WorkingDirectory"]]
    paths += [found["EnvironmentVariables"]["LOGS_DIRECTORY"]]
    paths += [str(Path(found[name]).parent) for name in ("StandardOutPath", "StandardErrorPath")]
    for path in paths:
        assert Path(path).is_absolute()
        assert Path(path).exists(), path


def test_on_a_mac_twice_is_once_and_a_change_replaces_the_running_agent(
    desk: Desk, mac: Launchd, launchctl: StandIn, tmp_path: Path, capsys
):
    install(call_of(desk), YES, mac)
    launchctl.calls()
    assert install(call_of(desk), YES, mac) == 0
    assert launchctl.calls() == []

    call = call_of(desk)
    call.env_file = tmp_path / "other.env"
    call.env_file.write_bytes(desk.stage.env_file.read_bytes())
    assert install(call, YES, mac) == 0
    # launchd is still busy with the old one for a moment: the second attempt succeeds.
    bootstrap = f"bootstrap gui/501 {mac.path}"
    assert launchctl.calls() == [
        "bootout gui/501/local.nas-syncd",
        "enable gui/501/local.nas-syncd",
        bootstrap,
        bootstrap,
    ]
    assert plistlib.loads(mac.path.read_bytes())["ProgramArguments"][-1] == str(call.env_file)

    # What it was given is kept when it is not given again.
    assert install(Call("en"), YES, mac) == 0
    assert launchctl.calls() == []


def test_on_a_mac_uninstalling_leaves_the_logs_only(desk: Desk, mac: Launchd, launchctl, capsys):
    install(call_of(desk), YES, mac)
    launchctl.calls()
    capsys.readouterr()

    assert uninstall(Call("en"), YES, mac) == 0

    assert launchctl.calls() == ["bootout gui/501/local.nas-syncd"]
    assert not mac.path.exists()
    assert mac.logs is not None
    assert f"  {mac.logs}" in capsys.readouterr().out.splitlines()
    assert uninstall(Call("en"), YES, mac) == 0
    assert launchctl.calls() == []


def test_what_launchd_says_is_understood(mac: Launchd, launchctl: StandIn):
    assert mac.state() == ServiceState("launchd", Scope.USER, detail="not loaded")
    (launchctl.folder / "loaded").touch()

    state = mac.state()

    assert (state.running, state.pid, state.detail) == (True, os.getpid(), "running")
    assert (state.last_exit, state.restarts) == ("78", 1)
    assert state.since is not None
