"""``nas-syncd test``: write, flush, read back and remove a small file of our own."""

from __future__ import annotations

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit
from nas_syncd.compose import site_from
from nas_syncd.errors import SyncError, Whose
from nas_syncd.messages import render_error
from nas_syncd.mount import mount_error
from nas_syncd.settings import Settings


def test_nas(call: Call) -> int:
    """Say whether the NAS can be read and written, as ``POST /sync/test`` does."""
    settings = call.settings()
    try:
        _try(settings)
    except SyncError as error:
        if error.whose in (Whose.CONFIGURATION, Whose.JOURNAL):
            raise
        message = render_error(error, call.language)
        if call.as_json:
            about = {"error": call.error_data(error)}
            call.answer({"success": False, "message": message, **about})
        else:
            call.complain(message)
        return Exit.NAS
    message = call.text("test.ok")
    if call.as_json:
        call.answer({"success": True, "message": message})
    else:
        call.say(message)
    return Exit.DONE


def _try(settings: Settings) -> None:
    """
    Raises:
        MountError: It cannot be used; says why.
        VerifyError: It gives back something else than was written.
    """
    site = site_from(settings)
    try:
        site.guard.check().result()
        site.guard.raise_unless_usable()
        identity = site.guard.identity
        try:
            site.agent.call(
                "test",
                root=settings.nas_path,
                nas=site.nas,
                file_system=identity.file_system if identity else "",
            )
        except SyncError as error:
            if error.whose is not Whose.MOUNT:
                raise
            site.guard.trouble(error)
            raise mount_error(site.guard.view) from error
    finally:
        site.close()
