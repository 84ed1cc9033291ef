"""The English words of ``nas-syncd demo``."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "demo.title": "nas-syncd · demo",
    "demo.folder": "Everything happens in {path}",
    "demo.folder.kept": "The folder stays: {path}",
    "demo.folder.cleared": "The folder was removed (with --keep it stays)",
    "demo.folder.foreign": "This folder is not empty, and not a demo's: {path}",
    "demo.folder.busy": "A demo is running in this folder already: {path}",
    "demo.folder.denied": "Cannot write in this folder: {path}[[ ({detail})]]",
    "demo.missing": (
        "The demo makes PDFs and photographs, and {module} is missing. "
        "Install what it needs: {python} -m pip install fpdf2 pillow"
    ),
    "demo.adopt.failed": "The pretend NAS could not be adopted (exit {exit_code})[[: {detail}]]",
    "demo.daemon.died": "The daemon ended by itself (exit {exit_code})[[: {detail}]]",
    "demo.stop.badly": "The daemon did not stop as promised (exit {exit_code}, {seconds})",
    "demo.bare.written": (
        "Something was written into the bare folder while the NAS was away: {path}"
    ),
    "demo.late": "After waiting for {seconds}, not everything is safe",
    # -- what happens now
    "demo.story.papers": "Making the sample documents…",
    "demo.story.backlog": "Three documents are waiting already; the real daemon starts",
    "demo.story.arriving": "Documents arrive",
    "demo.story.metadata": (
        "Type and date are not recognised yet: the document waits, so as not to be misfiled"
    ),
    "demo.story.row_late": "One file came before its row in the database, another one after",
    "demo.story.twins": "Two people each send a scan.pdf: neither overwrites the other",
    "demo.story.hostile": "A name that a NAS cannot hold is made safe",
    "demo.story.away": (
        "THE NAS DISAPPEARS: in its place, a bare folder. Documents wait, "
        "nothing is written beside it"
    ),
    "demo.story.back": "THE NAS IS BACK: the daemon recognises it and catches up by itself",
    "demo.story.slowly": "A file arrives slowly, in pieces: it waits until it is whole",
    "demo.story.catching_up": "Nothing more arrives; the last documents are made safe",
    "demo.story.stopping": "Everything is safe; the daemon stops",
    "demo.story.ending": "The daemon stops",
    "demo.story.interrupted": "Interrupted: the daemon stops cleanly",
    "demo.story.checking": "Final check, independent of the daemon: all is read and compared",
    # -- labels
    "demo.label.nas": "NAS",
    "demo.label.documents": "Documents",
    "demo.count": "{safe} safe of {total}[[, {begun} arrived]]",
    "demo.nas.unknown": "not checked yet",
    "demo.nas.ok": "ready",
    "demo.nas.not_mounted": "not mounted (bare folder)",
    "demo.nas.missing": "missing",
    "demo.synced": "{name} → {destination}[[ ({size}, {ms} ms)]]",
    "demo.waiting": "{name}: {why}",
    "demo.page": "See it live in a browser while it lasts: {url}",
    "demo.mount": "NAS: {why}",
    "demo.why.wait.metadata": "recognition is not finished, it waits",
    "demo.why.wait.mount": "it waits for the NAS",
    "demo.why.wait.no_file": "its file is on its way",
    "demo.why.mount": "it waits for the NAS",
    # -- the final check
    "demo.table.document": "Document",
    "demo.table.place": "Place on the NAS",
    "demo.table.verdict": "Verdict",
    "demo.verdict.ok": "intact",
    "demo.verdict.gone": "row gone from the database",
    "demo.verdict.row": "row changed in the database",
    "demo.verdict.source": "original changed",
    "demo.verdict.missing": "NOT ON THE NAS",
    "demo.verdict.damaged": "DAMAGED ON THE NAS",
    "demo.verdict.unmarked": "not safe yet",
    "demo.stranger": "On the NAS, this file belongs to no document: {path}",
    "demo.right": (
        "All is right: {total} of {total} documents are on the NAS, in their place, "
        "equal byte for byte (SHA-256), and marked in the database"
    ),
    "demo.wrong": "Something is wrong: {safe} of {total} documents are safe",
    "demo.interrupted": "Interrupted: {safe} of {total} documents are safe on the NAS",
    "demo.took": "Took {seconds}",
}
