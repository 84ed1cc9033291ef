"""systemd's journal: what is sent to it, and what ``nas-syncd logs`` makes of what it holds."""

from __future__ import annotations

import io
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nas_syncd.logs import configure_logging, get_logger, hide, shutdown_logging
from nas_syncd.logs.journald import Journal, encode
from nas_syncd.logs.safe import forget_secrets
from tests.cli_desk import Desk, make_desk

log = get_logger("nas_syncd.tests")


@pytest.fixture(autouse=True)
def _as_before():
    yield
    shutdown_logging()
    forget_secrets()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch) -> Iterator[socket.socket]:
    """A datagram socket at the journal's place."""
    path = tmp_path / "socket"
    monkeypatch.setattr("nas_syncd.logs.journald.SOCKET", path)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as made:
        made.bind(str(path))
        made.settimeout(5)
        yield made


def decode(data: bytes) -> dict[str, str]:
    """Return the fields of one message, as systemd's documentation of the protocol reads."""
    fields = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size :]
            assert data.startswith(b"\n")
            data = data[1:]
        fields[name.decode()] = value.decode()
    return fields


def received(journal: socket.socket) -> dict[str, str]:
    return decode(journal.recv(2**20))


def test_people_get_a_sentence_and_programs_the_record(journal):
    stream = io.StringIO()
    configure_logging(stream=stream, journald=True, language="en")
    log.warning("document.failed", document_id="42", name="é.pdf", code="copy.verify", text="No.")
    fields = received(journal)
    record = json.loads(fields.pop("SYNCD_RECORD"))
    assert fields == {
        "MESSAGE": "! é.pdf (42): No.",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "nas-syncd",
        "SYNCD_EVENT": "document.failed",
        "DOCUMENT_ID": "42",
    }
    assert record["code"] == "copy.verify"
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")],
)
def test_each_level_is_the_journals_own(journal, level, priority):
    configure_logging("debug", stream=io.StringIO(), journald=True)
    getattr(log, level)("an.event")
    assert received(journal)["PRIORITY"] == priority


def test_no_value_can_forge_a_field_and_no_secret_gets_there(journal):
    hide("hunter22")
    configure_logging(stream=io.StringIO(), journald=True)
    log.info("an.event", document_id="1\n_SYSTEMD_UNIT=x\nPRIORITY=0", a="hunter22 \n\x1b[2J")
    fields = received(journal)
    assert set(fields) == {
        *("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "SYNCD_EVENT"),
        *("SYNCD_RECORD", "DOCUMENT_ID"),
    }
    assert fields["PRIORITY"] == "6"
    assert fields["DOCUMENT_ID"] == "1\n_SYSTEMD_UNIT=x\nPRIORITY=0"
    assert "hunter22" not in str(fields)
    assert "\x1b" not in fields["MESSAGE"]


def test_a_traceback_is_one_entry(journal):
    configure_logging(stream=io.StringIO(), journald=True)
    try:
        raise ValueError("a\nb")
    except ValueError:
        log.exception("went.wrong")
    message = received(journal)["MESSAGE"]
    assert message.startswith("✗ went.wrong\nTraceback")
    assert message.endswith("ValueError: a\nb")


def test_what_is_too_long_for_a_datagram_goes_to_the_stream_with_its_level(journal):
    stream = io.StringIO()
    configure_logging(stream=stream, journald=True)
    log.error("huge.event", text="It is huge.", values=["x" * 8000] * 150)
    assert stream.getvalue().startswith("<3>✗ It is huge.  event=huge.event values=")
    log.error("next.event")
    assert received(journal)["MESSAGE"] == "✗ next.event"


def test_where_json_is_asked_for_the_stream_gets_it_and_the_socket_nothing(journal):
    stream = io.StringIO()
    configure_logging(fmt="json", stream=stream, journald=True)
    log.info("an.event")
    assert json.loads(stream.getvalue().removeprefix("<6>"))["event"] == "an.event"
    journal.setblocking(False)
    with pytest.raises(BlockingIOError):
        journal.recv(1)


def test_a_journal_that_stands_still_holds_nobody_up(journal):
    sender = Journal()
    record = {"level": "info", "event": "e"}
    started = time.monotonic()
    results = [sender.send(record, "x" * 1000, "{}") for _ in range(3000)]
    assert time.monotonic() - started < 5
    assert all(results)  # dropped, and not tried by the stream, which the same journal reads
    while _drained(journal):
        pass
    assert sender.send(record, "back", "{}")
    assert received(journal)["MESSAGE"] == "back"
    sender.close()


def _drained(journal: socket.socket) -> bool:
    journal.setblocking(False)
    try:
        return bool(journal.recv(2**20))
    except BlockingIOError:
        journal.settimeout(5)
        return False


def test_a_journal_that_was_restarted_is_found_again(journal, tmp_path, monkeypatch):
    sender = Journal()
    record = {"level": "info", "event": "e"}
    assert sender.send(record, "one", "{}")
    journal.close()
    (tmp_path / "socket").unlink()
    assert not sender.send(record, "nobody", "{}")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as fresh:
        fresh.bind(str(tmp_path / "socket"))
        fresh.settimeout(5)
        assert sender.send(record, "two", "{}")
        assert decode(fresh.recv(2**16))["MESSAGE"] == "two"
    sender.close()


def test_a_value_with_a_line_end_is_sent_with_its_length():
    assert encode({"A": "b", "C": "d\ne"}) == b"A=b\nC\n\x03\x00\x00\x00\x00\x00\x00\x00d\ne\n"


# -- reading it --------------------------------------------------------------------------------

STAND_IN = """#!{python}
import json, sys, time
from pathlib import Path
here = Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + chr(10))
lines = (here / "journal").read_text().splitlines()
follow = "--follow" in arguments
for argument in arguments:
    if argument.startswith("--lines=") and argument != "--lines=all":
        lines = lines[len(lines) - int(argument[8:]):]
    if argument.startswith("--after-cursor="):
        at = [json.loads(line)["__CURSOR"] for line in lines].index(argument[15:])
        lines = lines[at + 1:] + (here / "more").read_text().splitlines()
for line in lines:
    print(line, flush=True)
if follow:
    time.sleep(60)
"""
"""Stands for journalctl, which needs a systemd: prints what the real one printed."""


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "journalctl").write_text(STAND_IN.format(python=sys.executable))
    (bin_ / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_), prepend=":")
    for made in make_desk(tmp_path, capsys):
        made.stage.settings["NAS_SYNCD_LOG_FILE"] = ""
        yield made


