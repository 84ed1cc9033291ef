"""The daemon's desk: what it tells, and what it takes on, while it works.

::

    desk     who asks comes here            counted  how many documents, known at once
    runs     a person's wishes under way    lists    documents by state, in pages
    crew     threads for questions          views    models as JSON
"""

from nas_syncd.desk.counted import CountedTable
from nas_syncd.desk.desk import Desk, NoFileError, UnknownDocumentError
from nas_syncd.desk.lists import CursorError, Wanted
from nas_syncd.desk.runs import CUT_SHORT, Run, TooManyRunsError

__all__ = [
    "CUT_SHORT",
    "CountedTable",
    "CursorError",
    "Desk",
    "NoFileError",
    "Run",
    "TooManyRunsError",
    "UnknownDocumentError",
    "Wanted",
]
