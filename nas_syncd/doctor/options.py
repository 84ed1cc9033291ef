"""What the mount options mean for a copy that must not be lost. Pure.

By mount.cifs(8) and nfs(5), and by what the kernel shows of them in the mount table (cifs always
writes ``soft`` or ``hard``, NFS as well). The codes are texts ``doctor.mount.option.<code>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_syncd.doctor.findings import Level

CIFS = ("cifs", "smb3")
NFS = ("nfs", "nfs4")
LONG_ECHO_SECONDS = 60

Judgement = tuple[Level, str]

_CIFS: Mapping[str, Judgement] = {
    # fsync no longer asks the server to flush: the proof that a copy is on its disk is gone
    "nostrictsync": (Level.WRONG, "nostrictsync"),
    "hard": (Level.WARNING, "cifs_hard"),
    # file data is taken from the cache whether or not the server has lent it to us
    "cache=loose": (Level.WARNING, "cache_loose"),
    "fsc": (Level.WARNING, "local_cache"),
    "vers=1.0": (Level.WARNING, "smb1"),
    "sec=none": (Level.WARNING, "anonymous"),
}
_NFS: Mapping[str, Judgement] = {
    # nfs(5): a soft timeout can cause silent data corruption in certain cases
    "soft": (Level.WARNING, "nfs_soft"),
    "nocto": (Level.WARNING, "nfs_nocto"),
    "fsc": (Level.WARNING, "local_cache"),
}


def judge(file_system: str, options: Sequence[str]) -> list[tuple[Level, str, str]]:
    """Return (level, code, the option) for each that is not as it should be.

    Harmless, on purpose: ``noserverino`` (inode numbers of the NAS are never trusted), ``nounix``,
    ``nobrl``, ``cache=none``, and ``hard`` on NFS, whose waits can be killed.
    """
    known = _CIFS if file_system in CIFS else _NFS if file_system in NFS else {}
    found = [(*known[option], option) for option in dict.fromkeys(options) if option in known]
    echo = next((o for o in options if o.startswith("echo_interval=")), None)
    if file_system in CIFS and echo is not None:
        seconds = echo.partition("=")[2]
        if seconds.isdigit() and int(seconds) > LONG_ECHO_SECONDS:
            found.append((Level.WARNING, "echo", echo))
    return found
