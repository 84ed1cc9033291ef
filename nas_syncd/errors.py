"""Every error nas-syncd raises on purpose, in one tree.

::

    SyncError
    ├── ConfigurationError            settings are wrong; exit 78, nobody waits for it
    │   └── SchemaError               the documents table lacks a column we need
    │       ├── NoTableError          it is not there at all
    │       ├── PrimaryKeyError       its key is not the one column that we take for the id
    │       └── ColumnTypeError       a column cannot hold what we write
    ├── MountError                    the NAS; pauses the queue, costs no document an attempt
    │   ├── NasNotConfiguredError     no path is set
    │   ├── NasMissingError           the path does not exist
    │   ├── NasNotMountedError        the path is there, the marker is not
    │   ├── NasForeignError           another NAS's marker stands there
    │   ├── NasSuspectError           our marker, on another kind of file system
    │   ├── NasDeniedError            the server or the system refuses us
    │   │   └── NasPrivacyError       macOS's privacy settings do
    │   ├── NasReadOnlyError
    │   ├── NasFullError
    │   ├── NasHungError              no answer within the deadline
    │   └── NasDownError              the server is unreachable, or the mount lost it
    ├── UploadsError                  the upload folder as a whole; nobody's attempt counts
    ├── DatabaseUnavailableError      the database; receipts are kept, marks wait
    ├── JournalError                  our own state directory
    │   └── StateDirectoryBusyError   another daemon owns it
    └── DocumentError                 this one document; parked and retried, others go on
        ├── SourceMissingError
        ├── SourceChangedError        it grew or changed while it was read
        ├── SourceRefusedError        a link, a device, a FIFO, or outside the upload folder
        ├── SourceUnreadableError
        ├── PlaceTakenError           every name we may use is taken by something else
        ├── PlaceBlockedError         a file or a link stands where a folder must be
        ├── PlaceDeniedError          the folder on the NAS refuses us (the NAS as a whole does not)
        ├── PlaceBusyError            another installation files something there at this moment
        ├── VerifyError               what the NAS gave back is not what was written
        ├── NoRoomError               it is larger than what is free; smaller ones still fit
        ├── NameRefusedError          the NAS refuses the name
        └── UnfilableError            neither ``date`` nor ``created_at``

``code`` is stable: it stands in the journal, in ``--json``, in logs, and it is the key of the
message and the remedy in :mod:`nas_syncd.messages`. ``params`` fill the message's blanks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Whose(StrEnum):
    """Whose trouble an error is; it decides who waits."""

    CONFIGURATION = "configuration"
    MOUNT = "mount"
    UPLOADS = "uploads"
    DATABASE = "database"
    JOURNAL = "journal"
    DOCUMENT = "document"


class SyncError(Exception):
    """Base of the tree. ``params`` are plain values (str, int, float, bool, None)."""

    code: ClassVar[str] = "internal"
    whose: ClassVar[Whose] = Whose.DOCUMENT
    retryable: ClassVar[bool] = True

    def __init__(self, detail: str = "", **params: object) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.params = params


class ConfigurationError(SyncError):
    """A setting is wrong. ``detail`` is one line: which, what was given, what is allowed."""

    code = "configuration.invalid"
    whose = Whose.CONFIGURATION
    retryable = False


class SchemaError(ConfigurationError):
    """The documents table is not as it must be. Params: ``table``, ``missing``."""

    code = "configuration.schema"


class NoTableError(SchemaError):
    """Params: ``table``."""

    code = "configuration.no_table"


class PrimaryKeyError(SchemaError):
    """Params: ``table``, ``key`` (the column it must be), ``found`` (None: there is no key)."""

    code = "configuration.primary_key"


class ColumnTypeError(SchemaError):
    """Params: ``table``, ``column``, ``type``."""

    code = "configuration.column_type"


class MountError(SyncError):
    """The NAS cannot be used now. Pauses the queue; no document's attempt is counted."""

    code = "mount.error"
    whose = Whose.MOUNT


class NasNotConfiguredError(MountError):
    code = "mount.unconfigured"


class NasMissingError(MountError):
    code = "mount.missing"


class NasNotMountedError(MountError):
    code = "mount.not_mounted"


class NasForeignError(MountError):
    code = "mount.foreign"


class NasSuspectError(MountError):
    code = "mount.suspect"


class NasDeniedError(MountError):
    code = "mount.denied"


class NasPrivacyError(NasDeniedError):
    """macOS keeps programs from network volumes until a person allows it. Params: ``program``."""

    code = "mount.privacy"


class NasReadOnlyError(MountError):
    code = "mount.read_only"


class NasFullError(MountError):
    code = "mount.full"


class NasHungError(MountError):
    code = "mount.hung"


class NasDownError(MountError):
    code = "mount.down"


class UploadsError(SyncError):
    """The upload folder as a whole is not there, not readable, or hung."""

    code = "uploads.error"
    whose = Whose.UPLOADS


class DatabaseUnavailableError(SyncError):
    """The database cannot be reached or did not answer in time."""

    code = "database.unavailable"
    whose = Whose.DATABASE


class JournalError(SyncError):
    """Our own state directory or journal cannot be used."""

    code = "journal.error"
    whose = Whose.JOURNAL


class StateDirectoryBusyError(JournalError):
    """Another daemon owns the state directory. Params: ``pid``, ``path``."""

    code = "journal.busy"
    retryable = False


class DocumentError(SyncError):
    """This one document cannot be filed now; the others are not concerned."""

    code = "document.error"


class SourceMissingError(DocumentError):
    code = "source.missing"


class SourceChangedError(DocumentError):
    code = "source.changed"


class SourceRefusedError(DocumentError):
    """Never opened. Params: ``kind`` (``link``, ``directory``, ``special``, ``outside``)."""

    code = "source.refused"
    retryable = False


class SourceUnreadableError(DocumentError):
    code = "source.unreadable"


class PlaceTakenError(DocumentError):
    code = "place.taken"


class PlaceBlockedError(DocumentError):
    code = "place.blocked"


class PlaceDeniedError(DocumentError):
    code = "place.denied"


class PlaceBusyError(DocumentError):
    """Another installation is filing something at this very place."""

    code = "place.busy"


class NoRoomError(DocumentError):
    """This one is larger than what is free on a NAS that is not full. Params: ``path``, ``free``,
    ``needed``. No trouble of the NAS: a sparse file of any size would keep everybody waiting."""

    code = "place.no_room"


class VerifyError(DocumentError):
    code = "copy.verify"


class NameRefusedError(DocumentError):
    code = "place.name_refused"


class UnfilableError(DocumentError):
    code = "document.unfilable"
    retryable = False


def _tree(root: type[SyncError]) -> dict[str, type[SyncError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


BY_CODE: dict[str, type[SyncError]] = _tree(SyncError)
"""Every code with its class: how an error crosses a process boundary and comes back itself."""


def error_from(code: str, detail: str = "", **params: object) -> SyncError:
    """Return the error that *code* names; an unknown code gives a plain :class:`SyncError`."""
    return BY_CODE.get(code, SyncError)(detail, **params)
