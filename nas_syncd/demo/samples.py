"""The sample documents: a household's papers over some months, and how each of them arrives.

Data only. ``at`` is when a document arrives, as a share of the script (0 its beginning, 1 its end);
the pretend NAS is away from :data:`AWAY_FROM` on.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

AWAY_FROM = 0.30
AWAY_SHARE = 0.22
AWAY_LONGEST_SECONDS = 6.5
HOSTILE_NAME = 'Facture "août": 50% <payé>?.pdf '


class Paper(StrEnum):
    """What a document looks like."""

    INVOICE = "invoice"
    TICKET = "receipt"
    PAYSLIP = "payslip"
    LETTER = "other"


class Manner(StrEnum):
    """How a document arrives."""

    AT_ONCE = "at_once"
    METADATA_LATE = "metadata_late"
    """The row says ``processing``; type and date come ``late`` seconds after."""
    ROW_LATE = "row_late"
    FILE_LATE = "file_late"
    SLOWLY = "slowly"
    """The row is there, the file grows piece by piece."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One document: its paper, its row, and how it arrives."""

    at: float
    paper: Paper
    issuer: str
    original_name: str
    upload: str
    """Its path below the upload folder, ``/``-separated."""
    doc_type: str | None
    date: dt.date | None
    cents: int
    user_id: int = 1
    manner: Manner = Manner.AT_ONCE
    late: float = 0.0
    """Seconds."""
    photo_width: int = 0
    """Pixels of a ticket's photograph; it is what makes a file big."""
    annexes: int = 0
    """Pages more of an invoice."""
    story: str | None = None
    """The key of the sentence that tells of it."""


def _on(month: int, day: int) -> dt.date:
    return dt.date(2025, month, day)


INVOICE, TICKET, PAYSLIP, LETTER = Paper.INVOICE, Paper.TICKET, Paper.PAYSLIP, Paper.LETTER
LATE, NO_ROW, NO_FILE, SLOWLY = (
    Manner.METADATA_LATE,
    Manner.ROW_LATE,
    Manner.FILE_LATE,
    Manner.SLOWLY,
)

# fmt: off
SAMPLES: tuple[Sample, ...] = (
    # A backlog: these are there before the daemon starts.
    Sample(-1, INVOICE, "EDF", "EDF janvier.pdf", "edf-janvier.pdf", "invoice", _on(1, 14), 8432),
    Sample(-1, PAYSLIP, "Atelier Morel SARL", "Paie janvier.pdf", "paie-2025-01.pdf", "payslip",
           _on(1, 31), 214_617),
    Sample(-1, TICKET, "Boulangerie Fournier", "ticket boulangerie.jpg", "IMG_0412.jpg", "receipt",
           _on(2, 1), 1385, photo_width=420),
    # One after the other.
    Sample(0.02, INVOICE, "Veolia Eau", "Eau T1.pdf", "veolia-t1.pdf", "INVOICE", _on(3, 28), 6148),
    Sample(0.06, TICKET, "Pharmacie du Marché", "pharmacie.jpg", "IMG_0431.jpg", "receipt",
           _on(3, 4), 2790, photo_width=560, user_id=2),
    Sample(0.09, INVOICE, "Garage Petit", "Révision Clio.pdf", "garage-revision.pdf", "invoice",
           _on(3, 11), 34_890, manner=LATE, late=2.0, annexes=3, story="demo.story.metadata"),
    Sample(0.12, PAYSLIP, "Atelier Morel SARL", "Paie février.pdf", "paie-2025-02.pdf", "payslip",
           _on(2, 28), 214_617, manner=LATE, late=1.2),
    Sample(0.15, INVOICE, "Cabinet dentaire Roux", "Dentiste.pdf", "dentiste.pdf", "invoice",
           _on(4, 2), 12_500, user_id=2, manner=NO_ROW, late=1.5, story="demo.story.row_late"),
    Sample(0.18, LETTER, "Mairie de Tours", "Attestation domicile.pdf", "attestation.pdf", "other",
           _on(4, 7), 0, manner=NO_FILE, late=1.0),
    Sample(0.21, INVOICE, "Papeterie Lenoir", "scan.pdf", "u1/scan.pdf", "invoice", _on(4, 9),
           4260, story="demo.story.twins"),
    Sample(0.21, INVOICE, "Librairie Caron", "scan.pdf", "u2/scan.pdf", "invoice", _on(4, 9),
           3195, user_id=2),
    Sample(0.25, INVOICE, "Serrurier Blanc", HOSTILE_NAME, HOSTILE_NAME, "invoice", _on(8, 19),
           18_700, story="demo.story.hostile"),
    Sample(0.27, LETTER, "Assurance maladie", "CON.pdf", "CON.pdf", None, _on(4, 22), 0, user_id=2),
    # Big, and in flight when the NAS goes away.
    Sample(0.295, TICKET, "Leroy Merlin", "chantier (photo).jpg", "IMG_0502.jpg", "receipt",
           _on(4, 26), 48_215, photo_width=2900),
    # While the NAS is away.
    Sample(0.33, INVOICE, "Free", "Free avril.pdf", "free-2025-04.pdf", "invoice", _on(4, 30),
           3999),
    Sample(0.36, TICKET, "Café des Halles", "café.jpg", "IMG_0517.jpg", "receipt", _on(5, 3), 740,
           photo_width=380, user_id=2),
    Sample(0.38, PAYSLIP, "Atelier Morel SARL", "Paie avril.pdf", "paie-2025-04.pdf", "payslip",
           _on(4, 30), 219_904, manner=LATE, late=1.5),
    Sample(0.40, INVOICE, "MAIF", "Assurance habitation.pdf", "maif-2025.pdf", "invoice", _on(5, 5),
           41_250),
    Sample(0.45, TICKET, "Carrefour City", "courses.jpg", "IMG_0530.jpg", "receipt", _on(5, 10),
           6307, photo_width=900),
    # After it has come back.
    Sample(0.62, TICKET, "SNCF Voyageurs", "train.jpg", "IMG_0544.jpg", "receipt", _on(5, 17),
           7450, photo_width=480, user_id=2),
    Sample(0.66, INVOICE, "Notaire Me Girard", "Acte (numérisé).pdf", "acte.pdf", "invoice",
           _on(5, 20), 96_000, manner=SLOWLY, late=2.0, annexes=150, story="demo.story.slowly"),
    Sample(0.72, LETTER, "Banque du Val", "Relevé.pdf", "releve.pdf", None, None, 0, user_id=2),
    Sample(0.78, INVOICE, "EDF", "EDF mai.pdf", "edf-mai.pdf", "invoice", _on(5, 14), 7918,
           manner=LATE, late=2.5, annexes=12),
    Sample(0.84, PAYSLIP, "Atelier Morel SARL", "Paie mai.pdf", "paie-2025-05.pdf", "payslip",
           _on(5, 31), 219_904),
    Sample(0.90, TICKET, "Station Total", "essence.jpg", "IMG_0561.jpg", "receipt", _on(6, 2),
           7122, photo_width=640),
    Sample(0.97, INVOICE, "Orange", "Orange juin.pdf", "orange-2025-06.pdf", "invoice", _on(6, 6),
           2499, user_id=2),
)
# fmt: on
