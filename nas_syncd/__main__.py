"""``nas-syncd`` and ``python -m nas_syncd``."""

from __future__ import annotations

import sys

from nas_syncd.cli import main as command


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(command())


if __name__ == "__main__":
    main()
