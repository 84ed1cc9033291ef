"""``nas-syncd adopt``: pair with the NAS that is mounted."""

from __future__ import annotations

import os
from pathlib import Path

from nas_syncd import __version__
from nas_syncd.cli import screen
from nas_syncd.cli.asking import ask
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import AnotherNasError, Exit
from nas_syncd.cli.outlook import quick_table
from nas_syncd.compose import site_from
from nas_syncd.errors import SyncError
from nas_syncd.messages import bytes_text, explain, render_error
from nas_syncd.pairing import Found, Meaning, adopt, look
from nas_syncd.settings import Settings, env_name
from nas_syncd.site import Site


def adopt_nas(call: Call, path: Path | None, *, yes: bool, new_nas: bool) -> int:
    """Look, show, ask where it matters, write the marker where there is none, remember.

    Raises:
        MountError: There is nothing to adopt.
        AnotherNasError: A NAS is known, this is another one, and *new_nas* is not given.
        DeclinedError: The person said no, or nobody could be asked.
    """
    given = os.path.abspath(os.path.expanduser(path)) if path is not None else None
    settings = call.settings(given)
    call.require(settings, "nas")
    site = site_from(settings)
    try:
        found = look(site)
        _show(call, found)
        _refuse_another(found, new_nas)
        if _wants_asking(found) and not yes:
            _ask(call, found)
        identity = adopt(site, found, __version__)
        call.say(call.text(f"adopt.done.{found.meaning}", nas=identity.nas, path=found.path))
        view = site.guard.check(write=True).result()
        _tell_inherited(call, settings, site)
        if given is not None:
            _tell_to_set(call, given)
        if view.reason is not None:
            call.complain(explain(view.reason, call.language))
            return Exit.NAS
        return Exit.DONE
    finally:
        site.close()


def _show(call: Call, found: Found) -> None:
    kind = call.text("adopt.network" if found.network else "adopt.local")
    file_system = f"{found.file_system or '?'} ({kind})"
    free = bytes_text(found.free_bytes, call.language)
    total = bytes_text(found.total_bytes, call.language)
    marker = found.nas or call.text("adopt.no_marker")
    rows = [
        (call.text("label.path"), found.path),
        (call.text("label.file_system"), file_system),
        (call.text("label.source"), found.source or "?"),
        (call.text("label.free"), call.text("label.free_of", left=free, total=total)),
        (call.text("label.marker"), marker),
    ]
    if found.known is not None and found.meaning is not Meaning.KNOWN:
        known = f"{found.known.nas} ({found.known.file_system}, {found.known.source})"
        rows.append((call.text("label.known_nas"), known))
    screen.facts(call, rows)


def _refuse_another(found: Found, new_nas: bool) -> None:
    """Another NAS wants to be named as such: the usual cause is that ours is not mounted."""
    if found.is_another and found.known is not None and not new_nas:
        raise AnotherNasError(path=found.path, expected=found.known.nas, found=found.nas)


def _wants_asking(found: Found) -> bool:
    return found.meaning is not Meaning.KNOWN and (
        not found.network or found.is_another or found.meaning is Meaning.CHANGED
    )


def _ask(call: Call, found: Found) -> None:
    if found.is_another:
        question = call.text("adopt.ask.another", path=found.path)
    elif found.meaning is Meaning.CHANGED and found.known:
        was = found.known.file_system
        question = call.text("adopt.ask.changed", was=was, now=found.file_system)
    else:
        question = call.text("adopt.ask.local", path=found.path)
    ask(call, question)


def _tell_inherited(call: Call, settings: Settings, site: Site) -> None:
    """Say how many flags are not proven on this NAS, when the database can be asked."""
    if not settings.database_url.get_secret_value():
        return
    try:
        table = quick_table(settings)
        try:
            marked = table.counts().synced
        finally:
            table.close()
    except SyncError as error:
        call.complain(call.text("adopt.not_counted", text=render_error(error, call.language)))
        return
    inherited = max(0, marked - site.journal.tally(table.scope, site.nas).proven)
    if inherited:
        call.say(call.count("adopt.inherited", inherited))


def _tell_to_set(call: Call, path: str) -> None:
    """A path given by hand is forgotten with the command: say where it has to be written."""
    if call.settings().nas_path != path:
        call.say(call.text("adopt.set", name=env_name("nas_local_path"), path=path))
