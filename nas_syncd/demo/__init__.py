"""``nas-syncd demo``: the real daemon on sample documents and a pretend NAS that goes away.

Everything lies in one folder; nothing is written outside it, and nothing of the user's own settings
gets in. The final check (:mod:`.check`) shares no code with the engine.
"""

from __future__ import annotations

from nas_syncd.demo.run import run_demo

__all__ = ["run_demo"]
