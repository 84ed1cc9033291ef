"""The command line. ``app`` says which commands there are, one module does each one's work.

Help and version come without the parts that work: settings, database and agents are imported by
the command that needs them.
"""

from __future__ import annotations

from nas_syncd.cli.app import main

__all__ = ["main"]
