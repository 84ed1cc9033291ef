"""The fault lab: it tries to lose a document, to set a flag that lies, to leave one stuck.

``python -m tests.faults`` (``make faults``) tries every case of every group and prints a table;
``make test`` tries some of each. A case is one call site × one stage × one error or event:
another seed is no other case.
"""
