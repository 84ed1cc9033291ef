"""A look at everything on this host that nas-syncd needs, with a remedy for what is wrong.

::

    examination   all rooms at once, each with a deadline
    patient       what is given, and what one room finds out for another
    findings      one line, its level, its remedy

    interpreter  configuration  state  database + marks  uploads + watching
    mount + options  daemon  service  clock                           the rooms

The doctor disturbs nobody: it takes no lock, adopts nothing, remembers nothing, and changes
nothing in the database. On the NAS it writes what ``nas-syncd test`` does, and removes it again.
"""

from nas_syncd.doctor.examination import examine
from nas_syncd.doctor.findings import Finding, Level
from nas_syncd.doctor.patient import Patient, ServiceState

__all__ = ["Finding", "Level", "Patient", "ServiceState", "examine"]
