"""The service on a real systemd: installed, watched, killed, stopped, taken away."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest

from tests.lab.parts import wait_until
from tests.oracle import examine
from tests.receiver import Receiver
from tests.service.conftest import NAS, SETTINGS, UNIT, WORLD, Host
from tests.stage import BACKEND_DIR

pytestmark = [pytest.mark.lab, pytest.mark.root, pytest.mark.slow]

Fresh = Callable[..., Host]
MOST_EXPOSURE = 2.5
STOP_SECONDS = 10.0
HUNG_STOP_SECONDS = 25.0
"""What the documents promise: ten for the daemon, TimeoutStopSec for what hangs in the mount."""
QUICK_WATCHDOG = ("WatchdogSec=3", "RestartSec=1")


def all_safe(host: Host) -> bool:
    stage = host.stage
    return examine(stage.database, stage.uploads, stage.nas, BACKEND_DIR).perfect


def test_one_command_installs_it_on_a_fresh_host_and_another_takes_it_away(host: Fresh) -> None:
    fresh = host(NAS_SYNCD_SCAN_SECONDS=3600)
    fresh.mount_share()
    before = files_of_units(fresh)
    said = fresh.install()
    assert "It says: On the NAS since the start: 0; waiting: 0; The NAS is ready" in said
    assert fresh.show("UnitFileState") == "enabled"
    assert fresh.show("User") == "finance"

    # Copying to the mount works, and so do the system's events: the next scan is an hour away.
    row = fresh.stage.row("a.pdf")
    fresh.wait_status("waiting: 1")
    (fresh.stage.uploads / "a.pdf").write_bytes(b"a")
    wait_until(lambda: fresh.stage.is_marked(row), "marked", 10)
    fresh.wait_status("On the NAS since the start: 1; waiting: 0")
    assert "On the NAS since the start: 1" in fresh.must("systemctl status nas-syncd")
    assert all_safe(fresh)

    # A member of the group reaches the daemon, with no right to its state; others do not.
    status, told = fresh.systemd.as_user("anna", "nas-syncd status --json")
    assert status == 0, told
    assert json.loads(told)["daemon"] == int(fresh.pid)
    assert fresh.systemd.as_user("anna", "ls /var/lib/nas-syncd")[0] != 0
    assert fresh.run("runuser -u nobody -- ls /run/nas-syncd")[0] != 0
    status, told = fresh.run("runuser -u nobody -- nas-syncd status")
    assert (status, "usermod -aG finance" in told) == (78, True), told

    # Once more: nothing to do, and nothing is done.
    invocation = fresh.show("InvocationID")
    assert "Nothing to change" in fresh.install()
    assert fresh.show("InvocationID") == invocation
    look_at_the_sandbox(fresh)

    said = fresh.must("nas-syncd service uninstall --system --yes")
    for kept in ("/var/lib/nas-syncd", "/var/log/nas-syncd", "/etc/nas-syncd"):
        assert f"  {kept}" in said.splitlines()
        fresh.must(f"test -d {kept}")
    assert files_of_units(fresh) == before
    assert fresh.run(f"systemctl cat {UNIT}")[0] != 0
    assert fresh.run("pgrep -f nas_syncd")[0] != 0
    assert "Nothing to change" in fresh.must("nas-syncd service uninstall --system --yes")


def files_of_units(host: Host) -> list[str]:
    folders = "/etc/systemd /usr/lib/systemd /run/systemd/system"
    return host.run(f"find {folders} | sort")[1].splitlines()


def look_at_the_sandbox(host: Host) -> None:
    """The unit is in order and lets little through; the children are as confined as the daemon."""
    assert host.must(f"systemd-analyze verify /etc/systemd/system/{UNIT}") == ""
    verdict = host.must(f"systemd-analyze security --no-pager {UNIT}").splitlines()[-1]
    exposure = float(re.findall(r"(\d+\.\d+)", verdict)[0])
    print(f"exposure: {exposure}")
    assert exposure <= MOST_EXPOSURE
    group = host.show("ControlGroup")
    pids = host.must(f"cat /sys/fs/cgroup{{/systemd,}}{group}/cgroup.procs 2>/dev/null | sort -u")
    assert len(pids.split()) == 3
    for pid in pids.split():
        status = host.must(f"cat /proc/{pid}/status")
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status
        assert "CapBnd:\t0000000000000000" in status


def test_the_user_is_the_uploads_owner_and_is_tried_before_anything_is_written(
    host: Fresh,
) -> None:
    fresh = host()
    fresh.mount_share()
    plan = "nas-syncd service install --system --dry-run"
    assert "user finance, group finance" in fresh.must(plan)
    fresh.must(f"chown root: {WORLD}/uploads")
    assert "runs as root, without root's special powers" in fresh.must(plan)

    for command, code, named in (
        (f"mv {WORLD}/uploads {WORLD}/away; {plan}", 78, "--run-as"),
        (f"chmod 700 /opt; {plan} --run-as finance", 1, "/opt/nas-syncd/bin/python"),
    ):
        status, said = fresh.run(command)
        assert (status, named in said) == (code, True), said
    assert fresh.run(f"systemctl cat {UNIT}")[0] != 0

    # A container's user, who has no name on this host: it says how to give it one.
    fresh.must(f"chmod 755 /opt; mv {WORLD}/away {WORLD}/uploads")
    fresh.must(f"chown -R 4242:4242 {WORLD} {NAS}")
    status, said = fresh.run(plan)
    assert status == 78
    command = re.findall(r"sudo (useradd [^”]+)”", said)[0]
    fresh.must(command)
    fresh.install()
    assert fresh.show("User") == "nas-syncd"
    row = fresh.stage.add("a.pdf", b"a")
    wait_until(lambda: fresh.stage.is_marked(row), "marked", 20)
    assert fresh.must(f"stat -c %u {NAS}/2024/01/factures/a.pdf") == "4242"


def test_the_example_of_a_mount_is_in_order(host: Fresh) -> None:
    fresh = host()
    for name in ("mnt-nas.mount", "mnt-nas.automount"):
        fresh.must(f"cp /opt/nas-syncd-source/systemd/examples/{name} /etc/systemd/system/")
    units = "/etc/systemd/system/mnt-nas.automount /etc/systemd/system/mnt-nas.mount"
    assert fresh.must(f"systemd-analyze verify {units}") == ""
    # The line for fstab means the same.
    fresh.must("cat /opt/nas-syncd-source/systemd/examples/fstab > /etc/fstab")
    fresh.must("rm /etc/systemd/system/mnt-nas.* && systemctl daemon-reload")
    generated = fresh.must("cat /run/systemd/generator/mnt-nas.{mount,automount}")
    assert "Where=/mnt/nas" in generated
    assert "soft,echo_interval=10,_netdev,nofail" in generated


def test_a_daemon_that_is_killed_or_frozen_comes_back_and_nothing_is_lost_or_doubled(
    host: Fresh,
) -> None:
    fresh = host()
    fresh.mount_share()
    fresh.override(*QUICK_WATCHDOG)
    fresh.install()
    fresh.stage.add_many(150)
    fresh.stage.wait_marked(20)
    fresh.must(f"kill -9 {fresh.pid}")
    fresh.wait_restarted()
    fresh.stage.wait_marked(150, seconds=60)
    assert all_safe(fresh)

    frozen = fresh.pid
    fresh.must(f"kill -STOP {frozen}")
    row = fresh.stage.add("a.pdf", b"a")
    fresh.wait_restarted(2)
    assert "Watchdog timeout" in fresh.journal()
    wait_until(lambda: fresh.stage.is_marked(row), "marked after the restart", 20)
    assert all_safe(fresh)
    state = json.loads(fresh.must("nas-syncd service status --json"))
    assert (state["running"], state["restarts"], state["scope"]) == (True, 2, "system")


def test_a_setting_that_became_wrong_is_not_tried_again_and_again(host: Fresh) -> None:
    fresh = host()
    fresh.mount_share()
    fresh.install()
    right = fresh.stage.settings
    fresh.must("systemctl reload nas-syncd")
    fresh.systemd.wait_until(lambda: fresh.has_told("daemon.reloaded"), "reloaded")
    assert fresh.must("journalctl -q -t nas-syncd -n 1 -o cat") != ""
    fresh.stage.settings = {**right, "NAS_SYNCD_WORKERS": "many"}
    fresh.write_settings()
    fresh.must("systemctl reload nas-syncd")
    fresh.systemd.wait_until(lambda: fresh.has_told("daemon.reload_refused"), "refused")
    assert fresh.show("ActiveState") == "active"
    assert fresh.run("systemctl restart nas-syncd")[0] != 0
    assert (fresh.show("ActiveState"), fresh.show("SubState")) == ("failed", "failed")
    assert fresh.show("ExecMainStatus") == "78"
    assert fresh.show("NRestarts") == "0"
    state = json.loads(fresh.run("nas-syncd service status --json")[1])
    assert (state["running"], state["last_exit"]) == (False, "78")
    status, said = fresh.run("nas-syncd service install --system --yes")
    assert (status, "NAS_SYNCD_WORKERS = 'many'" in said) == (78, True)

    fresh.stage.settings = right
    fresh.write_settings()
    assert "The service runs" in fresh.install()


def test_a_nas_that_hangs_is_no_matter_for_the_watchdog_and_stopping_has_an_end(
    host: Fresh,
) -> None:
    fresh = host(NAS_SYNCD_NAS_TIMEOUT_SECONDS=1)
    rules = fresh.break_share()
    fresh.override(*QUICK_WATCHDOG)
    fresh.install()
    first = fresh.stage.add("a.pdf", b"a")
    wait_until(lambda: fresh.stage.is_marked(first), "marked", 20)
    pid = fresh.pid

    rules('[{"op": "*", "do": "hang"}]')
    second = fresh.stage.add("b.pdf", b"b")
    fresh.wait_status("The NAS does not answer")
    hung = time.monotonic()
    time.sleep(7)  # more than two watchdogs: that nothing happens has no event
    assert (fresh.pid, fresh.show("NRestarts")) == (pid, "0")
    assert "The NAS does not answer" in fresh.show("StatusText")
    print(f"hung for {time.monotonic() - hung:.1f} s, same process")

    began = time.monotonic()
    fresh.run("systemctl stop nas-syncd")
    took = time.monotonic() - began
    print(f"stop with the NAS hung: {took:.1f} s, {fresh.show('Result')}")
    assert took < HUNG_STOP_SECONDS
    began = time.monotonic()
    fresh.must("systemctl start nas-syncd")
    print(f"start with the NAS hung: {time.monotonic() - began:.1f} s")
    fresh.wait_status("The NAS does not answer")

    rules("[]")
    wait_until(lambda: fresh.stage.is_marked(second), "marked when it answers again", 30)
    assert (fresh.systemd.root / "srv/disk/2024/01/factures/b.pdf").read_bytes() == b"b"
    rules("[]")
    fresh.must("systemctl stop nas-syncd share")


def test_stopping_in_the_middle_of_much_work_takes_ten_seconds_at_most(host: Fresh) -> None:
    fresh = host()
    rules = fresh.break_share()
    fresh.install()
    rules('[{"op": "fsync", "do": "delay", "seconds": 0.3}]')
    fresh.stage.add_many(200, size=20_000)
    fresh.stage.wait_marked(10)
    began = time.monotonic()
    fresh.must("systemctl stop nas-syncd")
    took = time.monotonic() - began
    print(f"stop under load: {took:.1f} s, {fresh.stage.marked()} of 200 marked")

    assert took < STOP_SECONDS
    assert fresh.show("Result") == "success"
    assert 0 < fresh.stage.marked() < 200
    rules("[]")
    fresh.must("systemctl start nas-syncd")
    fresh.stage.wait_marked(200, seconds=60)
    assert all_safe(fresh)
    fresh.must("systemctl stop nas-syncd share")


def test_a_share_that_is_mounted_long_after_the_start_is_found(host: Fresh) -> None:
    fresh = host()
    row = fresh.stage.add("a.pdf", b"a")
    fresh.install()
    fresh.wait_status("The NAS share is not mounted")
    time.sleep(6)  # the probing has come down to its slowest
    assert not fresh.stage.is_marked(row)
    assert list(fresh.stage.nas.iterdir()) == []
    fresh.mount_share()
    began = time.monotonic()
    wait_until(lambda: fresh.stage.is_marked(row), "marked", 15)
    print(f"from the mount to the mark: {time.monotonic() - began:.1f} s")

    assert all_safe(fresh)
    # The sandbox does not hold on to it.
    fresh.systemd.wait_until(lambda: fresh.run(f"umount {NAS}")[0] == 0, "unmounted", 5)
    fresh.wait_status("The NAS share is not mounted")
    assert (fresh.show("NRestarts"), fresh.show("ActiveState")) == ("0", "active")


def test_the_database_url_can_be_a_credential_that_only_root_may_read(host: Fresh) -> None:
    fresh = host(NAS_SYNCD_API_TOKEN="a-token-of-more-than-16")
    fresh.mount_share()
    url = f"{fresh.stage.settings.pop('DATABASE_URL')}".replace(str(fresh.stage.root), WORLD)
    token = fresh.stage.settings.pop("NAS_SYNCD_API_TOKEN")
    fresh.write_settings(mode=0o600)
    fresh.systemd.write("/etc/nas-syncd/credentials/DATABASE_URL", f"{url}\n", 0o600)
    fresh.systemd.write("/etc/nas-syncd/credentials/NAS_SYNCD_API_TOKEN", f"{token}\n", 0o600)
    fresh.must("chmod 700 /etc/nas-syncd/credentials")
    said = fresh.install()

    assert f"group finance read {SETTINGS}" in said
    assert fresh.must(f"stat -c '%a %U %G' {SETTINGS}") == "640 root finance"
    loads = fresh.must(f"grep ^LoadCredential= /etc/systemd/system/{UNIT}").splitlines()
    assert [line.partition(":")[0] for line in loads] == [
        "LoadCredential=DATABASE_URL",
        "LoadCredential=NAS_SYNCD_API_TOKEN",
    ]
    row = fresh.stage.add("a.pdf", b"a")
    wait_until(lambda: fresh.stage.is_marked(row), "marked", 20)
    assert str(token) not in fresh.journal() + said
    # Neither for root nor for a member of the group does it stand in the way of the commands.
    assert json.loads(fresh.must("nas-syncd status --json"))["synced"] == 1
    status, told = fresh.systemd.as_user("anna", "nas-syncd status --json")
    assert (status, json.loads(told)["synced"]) == (0, 1)
    config = fresh.must("nas-syncd config")
    assert re.search(r"^DATABASE_URL\t.*\tas a credential$", config, re.MULTILINE)
    assert "Nothing to change" in fresh.install()


def test_a_user_can_have_a_service_of_their_own(host: Fresh) -> None:
    fresh = host()
    fresh.mount_share()
    fresh.must(f"chown -R anna: {WORLD}")
    fresh.must(f"mount -o remount,uid=anna,gid=anna {NAS}; chown anna: {NAS}")
    fresh.write_settings("/home/anna/.config/nas-syncd/config.env")
    fresh.must(f"chown -R anna: /home/anna; rm {SETTINGS}")
    uid = fresh.must("id -u anna")
    status, said = fresh.run(f"systemctl start user@{uid}.service")
    assert status == 0, said
    bus = f"XDG_RUNTIME_DIR=/run/user/{uid}"

    status, said = fresh.systemd.as_user("anna", f"env {bus} nas-syncd service install --yes")
    assert status == 0, said
    assert "enable-linger anna" in said
    row = fresh.stage.add("a.pdf", b"a")
    wait_until(lambda: fresh.stage.is_marked(row), "marked", 20)
    status, said = fresh.systemd.as_user("anna", "nas-syncd status --json")
    assert json.loads(said)["daemon"] is not None
    status, said = fresh.systemd.as_user("anna", f"env {bus} nas-syncd service install --yes")
    assert "Nothing to change" in said
    unit = "/home/anna/.config/systemd/user/nas-syncd.service"
    status, said = fresh.systemd.as_user("anna", f"env {bus} systemd-analyze --user verify {unit}")
    assert (status, said) == (0, "")
    status, said = fresh.systemd.as_user("anna", f"env {bus} nas-syncd service uninstall --yes")
    assert status == 0, said
    assert "  /home/anna/.local/state/nas-syncd" in said.splitlines()
    assert fresh.run(f"test -e {unit}")[0] != 0
    assert fresh.run("pgrep -f nas_syncd")[0] != 0


def test_notifications_and_the_ping_get_out_of_the_sandbox(host: Fresh) -> None:
    pytest.importorskip("apprise")
    fresh = host()
    with Receiver(fresh.systemd.network) as receiver:
        fresh.stage.settings |= {
            "NAS_SYNCD_NOTIFY_URLS": receiver.url(),
            "NAS_SYNCD_PING_URL": f"http://127.0.0.1:{receiver.port}/ping",
        }
        fresh.write_settings()
        fresh.mount_share()
        fresh.stage.add("a.pdf", b"a")
        fresh.install()
        receiver.wait_pings(1)
        (fresh.stage.uploads / "link.pdf").symlink_to("a.pdf")
        fresh.stage.row("link.pdf")
        assert "documents need you (1)" in receiver.wait_messages(1)[0]["title"]
        fresh.must("nas-syncd test --notify")
        assert len(receiver.messages) == 2
