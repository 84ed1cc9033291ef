"""A second Linux kernel as a process (User-Mode Linux), which has cifs where the host has not.

Its root is this machine's own file tree (hostfs); ``/mnt`` and ``/run`` are its own, in memory. It
boots in some seconds, has one processor, and its system calls are slow: measure no time there.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import parts

MEMORY = "1G"
BOOT_SECONDS = 60.0
NEVER_CAME_SO_FAR = 125

INIT = """\
#!/bin/bash
export PATH=/run:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TMPDIR=/mnt/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t tmpfs run /run; mount -t tmpfs mnt /mnt; mkdir -p /mnt/tmp /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm; mount -t devpts devpts /dev/pts
ip link set lo up
mkdir -p /mnt/kmod/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" "/mnt/kmod/lib/modules/$(uname -r)"
printf '#!/bin/sh\\nexec /usr/sbin/modprobe -d /mnt/kmod "$@"\\n' > /run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
for module in cifs loop sch_netem; do /run/modprobe $module; done
cd {cwd}
{command} < /dev/null > {folder}/out 2>&1
echo $? > {folder}/status.new
mv {folder}/status.new {folder}/status
sleep 60
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended in there, and what it said."""

    status: int
    output: str


def missing() -> str | None:
    """Return why there can be no second kernel here; None when there can."""
    if os.geteuid() != 0:
        return "needs root: the second kernel mounts"
    for name, package in (
        ("linux.uml", "user-mode-linux"),
        ("modprobe", "kmod"),
        ("ip", "iproute2"),
    ):
        if not any((Path(folder) / name).exists() for folder in ("/usr/bin", "/usr/sbin", "/sbin")):
            return f"{name} is not installed: make lab (Debian package {package})"
    if needs_help() and not shutil.which("cc"):
        return "cc is not installed: on a processor with AMX the second kernel needs a little help"
    return None


def needs_help() -> bool:
    """Whether the processor has registers that User-Mode Linux does not know of."""
    return " amx_tile" in Path("/proc/cpuinfo").read_text()


def help_it(folder: Path) -> dict[str, str]:
    """Return the variables with which it starts on this processor, whichever that is."""
    if not needs_help():
        return {}
    source, library = Path(__file__).with_name("wide_registers.c"), folder / "wide_registers.so"
    parts.must(*("cc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", str(library)), str(source))
    return {"LD_PRELOAD": str(library)}


def run(command: Sequence[str], folder: Path, cwd: Path, seconds: float) -> Ran:
    """Boot, run *command* as root, and kill the machine: in a dead mount nothing ends by itself.

    Args:
        folder: Of the host, for what passes between the two.
        seconds: For all of it.
    """
    reason = missing()
    if reason is not None:
        parts.missing(reason)
    init = folder / "init"
    words = {"command": shlex.join(command), "folder": shlex.quote(str(folder))}
    init.write_text(INIT.format(cwd=shlex.quote(str(cwd)), **words))
    init.chmod(0o755)
    machine = subprocess.Popen(
        [
            *("linux.uml", f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs"),
            *("rootflags=/", "rw", "quiet", "loglevel=1", "con=null", "con0=null,fd:1"),
            *(f"init={init}", f"umid=nas-{os.getpid()}-{folder.name[-8:]}", f"uml_dir={folder}/"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **help_it(folder), "TMPDIR": "/dev/shm"},
        start_new_session=True,
    )
    out, status = folder / "out", folder / "status"
    try:
        with contextlib.suppress(TimeoutError):
            parts.wait_until(
                lambda: status.exists() or machine.poll() is not None, "it has ended", seconds
            )
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(machine.pid, signal.SIGKILL)
        machine.wait(10)
    said = out.read_text(errors="replace") if out.exists() else "it did not boot"
    if not status.exists():
        return Ran(NEVER_CAME_SO_FAR, f"{said}\n(not ended after {seconds:g} s)")
    return Ran(int(status.read_text()), said)
