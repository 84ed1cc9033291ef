"""What is on the sample documents: PDFs (fpdf2) and photographs of tickets (pillow).

Importing this module raises ``ModuleNotFoundError`` where one of the two is not installed.
"""

from __future__ import annotations

import datetime as dt
import io
import unicodedata

from PIL import Image, ImageDraw, ImageFont

# isort: split
# fpdf comes second: without pillow it would warn at length, and one line is enough.
from fpdf import FPDF

from nas_syncd.demo.samples import Paper, Sample

_TITLES = {
    Paper.INVOICE: "Facture",
    Paper.PAYSLIP: "Bulletin de paie",
    Paper.LETTER: "Attestation",
}
_LABELS = {
    Paper.INVOICE: ("Prestation", "Fournitures", "Frais de dossier"),
    Paper.PAYSLIP: ("Salaire de base", "Heures supplémentaires", "Prime d'ancienneté"),
}
_SHARES = (70, 22, 8)
"""How an amount is made up, in per cent."""
_LETTER_TEXT = (
    "Madame, Monsieur,\n\nNous attestons par la présente que les informations portées à notre "
    "connaissance sont exactes à la date de ce courrier. Ce document est à conserver.\n\n"
    "Veuillez agréer l'expression de nos salutations distinguées."
)
_VAT_DIVISOR = 6
"""A sixth of the price is value added tax (20 %)."""
_UNDATED = dt.date(2025, 6, 3)


def draw(number: int, sample: Sample) -> bytes:
    """Return *sample*'s file; *number* stands on it, so that no two are equal."""
    if sample.paper is Paper.TICKET:
        return _ticket(number, sample)
    return _pdf(number, sample)


def _pdf(number: int, sample: Sample) -> bytes:
    pdf = FPDF(format="A4")
    pdf.set_title(sample.original_name)
    pdf.add_page()
    _line(pdf, sample.issuer, style="B", size=16)
    _line(pdf, f"{_TITLES[sample.paper]} n° 2025-{number:04d}", style="B", size=22)
    _line(pdf, f"Le {sample.date or _UNDATED:%d/%m/%Y}")
    pdf.ln(8)
    if sample.paper is Paper.LETTER:
        pdf.set_font("Helvetica", size=12)
        pdf.multi_cell(0, 7, _LETTER_TEXT)
    else:
        _amounts(pdf, sample)
    for page in range(sample.annexes):
        pdf.add_page()
        _line(pdf, f"Annexe {page + 1}", style="B", size=14)
        for row in range(30):
            _line(pdf, f"{number}-{page}-{row}  relevé du poste {row * 37 + page} : conforme")
    return bytes(pdf.output())


def _line(pdf: FPDF, words: str, *, style: str = "", size: int = 11) -> None:
    pdf.set_font("Helvetica", style, size)
    pdf.cell(0, size * 0.6, words, new_x="LMARGIN", new_y="NEXT")


def _amounts(pdf: FPDF, sample: Sample) -> None:
    for label, cents in _parts(sample):
        pdf.set_font("Helvetica", size=12)
        pdf.cell(130, 9, label, border="B")
        pdf.cell(0, 9, f"{_euros(cents)} EUR", border="B", align="R", new_x="LMARGIN", new_y="NEXT")
    total = "Net à payer" if sample.paper is Paper.PAYSLIP else "Total TTC"
    pdf.set_font("Helvetica", "B", 14)
    pdf.cell(130, 12, total)
    pdf.cell(0, 12, f"{_euros(sample.cents)} EUR", align="R", new_x="LMARGIN", new_y="NEXT")
    if sample.paper is Paper.INVOICE:
        _line(pdf, f"dont TVA 20 % : {_euros(round(sample.cents / _VAT_DIVISOR))} EUR")


def _ticket(number: int, sample: Sample) -> bytes:
    """A photograph: grainy table, white slip, capitals without accents as tills print them."""
    width = sample.photo_width
    height, margin = width * 4 // 3, width // 8
    photo = Image.effect_noise((width, height), 45).convert("RGB")
    canvas = ImageDraw.Draw(photo)
    canvas.rectangle((margin, margin, width - margin, height - margin), fill=(250, 250, 244))
    font = ImageFont.load_default(size=max(12, width // 22))
    lines = [sample.issuer, "", f"LE {sample.date or _UNDATED:%d/%m/%Y}  No {number:04d}", ""]
    lines += [f"{label}   {_euros(cents)}" for label, cents in _parts(sample)]
    lines += ["", f"TOTAL   {_euros(sample.cents)} EUR", "CARTE BANCAIRE", "", "MERCI ET A BIENTOT"]
    step = max(16, width // 15)
    for row, line in enumerate(lines):
        canvas.text((margin * 3 // 2, margin + step * (row + 1)), _till(line), font=font, fill=0)
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=88)
    return data.getvalue()


def _parts(sample: Sample) -> list[tuple[str, int]]:
    if sample.paper is Paper.TICKET:
        vat = round(sample.cents / _VAT_DIVISOR)
        return [("Total HT", sample.cents - vat), ("TVA 20 %", vat)]
    cents = [sample.cents * share // 100 for share in _SHARES]
    cents[0] += sample.cents - sum(cents)
    return list(zip(_LABELS[sample.paper], cents, strict=True))


def _till(line: str) -> str:
    plain = unicodedata.normalize("NFKD", line).encode("ascii", "ignore").decode("ascii")
    return plain.upper()


def _euros(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02d}"
