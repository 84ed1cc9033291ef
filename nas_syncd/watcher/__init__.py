"""The upload folder: hints of what arrives, looks at what is there, and how the folder is."""

from nas_syncd.watcher.folder import UploadFolder
from nas_syncd.watcher.paths import likeliest_row, relative_path, row_candidates
from nas_syncd.watcher.view import (
    Batch,
    Hint,
    UploadsDeniedError,
    UploadsHungError,
    UploadsMissingError,
    UploadsState,
    UploadsView,
)

__all__ = [
    "Batch",
    "Hint",
    "UploadFolder",
    "UploadsDeniedError",
    "UploadsHungError",
    "UploadsMissingError",
    "UploadsState",
    "UploadsView",
    "likeliest_row",
    "relative_path",
    "row_candidates",
]
