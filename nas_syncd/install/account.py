"""The user that the system's service runs as.

The mount knows one user (``uid=``), the uploads must be readable to it. Who fits both as a rule is
the owner of the upload folder: the application's user.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from nas_syncd.install.errors import UnknownUserError


@dataclass(frozen=True, slots=True)
class Account:
    user: str
    """Its name: systemd (252) starts nothing for a number that has none [tried]."""
    group: str
    uid: int
    gid: int

    @property
    def identity(self) -> tuple[int, int, list[int]] | None:
        """What a child must become to be this user; None when we are it, or cannot become it."""
        if os.geteuid() != 0 or self.uid == 0:
            return None
        try:
            others = os.getgrouplist(pwd.getpwuid(self.uid).pw_name, self.gid)
        except KeyError:
            others = []
        return self.uid, self.gid, others


def account_of(wanted: str) -> Account:
    """Return the account that ``USER`` or ``USER:GROUP`` names.

    Raises:
        UnknownUserError: There is no such user or group on this host.
    """
    user, _, group = wanted.partition(":")
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise UnknownUserError(name=user) from None
    gid = _gid(group) if group else entry.pw_gid
    return Account(entry.pw_name, group or _group_name(gid), entry.pw_uid, gid)


def account_by_number(uid: int) -> Account | None:
    """Return the account of a user; None where it has no name on this host (a container's user)."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(entry.pw_name, _group_name(entry.pw_gid), uid, entry.pw_gid)


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdecimal():
            return int(group)
        raise UnknownUserError(name=group) from None


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