def entry(number: int, record: dict[str, object] | None = None, **fields: object) -> str:
    base = {
        "__CURSOR": f"s=1;i={number}",
        "__REALTIME_TIMESTAMP": str(1_705_000_000_000_000 + number),
        "_SYSTEMD_UNIT": "nas-syncd.service",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "nas-syncd",
    }
    if record is not None:
        base |= {"MESSAGE": "· words", "SYNCD_RECORD": json.dumps(record)}
    return json.dumps(base | fields)


def record(event: str, **values: object) -> dict[str, object]:
    return {"timestamp": "2024-01-11T19:06:40.000Z", "level": "info", "event": event, **values}


def holds(tmp_path: Path, *entries: str, more: tuple[str, ...] = ()) -> None:
    (tmp_path / "bin/journal").write_text("".join(f"{line}\n" for line in entries))
    (tmp_path / "bin/more").write_text("".join(f"{line}\n" for line in more))


def calls(tmp_path: Path) -> list[list[str]]:
    return [json.loads(line) for line in (tmp_path / "bin/calls").read_text().splitlines()]


def test_the_records_come_out_of_the_journal_as_they_went_in(desk: Desk, tmp_path):
    inside = [record("a", document_id="1"), record("b", document_id="2", level="error")]
    holds(tmp_path, *(entry(n, one) for n, one in enumerate(inside)))
    said = desk("logs", "--json")
    assert [json.loads(line) for line in said.out.splitlines()] == inside
    assert desk("logs", "--json", "--document", "2").data == inside[1]
    assert "--unit=nas-syncd.service" in calls(tmp_path)[-1]
    assert "--user-unit=nas-syncd.service" in calls(tmp_path)[-1]
    assert "DOCUMENT_ID=2" in calls(tmp_path)[-1]


def test_journalctl_is_told_what_it_can_leave_out(desk: Desk, tmp_path):
    holds(tmp_path, entry(1, record("a")))
    desk("logs", "--level", "warning", "--since", "2024-01-15T00:00:00Z", "-n", "7")
    assert {"--priority=4", "--since=@1705276800", "--lines=7", "--all"} <= set(calls(tmp_path)[-1])


def test_where_the_service_writes_json_documents_are_looked_for_in_the_lines(desk, tmp_path):
    lines = [json.dumps(record(event, document_id=event)) for event in "ab"]
    holds(tmp_path, *(entry(n, MESSAGE=line) for n, line in enumerate(lines)))
    said = desk("logs", "--json", "--document", "b", "-n", "1", NAS_SYNCD_LOG_FORMAT="json")
    assert said.out.splitlines() == [lines[1]]
    assert not [one for one in calls(tmp_path)[-1] if one.startswith("DOCUMENT_ID")]


def test_what_systemd_says_of_the_service_is_told_too(desk: Desk, tmp_path):
    died = "nas-syncd.service: Main process exited, code=killed, status=9/KILL"
    holds(
        tmp_path,
        entry(1, SYSLOG_IDENTIFIER="systemd", MESSAGE=died, PRIORITY="4"),
        entry(2, MESSAGE=[195, 169, 27, 255], PRIORITY="3"),
        "garbage",
        entry(3, MESSAGE=None),
    )
    first, second, third = desk("logs", "--level", "debug").out.splitlines()
    assert first.endswith(f"warning ! systemd: {died}")
    assert second.endswith("error   ✗ é\\x1b\\xff")
    assert third.endswith("· ?")


def test_following_goes_on_after_the_last_line_that_was_shown(desk: Desk, tmp_path):
    holds(tmp_path, entry(1, record("a")), entry(2, record("b")), more=(entry(3, record("c")),))
    process = desk.start("logs", "-f", "--json", stdout=-1, stderr=-1)
    assert process.stdout is not None
    events = [json.loads(process.stdout.readline())["event"] for _ in "abc"]
    process.send_signal(2)
    _, complaints = process.communicate(timeout=20)
    assert events == ["a", "b", "c"]
    assert process.returncode == 130
    assert "Traceback" not in complaints
    assert "--after-cursor=s=1;i=2" in calls(tmp_path)[-1]


def test_a_journal_without_a_line_of_ours_is_no_log(desk: Desk, tmp_path):
    holds(tmp_path)
    assert desk("logs").code == 78
