"""What the API answers: every key, with its meaning. The OpenAPI document is made from these.

Times are ISO 8601 in UTC with ``Z`` or an offset, except ``last_sync``, which the backend's
clients know without a zone. Sizes are bytes. Texts are in the language of the settings, or in the
one that ``?lang=fr`` or ``?lang=en`` asks for.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DocumentState = Literal["safe", "inherited", "pending", "waiting", "copying", "failed", "problem"]


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


class Status(BaseModel):
    """How many documents there are, and how many of them are on the NAS."""

    model_config = _example(
        total_documents=150,
        synced=142,
        pending=8,
        sync_percentage=94.7,
        last_sync="2024-01-15T14:30:00",
        nas_configured=True,
        inherited=0,
        waiting=8,
        problems=0,
        reason=None,
    )

    total_documents: int = Field(description="Rows with a file.")
    synced: int = Field(description="Rows whose flag is true.")
    pending: int
    sync_percentage: float = Field(description="One decimal; 0.0 without documents.")
    last_sync: str | None = Field(description="UTC, without a zone.")
    nas_configured: bool = Field(description="The NAS can be used now.")
    inherited: int = Field(description="Flags that were set before us, and not proven yet.")
    waiting: int
    problems: int = Field(description="Documents that a person should look at.")
    reason: str | None = Field(description="Why the NAS cannot be used, and what to do.")


class Config(BaseModel):
    """What is set, and whether it can be used now."""

    model_config = _example(
        configured=True,
        nas_host=True,
        nas_user=True,
        nas_path=True,
        host="SMB Mount",
        path="/app/nas_backup",
        path_exists=True,
        path_writable=True,
        state="ok",
        reason=None,
    )

    configured: bool
    nas_host: bool
    nas_user: bool
    nas_path: bool
    host: str
    path: str
    path_exists: bool
    path_writable: bool
    state: str
    reason: str | None


class Reason(BaseModel):
    """Why: a stable code, a sentence, and what to do about it where there is something to do."""

    code: str
    params: dict[str, Any] = Field(description="What fills the blanks of the sentence.")
    text: str
    remedy: str | None


class Outcome(BaseModel):
    """How one piece of work ended, in words."""

    model_config = _example(success=True, message="Montage NAS accessible en lecture/écriture")

    success: bool
    message: str


class OutcomeWhy(Outcome):
    """The same, with the reason for programs; from the daemon."""

    reason: Reason | None = Field(description="Why not; null on success.")


class RunResult(BaseModel):
    """``total`` = ``synced`` + ``failed``; what waits for its metadata is in neither."""

    model_config = _example(
        total=8, synced=7, failed=1, errors=["Document 42: Permission refusée"], waiting=0
    )

    total: int
    synced: int
    failed: int
    errors: list[str]
    waiting: int


class Ended(BaseModel):
    """One document's ending in a run."""

    id: str
    name: str | None
    ending: str = Field(description="safe, failed, waiting, inherited, gone, unknown or recopied.")
    text: str
    error: bool = Field(description="It is among the errors.")


class Run(BaseModel):
    """A run that was asked for: under way, or what became of it."""

    run: str
    url: str
    events: str
    state: Literal["running", "done", "stopped"]
    reason: Reason | None = Field(description="Why it was stopped.")
    expected: int = Field(description="How many documents it will look at, about.")
    done: int
    total: int
    synced: int
    failed: int
    waiting: int
    checked: int = Field(description="Inherited documents that were read on the NAS.")
    proven: int = Field(description="Of these: the bytes are equal.")
    recopied: int = Field(description="Of these: the flag was taken back, to copy them again.")
    unverifiable: int = Field(description="Of these: there is nothing to compare with.")
    errors: list[str] = Field(description="The first 100; `ended` has all of them.")
    ended: list[Ended] = Field(description="The endings after ?after=N, at most 1000.")
    next: int = Field(description="The N to ask for next.")
    begun_at: str
    ended_at: str | None


class Mount(BaseModel):
    """The NAS as last looked at."""

    state: str
    usable: bool
    path: str
    source: str | None
    file_system: str | None
    since: str
    checked_at: str | None
    free_bytes: int | None
    total_bytes: int | None
    nas: str | None
    reason: Reason | None


class Uploads(BaseModel):
    """The upload folder as last looked at."""

    state: str
    path: str
    since: str
    watching: str | None
    reason: Reason | None
    warning: Reason | None


class Database(BaseModel):
    """The backend's database."""

    ok: bool
    since: str | None = Field(description="Since when it has been away.")
    reason: Reason | None


class Flying(BaseModel):
    """A document on its way to the NAS."""

    id: str
    name: str | None
    path: str
    side: str
    done: int = Field(description="Bytes; written and read back count half each.")
    total: int


class Unclaimed(BaseModel):
    """A file that no row names."""

    path: str
    seconds: int


class Fate(BaseModel):
    """What became of one document in one go."""

    seq: int
    at: str
    id: str
    name: str | None
    kind: Literal["synced", "waiting", "failed", "refused", "nothing"]
    reason: Reason | None
    destination: str | None
    bytes: int | None
    seconds: float | None
    sha256: str | None
    adopted: bool


class Now(BaseModel):
    """Everything that the page shows at a glance."""

    version: str
    pid: int
    started_at: str
    at: str
    language: str
    mount: Mount
    uploads: Uploads
    database: Database
    status: Status | None = Field(description="Null while the database was never reached.")
    in_flight: list[Flying]
    queued: int
    waiting: int
    no_row: list[Unclaimed]
    recent: list[Fate] = Field(description="The last fates, the newest first.")


class DocumentLine(BaseModel):
    """One document in a list."""

    id: str
    name: str | None
    file_path: str
    user_id: str | None
    doc_type: str | None
    date: str | None
    state: DocumentState
    since: str | None
    reason: Reason | None
    attempts: int
    next_attempt: str | None
    destination: str | None
    synced_at: str | None


class DocumentPage(BaseModel):
    """One page of documents. ``cursor`` is null on the last one."""

    documents: list[DocumentLine]
    cursor: str | None


class Queued(BaseModel):
    """A document that was put at the head of the queue."""

    id: str
    queued: bool
    url: str


class Cell(BaseModel):
    """Documents of one month and type."""

    documents: int
    safe: int = Field(description="Their flag is true.")
    missing: int


class Month(BaseModel):
    month: str = Field(description="2024-01; empty for documents without any date.")
    types: dict[str, Cell]


class Months(BaseModel):
    """Completeness by month (the newest first) and type."""

    types: list[str] = Field(description="The types with a folder of their own, and other.")
    months: list[Month]
    again: float = Field(
        description="Seconds until they are counted anew, where they were remembered; else 0."
    )


class Health(BaseModel):
    status: Literal["ok", "stuck"]
    version: str
    uptime_seconds: float


class Check(BaseModel):
    ok: bool
    state: str
    reason: Reason | None


class Readiness(BaseModel):
    ready: bool
    checks: dict[str, Check]


class Problem(BaseModel):
    """Every error answer: ``detail`` for a person, ``code`` for a program."""

    detail: str
    code: str
