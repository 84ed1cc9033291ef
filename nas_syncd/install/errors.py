"""What may keep the service from being installed, each with its words and its remedy."""

from __future__ import annotations

from nas_syncd.errors import ConfigurationError, SyncError


class ServiceError(SyncError):
    """A command of the service manager failed. Params: ``command``."""

    code = "service.failed"


class ServiceFileError(ServiceError):
    """A file or a folder refuses us. Params: ``path``."""

    code = "service.file"


class ForeignUnitError(ServiceError):
    """What stands there was not written by us. Params: ``path``."""

    code = "service.foreign"


class NoManagerError(ServiceError):
    """Neither systemd nor launchd can be asked."""

    code = "service.no_manager"


class CannotStartError(ServiceError):
    """This program cannot be started by the service's user. Params: ``program``, ``user``."""

    code = "service.cannot_start"


class NoSettingsError(ConfigurationError):
    """There is no settings file. Params: ``path``."""

    code = "service.no_settings"


class WhichUserError(ConfigurationError):
    """The upload folder is not there, so its owner is not known. Params: ``path``."""

    code = "service.which_user"


class NamelessUserError(ConfigurationError):
    """The upload folder's owner has no name on this host. Params: ``path``, ``uid``."""

    code = "service.nameless"


class UnknownUserError(ConfigurationError):
    """There is no such user or group. Params: ``name``."""

    code = "service.unknown_user"
