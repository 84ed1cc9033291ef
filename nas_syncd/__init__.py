"""nas-syncd: sees every finance document to safety on the NAS, and can prove it."""

from __future__ import annotations

__version__ = "0.1.0"
