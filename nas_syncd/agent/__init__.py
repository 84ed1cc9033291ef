"""The child processes that do all the I/O on the NAS and on the upload folder.

A thread that is stuck in a dead mount cannot be cancelled, and it keeps the interpreter from
ending; a child process can be killed and left behind. ``process`` is the parent's side; ``child``,
``wire`` and the two roles run in the child and import the standard library only, so that
a child is small and starts quickly.
"""
