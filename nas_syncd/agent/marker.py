"""The NAS's root and its marker: opening, reading, recognising. Runs in the NAS agent.

The marker is a small JSON file with the UUID of the NAS. It is what tells the share from the bare
folder that stays when the share is not mounted.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys

from nas_syncd.errors import (
    MountError,
    NasDeniedError,
    NasDownError,
    NasForeignError,
    NasMissingError,
    NasNotMountedError,
    NasPrivacyError,
    NasSuspectError,
)
from nas_syncd.mounttable import MountPoint, mount_id
from nas_syncd.names import MARKER_NAME
from nas_syncd.nasfs import Calls, Step, is_privacy

MARKER_BYTES = 4096
_PLAIN_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What we take for a NAS's UUID. It comes to stand in the journal, in logs and in answers."""


def open_root(path: str, step: Step, calls: Calls) -> int:
    """Open the NAS's root by path.

    Raises:
        MountError: It is missing, refused or unreachable.
    """
    step("nas")
    try:
        return calls.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise root_error(error, path) from error


def root_error(error: OSError, path: str) -> MountError:
    number = error.errno or 0
    detail = f"{error.strerror} ({errno.errorcode.get(number, number)}): {path}"
    if number in (errno.ENOENT, errno.ENOTDIR):
        return NasMissingError(detail, path=path)
    if is_privacy(number):
        return NasPrivacyError(detail, path=path, program=sys.executable)
    if number in (errno.EACCES, errno.EPERM):
        return NasDeniedError(detail, path=path)
    return NasDownError(detail, path=path)


def read_marker(root: int | str, step: Step, calls: Calls) -> str | None:
    """Return the UUID in the marker below *root*; None when there is no marker.

    Raises:
        MountError: The mount does not answer as a mount should.
        NasForeignError: A file of that name is there and is no marker.
    """
    path = f"{root}/{MARKER_NAME}" if isinstance(root, str) else MARKER_NAME
    return _read_marker(path, None if isinstance(root, str) else root, step, calls)[0]


def _read_marker(
    path: str, dir_fd: int | None, step: Step, calls: Calls
) -> tuple[str | None, str | None]:
    """Return the UUID, and the id of the mount that the marker lies on."""
    step("nas")
    try:
        fd = calls.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return None, None
    except OSError as error:
        raise marker_error(error, path) from error
    try:
        step("nas")
        text = calls.read(fd, MARKER_BYTES)
        mount = mount_id(fd)
    except OSError as error:
        raise marker_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # it was only read: nothing to lose
            calls.close(fd)
    nas = uuid_in(text)
    if nas is None:
        raise NasForeignError(f"no marker of ours: {path}", path=path, found="?")
    return nas, mount


def uuid_in(text: bytes) -> str | None:
    """Return the UUID in a marker's *text*; None when it is no marker of ours."""
    try:
        nas = json.loads(text)["nas"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return nas if isinstance(nas, str) and _PLAIN_WORD.fullmatch(nas) else None


def marker_error(error: OSError, path: str) -> MountError:
    if error.errno in (errno.ELOOP, errno.EISDIR):  # a link, a folder: no marker of ours
        return NasForeignError(f"{error.strerror}: {path}", path=path, found="?")
    return root_error(error, path)


def recognise(
    path: str, nas: str, found: str | None, file_system: str, mount: MountPoint | None
) -> None:
    """Raise the :class:`MountError` that says why this is not our NAS, if it is not."""
    if found is None:
        raise NasNotMountedError(path, path=path)
    if found != nas:
        raise NasForeignError(path, path=path, found=found, expected=nas)
    if mount and file_system and mount.file_system != file_system:
        raise NasSuspectError(path, path=path, found=mount.file_system, expected=file_system)


def check_marker_by_path(
    path: str, nas: str, expected_mount: str | None, step: Step, calls: Calls
) -> None:
    """The identity check after the renames: by path, so that a changed mount is seen.

    Raises:
        MountError: The path no longer leads to the NAS that we wrote to.
    """
    found, mount = _read_marker(f"{path}/{MARKER_NAME}", None, step, calls)
    recognise(path, nas, found, "", None)
    if expected_mount is not None and mount != expected_mount:
        raise NasNotMountedError(f"{path}: mounted anew meanwhile", path=path)


def exists(name: str, dir_fd: int, calls: Calls) -> bool:
    """Whether something stands at *name*.

    Raises:
        OSError: It cannot be said; that is never a no.
    """
    try:
        calls.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True
