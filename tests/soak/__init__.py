"""A long life: the real daemon for an hour, with everything that can happen to it happening.

``python -m tests.soak`` (``make soak``); ``--help`` says more, docs/testing.md what it proves.
"""
