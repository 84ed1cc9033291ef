"""The doctor on set-ups that are broken on purpose: it names each fault and its remedy.

The real command, as a process of its own, in French and in English.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nas_syncd import doctor as package
from nas_syncd.doctor import Finding, Patient, clock, mount, options, service
from nas_syncd.doctor import daemon as daemon_room
from nas_syncd.doctor.examination import Room, Visit
from nas_syncd.doctor.findings import Level, Notes
from nas_syncd.documents import TableNames
from nas_syncd.documents.checkup import Checkup
from nas_syncd.messages import REMEDIES, TEXTS
from nas_syncd.mounttable import parse_mountinfo
from tests.cli_desk import on_a_terminal
from tests.doctor_desk import diagnose, paired, unprivileged
from tests.lab import parts
from tests.lab.databases import free_port
from tests.stage import TABLE, RunningDaemon, Stage

STRANGER = 54_321
"""A user who has nothing."""
INTERRUPTED = 130
SECRET = "s3cr3t-pässword"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "stage")


# -- all is well ------------------------------------------------------------------------------


def test_a_healthy_set_up_is_all_ok_and_nothing_is_disturbed(stage: Stage):
    paired(stage)
    stage.settings["NAS_SYNCD_API_PORT"] = free_port()
    stage.add("a.pdf", b"a" * 5000)
    with RunningDaemon(stage) as daemon:
        daemon.wait_for("api.ready")
        daemon.wait_for("document.synced")
        before = _traces(stage)
        both = diagnose(stage)
        assert _traces(stage) == before
        assert daemon.stop() == 0

    for found in (both.fr, both.en):
        assert (found.code, found.of("wrong"), found.of("warning")) == (0, [], [])
        assert {
            "interpreter.version", "settings.values", "state.folder", "state.journal",
            "database.reach", "database.table", "database.rights", "database.rows",
            "database.marks", "uploads.folder", "uploads.files", "watching.canary",
            "mount.identity", "mount.space", "mount.write", "mount.rename", "daemon.running",
            "daemon.api", "clock.date", "clock.nas",
        } <= set(found.of("ok"))  # fmt: skip
    assert both.en.find("mount.write", "ok")["details"]["milliseconds"] < 5000
    assert both.en.find("database.rows", "ok")["details"]["marked"] == 1
    assert both.en.find("daemon.running", "ok")["details"]["pid"] == daemon.process.pid


def _traces(stage: Stage) -> object:
    """All that the doctor must leave as it was."""
    with contextlib.closing(sqlite3.connect(stage.state / "journal.sqlite3")) as journal:
        rows = [
            journal.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("document", "history", "place")
        ]
        meta = dict(journal.execute("SELECT key, value FROM meta WHERE key <> 'live'"))
    files = sorted(
        str(path.relative_to(stage.root))
        for folder in (stage.nas, stage.uploads, stage.state)
        for path in folder.rglob("*")
        if not path.name.startswith("journal.sqlite3")
    )
    return rows, meta, files, stage.database.read_bytes()


def test_before_the_first_start_nothing_is_made(stage: Stage):
    stage.pair()
    both = diagnose(stage)
    assert not stage.state.exists()
    assert [path.name for path in stage.nas.iterdir()] == [".nas-syncd.json"]
    assert both.en.code == 0
    assert "first start" in both.en.find("state.folder", "ok")["text"]
    assert "nas-syncd test" in both.en.find("mount.write", "skipped")["text"]
    both.names(
        "daemon.running", "warning", fr=["Aucun démon", "nas-syncd run"], en=["No daemon", "run”"]
    )


def test_an_interrupted_doctor_leaves_nothing_behind(stage: Stage):
    paired(stage)
    before = sorted(stage.state.iterdir())
    command = [sys.executable, "-m", "nas_syncd", "doctor", "--env-file", str(stage.env_file)]
    codes: list[int] = []
    while INTERRUPTED not in codes and len(codes) < 20:
        with subprocess.Popen(command, cwd=stage.root, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if list(stage.state.glob("nas-syncd-doctor-*")):
                    process.send_signal(signal.SIGINT)
                    break
            codes.append(process.wait(20))
        assert sorted(stage.state.iterdir()) == before
    assert codes[-1] == INTERRUPTED


INTERRUPT_AT = """
import os, sys
from pathlib import Path
from nas_syncd.doctor import watching

real, once = getattr(os, sys.argv[2]), []

def interrupted(*args, **kwargs):
    if sys.argv[3] == "after":
        real(*args, **kwargs)
    if not once:
        once.append(True)
        raise KeyboardInterrupt
    return real(*args, **kwargs)

setattr(os, sys.argv[2], interrupted)
with watching._own_folder(Path(sys.argv[1])) as folder:
    (folder / "canary").touch()
"""


@pytest.mark.parametrize(
    ("call", "moment"), [("mkdir", "after"), ("rmdir", "before"), ("unlink", "before")]
)
def test_an_interrupt_at_the_worst_moment_leaves_nothing_behind(
    tmp_path: Path, call: str, moment: str
):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT_AT, tmp_path, call, moment], capture_output=True, text=True
    )
    assert "KeyboardInterrupt" in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- settings ---------------------------------------------------------------------------------


def test_every_wrong_setting_is_named_and_the_rest_is_checked_all_the_same(stage: Stage):
    paired(stage)
    stage.settings |= {"NAS_SYNCD_WORKRS": "3", "NAS_SYNCD_SCAN_SECONDS": "often"}
    both = diagnose(stage)
    assert both.en.code == 1
    wrong = [f for f in both.en.findings if f["check"] == "settings.values"]
    assert ["WORKRS" in wrong[0]["text"], "SCAN_SECONDS" in wrong[1]["text"]] == [True, True]
    assert "NAS_SYNCD_WORKERS" in wrong[0]["text"]  # what was meant
    assert "86400" in wrong[1]["text"]  # what is allowed
    both.names(
        "settings.values", "wrong", fr=["réglage inconnu", "Corrigez"], en=["unknown", "Correct it"]
    )
    assert {"database.reach", "uploads.folder", "mount.write"} <= set(both.en.of("ok"))


def test_without_settings_it_says_which_are_needed(stage: Stage):
    stage.settings = {"NAS_SYNCD_STATE_DIR": stage.state}
    both = diagnose(stage)
    missing = [f["details"]["name"] for f in both.en.findings if f["level"] == "wrong"]
    assert missing == ["NAS_MOUNT_PATH", "DATABASE_URL", "UPLOAD_DIR"]
    both.names("settings.required", "wrong", fr=["est vide", "Réglez"], en=["is empty", "Set"])
    assert {"database.reach", "uploads.folder", "mount.identity"} <= set(both.en.of("skipped"))


def test_a_settings_file_that_is_not_there_is_a_finding(stage: Stage):
    both = diagnose(stage, env_file=stage.root / "nowhere.env")
    assert both.en.code == 1
    both.names(
        "settings.values", "wrong", fr=["nowhere.env", "sudo -u"], en=["nowhere.env", "sudo -u"]
    )
    assert "settings.required" not in both.en.of("wrong")  # they may well stand in it


def test_a_settings_file_with_a_password_that_everybody_can_read(stage: Stage):
    paired(stage)
    stage.settings["DATABASE_URL"] = f"postgresql://us:{SECRET}@127.0.0.1:{free_port()}/app"
    file = stage.env_file
    file.chmod(0o644)
    both = diagnose(stage, env_file=file)
    details = both.names(
        "settings.rights",
        "warning",
        fr=["Tout le monde", "DATABASE_URL", "0644", f"chmod o= '{file}'"],
        en=["Everybody", "DATABASE_URL", "0644", f"chmod o= '{file}'"],
    )
    assert details["mode"] == "0644"
    assert SECRET not in both.en.out + both.en.err + both.fr.out + both.fr.err


def test_a_second_settings_file_is_pointed_out(stage: Stage, tmp_path: Path):
    home = tmp_path / "home"
    (home / "nas-syncd").mkdir(parents=True)
    other = home / "nas-syncd" / "config.env"
    other.write_text("NAS_SYNCD_WORKERS=2\n")
    (stage.root / ".env").write_text(stage.env_file.read_text())
    command = [sys.executable, "-m", "nas_syncd", "doctor", "--json"]
    done = subprocess.run(
        command,
        cwd=stage.root,
        env={**os.environ, "XDG_CONFIG_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "settings.files"]
    assert [f["level"] for f in found] == ["warning"]
    assert str(stage.root / ".env") in found[0]["text"]
    assert str(other) in found[0]["text"]
    assert "--env-file" in found[0]["remedy"]


def test_no_secret_is_in_any_answer(stage: Stage):
    paired(stage)
    stage.settings |= {
        "DATABASE_URL": f"postgresql://us:{SECRET}@127.0.0.1:{free_port()}/app",
        "NAS_SYNCD_API_TOKEN": "token-of-twenty-four-chars",
        "NAS_SYNCD_NOTIFY_URLS": "json://someone:notify-secret@127.0.0.1/",
    }
    both = diagnose(stage)
    spoken = both.en.out + both.en.err + both.fr.out + both.fr.err
    for secret in (SECRET, "token-of-twenty-four", "notify-secret"):
        assert secret not in spoken
    stage.settings["DATABASE_URL"] = f"oracle://us:{SECRET}@host/app"
    refused = diagnose(stage)
    assert SECRET not in refused.en.out + refused.fr.out
    refused.names("settings.values", "wrong", fr=["DATABASE_URL"], en=["DATABASE_URL"])


# -- the database -----------------------------------------------------------------------------


def test_the_database_server_is_down(stage: Stage):
    paired(stage)
    port = free_port()
    stage.settings["DATABASE_URL"] = f"postgresql://us@127.0.0.1:{port}/app"
    both = diagnose(stage)
    assert both.en.code == 1
    both.names(
        "database.reach",
        "wrong",
        fr=["ne répond pas", f"127.0.0.1:{port}", "Démarrez la base"],
        en=["does not answer", f"127.0.0.1:{port}", "Start the database"],
    )
    assert "database.table" in both.en.of("skipped")
    assert "mount.write" in both.en.of("ok")


@pytest.mark.lab
def test_a_database_server_that_hangs_does_not_hang_the_doctor(stage: Stage, postgresql):
    paired(stage)
    stage.settings["DATABASE_URL"] = postgresql.new_database()
    with postgresql.frozen():
        both = diagnose(stage, within=40)
    both.names("database.reach", "wrong", fr=["ne répond pas"], en=["does not answer"])


def test_the_database_file_is_not_there(stage: Stage):
    stage.database.unlink()
    both = diagnose(stage)
    both.names(
        "database.reach",
        "wrong",
        fr=["n’existe pas", str(stage.database), "quatre barres"],
        en=["does not exist", str(stage.database), "four slashes"],
    )
    assert not stage.database.exists()


def test_the_table_lacks_a_column_and_the_likely_one_is_named(stage: Stage):
    stage.sql("ALTER TABLE documents RENAME COLUMN file_path TO storage_path")
    both = diagnose(stage)
    setting = "NAS_SYNCD_DB_COLUMNS=file_path=storage_path"
    both.names(
        "database.table",
        "wrong",
        fr=["Il manque", "file_path", setting],
        en=["lacks", "file_path", setting],
    )
    stage.settings["NAS_SYNCD_DB_COLUMNS"] = setting.partition("=")[2]
    assert "database.table" in diagnose(stage).en.of("ok")


def test_the_table_is_not_there_and_the_likely_one_is_named(stage: Stage):
    stage.settings["NAS_SYNCD_DB_TABLE"] = "document"
    both = diagnose(stage)
    setting = "NAS_SYNCD_DB_TABLE=documents"
    both.names("database.table", "wrong", fr=["Il n’y a pas", setting], en=["no table", setting])


def test_an_optional_column_under_another_name_is_noticed(stage: Stage):
    stage.sql("ALTER TABLE documents RENAME COLUMN processing_status TO ocr_status")
    stage.sql("ALTER TABLE documents DROP COLUMN original_name")
    both = diagnose(stage)
    setting = "NAS_SYNCD_DB_COLUMNS=processing_status=ocr_status"
    both.names("database.columns", "warning", fr=["analyse", setting], en=["analysis", setting])
    assert "by their id" in both.en.find("database.columns", "ok")["text"]


@pytest.mark.lab
def test_postgresql_gives_no_right_to_mark(stage: Stage, postgresql):
    paired(stage)
    url = postgresql.new_database()
    role = f"reader_{uuid.uuid4().hex[:8]}"
    owner = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with owner.begin() as connection:
        connection.exec_driver_sql(TABLE.replace("DATETIME", "TIMESTAMP"))
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON documents TO {role}")
    stage.settings["DATABASE_URL"] = url.replace("postgres@", f"{role}:{SECRET}@")
    both = diagnose(stage)
    grant = f'GRANT SELECT, UPDATE (synced_to_nas, synced_at) ON documents TO "{role}";'
    details = both.names(
        "database.rights",
        "wrong",
        fr=["Écriture refusée", "synced_to_nas, synced_at", grant],
        en=["may not write", "synced_to_nas, synced_at", grant],
    )
    assert details["columns"] == ["synced_to_nas", "synced_at"]
    with owner.begin() as connection:
        connection.exec_driver_sql(details["sql"])
    healed = diagnose(stage)
    assert "database.rights" in healed.en.of("ok")
    assert "clock.database" in healed.en.of("ok")
    with owner.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
    diagnose(stage).names("database.rights", "warning", fr=["RLS", "BYPASSRLS"], en=["BYPASSRLS"])
    with owner.begin() as connection:
        connection.exec_driver_sql(f"REVOKE ALL ON documents FROM {role}")
        connection.exec_driver_sql(
            f"REVOKE UPDATE (synced_to_nas, synced_at) ON documents FROM {role}"
        )
    diagnose(stage).names("database.rights", "wrong", fr=["Lecture refusée"], en=["may not read"])
    owner.dispose()


@pytest.mark.lab
def test_mariadb_gives_no_right_to_mark(stage: Stage, mariadb):
    url = mariadb.new_database()
    role, name = f"r_{uuid.uuid4().hex[:8]}", url.rpartition("/")[2]
    owner = sa.create_engine(url.replace("mysql:", "mysql+pymysql:"))
    with owner.begin() as connection:
        table = TABLE.partition(";")[0].replace("VARCHAR", "VARCHAR(200)")
        connection.exec_driver_sql(table)
        connection.exec_driver_sql(f"CREATE USER '{role}'@'%%'")
        connection.exec_driver_sql(f"GRANT SELECT ON {name}.documents TO '{role}'@'%%'")
    stage.settings["DATABASE_URL"] = url.replace("root@", f"{role}@")
    both = diagnose(stage)
    details = both.names(
        "database.rights", "wrong", fr=["Écriture refusée", "GRANT"], en=["may not write", "GRANT"]
    )
    with owner.begin() as connection:
        connection.exec_driver_sql(details["sql"].replace("%", "%%"))
    healed = diagnose(stage)
    assert "database.rights" in healed.en.of("ok")
    assert "clock.database" in healed.en.of("ok")
    owner.dispose()


def test_the_old_sync_still_marks(stage: Stage):
    paired(stage)
    stage.add("ours.pdf", b"a")
    with RunningDaemon(stage) as daemon:
        stage.wait_marked(1)
        assert daemon.stop() == 0
    assert "database.marks" in diagnose(stage).en.of("ok")
    theirs = stage.row("theirs.pdf", synced_to_nas=1, synced_at="2199-01-01 00:00:00")
    stage.row("before.pdf", synced_to_nas=1, synced_at="2019-01-01 00:00:00")
    both = diagnose(stage)
    assert both.en.code == 0
    details = both.names(
        "database.marks",
        "warning",
        fr=["synced_to_nas", "ancienne synchronisation", "désactivez-la"],
        en=["synced_to_nas", "old synchronisation", "switch it off"],
    )
    assert (details["count"], details["ids"]) == (1, [str(theirs)])


def test_a_large_table_without_an_index_gets_the_sql_for_one(stage: Stage):
    with contextlib.closing(sqlite3.connect(stage.database)) as db:
        db.executemany(
            "INSERT INTO documents (file_path, synced_to_nas) VALUES (?, 1)",
            ((f"/app/uploads/{number}",) for number in range(50_000)),
        )
        db.commit()
    details = diagnose(stage).names(
        "database.index", "warning", fr=["Aucun index", "CREATE INDEX"], en=["No index", "CREATE"]
    )
    stage.sql(details["sql"])
    assert "database.index" in diagnose(stage).en.of("ok")


@pytest.mark.lab
def test_the_index_that_is_suggested_serves_what_the_daemon_asks(database: str):
    """On each kind of database: the planner takes it for the question after the pending rows."""
    engine = sa.create_engine(Checkup.connect(database, TableNames(), 5).url)
    kind = engine.dialect.name
    stamps = "TIMESTAMP" if kind == "postgresql" else "DATETIME"
    table = TABLE.partition(";")[0].replace("VARCHAR", "VARCHAR(200)").replace("DATETIME", stamps)
    with engine.begin() as connection:
        connection.exec_driver_sql(table)
    checkup = Checkup.connect(database, TableNames(), 5)
    shape = checkup.shape()
    assert not checkup.has_pending_index(shape)
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.exec_driver_sql(checkup.pending_index(shape))
    assert checkup.has_pending_index(shape)
    flag = "synced_to_nas IS NOT 1"
    if kind != "sqlite":
        no = "false" if kind == "postgresql" else "0"
        flag = f"(synced_to_nas IS NULL OR synced_to_nas = {no})"
    question = f"SELECT id FROM documents WHERE file_path <> '' AND {flag} ORDER BY id LIMIT 500"
    with engine.connect() as connection:
        if kind == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if kind == "sqlite" else "EXPLAIN "
        plan = connection.exec_driver_sql(explain + question).all()
    assert "documents_nas_pending" in str(plan)
    checkup.close()
    engine.dispose()


# -- the upload folder ------------------------------------------------------------------------


def test_the_upload_folder_is_missing(stage: Stage):
    stage.uploads.rmdir()
    both = diagnose(stage)
    assert both.en.code == 1
    both.names(
        "uploads.folder",
        "wrong",
        fr=["n’existe pas", str(stage.uploads), "UPLOAD_DIR"],
        en=["does not exist", str(stage.uploads), "UPLOAD_DIR"],
    )
    assert "uploads.files" in both.en.of("skipped")


@pytest.mark.root
def test_the_upload_folder_is_closed_to_the_user(stage: Stage):
    stage.uploads.chmod(0o700)
    os.chown(stage.uploads, STRANGER, STRANGER)
    both = diagnose(stage, before=unprivileged())
    user = "root"
    both.names(
        "uploads.folder",
        "wrong",
        fr=[user, "pas le droit de lire", "chmod g+rX"],
        en=[user, "may not read", "chmod g+rX"],
    )


@pytest.mark.root
def test_files_and_folders_in_it_that_the_user_may_not_read(stage: Stage):
    stage.add("private.pdf", b"a")
    (stage.uploads / "private.pdf").chmod(0o600)
    os.chown(stage.uploads / "private.pdf", STRANGER, STRANGER)
    both = diagnose(stage, before=unprivileged())
    both.names("uploads.files", "wrong", fr=["private.pdf", "umask"], en=["private.pdf", "umask"])
    (stage.uploads / "private.pdf").unlink()
    (stage.uploads / "closed").mkdir(mode=0o700)
    os.chown(stage.uploads / "closed", STRANGER, STRANGER)
    both = diagnose(stage, before=unprivileged())
    both.names("uploads.files", "wrong", fr=["dossiers", "umask"], en=["folders", "umask"])


@pytest.mark.lab
@pytest.mark.root
def test_an_upload_folder_that_hangs_does_not_hang_the_doctor(stage: Stage, fault_fs):
    fs = fault_fs()
    stage.settings |= {"UPLOAD_DIR": fs.path, "NAS_SYNCD_NAS_TIMEOUT_SECONDS": "2"}
    fs.hang()
    both = diagnose(stage, within=20)
    both.names(
        "uploads.folder",
        "wrong",
        fr=["ne répond pas", "Rien n’est perdu"],
        en=["does not answer", "Nothing is lost"],
    )


@pytest.mark.lab
@pytest.mark.root
def test_native_watching_of_a_network_file_system_is_judged(stage: Stage, fault_fs):
    stage.settings |= {"UPLOAD_DIR": fault_fs().path, "NAS_SYNCD_WATCH": "native"}
    both = diagnose(stage)
    both.names("uploads.file_system", "warning", fr=["fuse", "poll"], en=["fuse", "poll"])
    stage.settings["NAS_SYNCD_WATCH"] = "auto"
    assert "scanned" in diagnose(stage).en.find("uploads.file_system", "ok")["text"]


def test_the_upload_folder_is_watched_while_somebody_puts_a_file_there(stage: Stage):
    command = [sys.executable, "-m", "nas_syncd", "doctor", "--probe-uploads", "30"]
    with subprocess.Popen(
        [*command, "--env-file", str(stage.env_file)],
        cwd=stage.root,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Now put a file" in line:
                (stage.uploads / "by-hand.pdf").write_bytes(b"a")
    assert "ok: uploads.events: The system told of by-hand.pdf\n" in lines
    found = diagnose(stage, "--probe-uploads", "1").en.find("uploads.events", "skipped")
    assert "No file arrived" in found["text"]


@pytest.mark.root
def test_no_inotify_instance_is_left(stage: Stage):
    """In a user namespace of its own, whose limit concerns nobody else."""
    parts.need_root()
    limit = "/proc/sys/user/max_inotify_instances"
    unshare = parts.program("unshare", "util-linux")
    script = f'echo 0 > {limit} && exec "$@"'
    before = [unshare, "--user", "--map-root-user", "sh", "-c", script, "sh"]
    both = diagnose(stage, before=before)
    wanted = "fs.inotify.max_user_instances="
    both.names("watching.instances", "warning", fr=["inotify", wanted], en=["inotify", wanted])
    assert "watching.canary" in both.en.of("skipped")


# -- the NAS ----------------------------------------------------------------------------------


def test_the_share_is_not_mounted(stage: Stage):
    paired(stage)
    (stage.nas / ".nas-syncd.json").unlink()
    both = diagnose(stage)
    assert both.en.code == 1
    both.names(
        "mount.identity",
        "wrong",
        fr=["n’est pas monté", "montez-le"],
        en=["not mounted", "mount it"],
    )
    assert list(stage.nas.iterdir()) == []
    assert "mount.write" in both.en.of("skipped")


def test_another_nas_is_mounted(stage: Stage):
    paired(stage)
    stage.pair()
    both = diagnose(stage)
    both.names(
        "mount.identity", "wrong", fr=["pas le NAS attendu", "--new-nas"], en=["not the expected"]
    )


def test_the_marker_on_a_local_disk_is_doubted_before_the_first_start(stage: Stage):
    both = diagnose(stage.pair())
    both.names("mount.identity", "warning", fr=["disque local", "Montez"], en=["local disk"])


@pytest.mark.lab
@pytest.mark.root
def test_the_nas_is_read_only(tmp_path: Path, tmpfs_mount):
    disk = tmpfs_mount("8m")
    stage = paired(Stage(tmp_path / "stage", disk.path))
    disk.remount("ro")
    both = diagnose(stage)
    both.names(
        "mount.identity", "wrong", fr=["lecture seule", "Remontez"], en=["read-only", "rights"]
    )


@pytest.mark.lab
@pytest.mark.root
def test_the_nas_is_nearly_full_and_then_full(tmp_path: Path, tmpfs_mount):
    disk = tmpfs_mount("8m")
    stage = paired(Stage(tmp_path / "stage", disk.path, NAS_SYNCD_MIN_FREE_SPACE="5MiB"))
    both = diagnose(stage)
    assert both.en.code == 0
    both.names(
        "mount.space", "warning", fr=["presque plein", "Libérez"], en=["nearly full", "Free"]
    )
    stage.settings["NAS_SYNCD_MIN_FREE_SPACE"] = "1GiB"
    both = diagnose(stage)
    assert both.en.code == 1
    both.names(
        "mount.space", "wrong", fr=["plein", "1 Gio", "Libérez"], en=["full", "1 GiB", "Free"]
    )


@pytest.mark.lab
@pytest.mark.root
def test_a_nas_that_hangs_does_not_hang_the_doctor(tmp_path: Path, fault_fs):
    fs = fault_fs()
    stage = paired(Stage(tmp_path / "stage", fs.path, NAS_SYNCD_NAS_TIMEOUT_SECONDS="2"))
    fs.hang()
    both = diagnose(stage, within=20)
    both.names(
        "mount.identity", "wrong", fr=["ne répond pas", "allumé"], en=["does not answer", "power"]
    )
    assert {"database.reach", "uploads.files"} <= set(both.en.of("ok"))


@pytest.mark.lab
@pytest.mark.root
def test_a_nas_that_hangs_in_the_middle_of_the_write(tmp_path: Path, fault_fs):
    fs = fault_fs()
    stage = paired(Stage(tmp_path / "stage", fs.path, NAS_SYNCD_NAS_TIMEOUT_SECONDS="2"))
    fs.hang("fsync")
    both = diagnose(stage, within=20)
    both.names("mount.write", "wrong", fr=["ne répond pas"], en=["does not answer"])


@pytest.mark.lab
@pytest.mark.root
def test_a_nas_that_gives_back_other_bytes(tmp_path: Path, fault_fs):
    fs = fault_fs()
    stage = paired(Stage(tmp_path / "stage", fs.path))
    fs.rules([{"op": "write", "do": "corrupt", "mode": "flip"}])
    both = diagnose(stage)
    both.names("mount.write", "wrong", fr=["d’autres octets", "SMART"], en=["other bytes", "SMART"])


def test_names_that_are_claimed_before_a_rename_are_told(stage: Stage):
    """Another installation's mount has no exclusive rename: all of them claim."""
    paired(stage)
    (stage.nas / ".nas-syncd-claims").mkdir()
    assert "claimed" in diagnose(stage).en.find("mount.rename", "ok")["text"]


# -- state directory, daemon ------------------------------------------------------------------


def test_a_damaged_journal(stage: Stage):
    paired(stage)
    path = stage.state / "journal.sqlite3"
    with path.open("r+b") as file:
        file.seek(0)
        file.write(os.urandom(path.stat().st_size))
    both = diagnose(stage)
    assert both.en.code == 1
    both.names(
        "state.journal",
        "wrong",
        fr=["journal est inutilisable", "sync --inherited"],
        en=["journal cannot be used", "sync --inherited"],
    )


@pytest.mark.root
def test_a_journal_that_is_refused_or_in_use_is_not_to_be_put_away(stage: Stage):
    paired(stage)
    path = stage.state / "journal.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as journal:
        journal.execute("PRAGMA locking_mode=EXCLUSIVE")
        journal.execute("BEGIN EXCLUSIVE")
        both = diagnose(stage)
    details = both.names("state.journal", "warning", fr=["verrouillé"], en=["locked", "again"])
    assert details["code"] == "doctor.state.journal_in_use"
    os.chown(path, STRANGER, STRANGER)
    path.chmod(0o600)
    both = diagnose(stage, before=unprivileged())
    both.names("state.journal", "wrong", fr=["N’y supprimez rien"], en=["is to be deleted"])


def test_a_journal_that_was_only_just_begun_is_none(stage: Stage):
    stage.state.mkdir(mode=0o700)
    (stage.state / "journal.sqlite3").touch(mode=0o600)
    assert "No journal yet" in diagnose(stage).en.find("state.journal", "ok")["text"]


def test_the_state_directory_is_a_file(stage: Stage):
    stage.state.write_text("no folder")
    both = diagnose(stage)
    both.names("state.folder", "wrong", fr=["pas un dossier"], en=["no folder", "STATE_DIR"])


@pytest.mark.root
def test_the_state_directory_is_not_the_users_to_write(stage: Stage):
    stage.state.mkdir(mode=0o755)
    os.chown(stage.state, STRANGER, STRANGER)
    both = diagnose(stage, before=unprivileged())
    both.names("state.folder", "wrong", fr=["chown", str(STRANGER)], en=["chown", str(STRANGER)])
    stage.settings["NAS_SYNCD_STATE_DIR"] = stage.state / "below"
    both = diagnose(stage, before=unprivileged())
    both.names("state.folder", "wrong", fr=["install -d"], en=["cannot make", "install -d"])


@pytest.mark.root
def test_a_doctor_called_by_another_user_than_the_daemons_says_so(stage: Stage):
    parts.need_root()
    paired(stage)
    for path in (stage.state, *stage.state.iterdir()):
        os.chown(path, STRANGER, STRANGER)
    both = diagnose(stage)
    both.names("state.folder", "warning", fr=["sudo -u"], en=["sudo -u", str(STRANGER)])
    assert {path.stat().st_uid for path in stage.state.iterdir()} == {STRANGER}


@pytest.mark.lab
@pytest.mark.root
def test_a_state_directory_that_a_restart_forgets(stage: Stage, tmpfs_mount):
    stage.settings["NAS_SYNCD_STATE_DIR"] = tmpfs_mount("8m").path
    both = diagnose(stage)
    both.names("state.file_system", "warning", fr=["en mémoire"], en=["in memory", "STATE_DIR"])
    both.names("state.space", "warning", fr=["Peu d’espace"], en=["Little space"])


@pytest.mark.lab
@pytest.mark.root
@pytest.mark.parametrize("linked", [False, True])
def test_a_state_directory_on_a_dead_network_share_hangs_nobody(
    stage: Stage, fault_fs, linked: bool
):
    share = fault_fs(subtype="sshfs")
    (share.source / "state").mkdir()
    stage.settings["NAS_SYNCD_STATE_DIR"] = share.path / "state"
    if linked:
        stage.state.symlink_to(share.path / "state")
        stage.settings["NAS_SYNCD_STATE_DIR"] = stage.state
    share.hang()
    both = diagnose(stage, within=20)
    both.names(
        "state.file_system", "wrong", fr=["partage réseau", "fuse.sshfs"], en=["network share"]
    )
    assert {"state.journal", "daemon.running"} <= set(both.en.of("skipped"))


@pytest.mark.lab
@pytest.mark.root
def test_an_sqlite_file_on_a_network_share_and_on_a_dead_one(stage: Stage, fault_fs):
    share = fault_fs(subtype="sshfs")
    stage.database.rename(share.source / "app.db")
    stage.settings["DATABASE_URL"] = f"sqlite:///{share.path}/app.db"
    both = diagnose(stage)
    both.names("database.file", "warning", fr=["partage réseau"], en=["network share", "locks"])
    share.hang()
    both = diagnose(stage, within=30)
    both.names("database.file", "wrong", fr=["ne répond pas"], en=["does not answer"])


def test_a_daemon_that_does_not_answer(stage: Stage):
    paired(stage)
    import fcntl

    with (stage.state / "daemon.lock").open("w+") as lock:
        lock.write("4242\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = diagnose(stage)
    both.names("daemon.running", "wrong", fr=["4242", "ne répond pas"], en=["4242", "not answer"])


def test_a_daemon_with_other_folders(stage: Stage, tmp_path: Path):
    paired(stage)
    with RunningDaemon(stage) as daemon:
        daemon.wait_for("api.ready")
        stage.settings["UPLOAD_DIR"] = tmp_path
        both = diagnose(stage)
        assert daemon.stop() == 0
    both.names(
        "daemon.running", "warning", fr=["autres dossiers"], en=["other folders", "--env-file"]
    )


@pytest.mark.root
def test_a_daemon_whose_socket_is_not_ours(stage: Stage):
    paired(stage)
    with RunningDaemon(stage) as daemon:
        daemon.wait_for("api.ready")
        os.chown(stage.state / "daemon.sock", STRANGER, STRANGER)
        both = diagnose(stage, before=unprivileged())
        assert daemon.stop() == 0
    both.names("daemon.running", "warning", fr=["socket", "groupe"], en=["socket", "group"])


def test_a_daemon_of_another_version_is_to_be_restarted():
    notes = Notes("en")
    found = {"pid": 42, "version": "0.0.1", "mount": {}, "uploads": {}}
    daemon_room.look(Patient("en", None, ask_daemon=lambda: found), notes)
    (one,) = notes.found
    assert (one.check, str(one.level)) == ("daemon.running", "warning")
    assert "The daemon is 0.0.1" in one.text
    assert "Restart the service" in (one.remedy or "")


@pytest.mark.lab
@pytest.mark.root
def test_no_second_child_is_sent_into_a_mount_in_which_the_daemons_hangs(tmp_path: Path, fault_fs):
    fs = fault_fs()
    stage = paired(Stage(tmp_path / "stage", fs.path, NAS_SYNCD_NAS_TIMEOUT_SECONDS="1"))
    fs.hang()
    stage.add("a.pdf", b"a")
    with RunningDaemon(stage) as daemon:
        daemon.wait_for("mount.changed", state="hung")
        before = len(fs.log())
        both = diagnose(stage, within=20)
        assert len(fs.log()) == before
        fs.clear()
        assert daemon.stop() == 0
    both.names("mount.identity", "wrong", fr=["ne répond pas"], en=["does not answer"])


def test_another_program_has_the_port(stage: Stage):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stage.settings["NAS_SYNCD_API_PORT"] = port
        answering = threading.Thread(target=_answer_nonsense, args=(server,), daemon=True)
        answering.start()
        both = diagnose(stage)
    both.names(
        "daemon.api", "wrong", fr=[f"port {port}", "ss -ltnp"], en=["Another program", f":{port}"]
    )


def _answer_nonsense(server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed at the end of the test
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ESMTP\r\n")


# -- what cannot be had for real here: by its own rules -----------------------------------------


@pytest.mark.parametrize(
    ("file_system", "given", "judged"),
    [
        ("cifs", "rw,vers=3.1.1,cache=strict,soft,nounix,serverino,echo_interval=10", []),
        ("cifs", "rw,soft,noserverino,nobrl,cache=none,echo_interval=60", []),
        ("cifs", "rw,soft,nostrictsync", [("wrong", "nostrictsync")]),
        ("smb3", "rw,hard,cache=loose", [("warning", "cifs_hard"), ("warning", "cache_loose")]),
        ("cifs", "rw,soft,vers=1.0,sec=none", [("warning", "smb1"), ("warning", "anonymous")]),
        ("cifs", "rw,soft,echo_interval=600", [("warning", "echo")]),
        ("cifs", "rw,soft,fsc", [("warning", "local_cache")]),
        ("nfs4", "rw,hard,vers=4.2", []),
        ("nfs", "rw,soft,nocto", [("warning", "nfs_soft"), ("warning", "nfs_nocto")]),
        ("nfs4", "rw,softerr,fsc", [("warning", "local_cache")]),
        ("ext4", "rw,hard,soft", []),
    ],
)
def test_mount_options_are_judged_by_what_they_mean_there(file_system, given, judged):
    found = options.judge(file_system, given.split(","))
    assert [(str(level), code) for level, code, _ in found] == judged
    for _, code, option in found:
        assert option in given
        for language in ("fr", "en"):
            assert f"doctor.mount.option.{code}" in TEXTS[language]
            assert f"doctor.mount.option.{code}" in REMEDIES[language]


@pytest.mark.parametrize(
    ("tags", "level"), [("", "warning"), ("shared:7 ", "ok"), ("master:3 ", "ok")]
)
def test_a_private_mount_in_a_container_is_found(tags, level):
    line = f"41 22 0:50 / /app/nas_backup rw {tags}- cifs //nas/finance rw,soft"
    notes = Notes("en")
    mount.judge_propagation(line, parse_mountinfo(line)[0], "/app/nas_backup", notes)
    assert [(f.check, str(f.level)) for f in notes.found] == [("mount.propagation", level)]
    assert ("rslave" in (notes.found[0].remedy or "")) is (level == "warning")


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [(0.2, "ok", "within 1 s"), (7200.0, "warning", "2 h ahead"), (-90.0, "warning", "behind")],
)
def test_a_database_server_with_another_time_is_noticed(ahead, level, words):
    patient = Patient("en", None)
    patient.database_clock.set_result(ahead)
    patient.nas_clock.set_result(None)
    notes = Notes("en")
    clock.look(patient, notes)
    found = {finding.check: finding for finding in notes.found}
    assert str(found["clock.database"].level) == level
    assert words in found["clock.database"].text
    assert "clock.nas" not in found


class Unit:
    """What a service manager may say."""

    def __init__(self, installed: bool, running: bool) -> None:
        self.manager, self.scope, self.detail = "systemd", "system", "failed (Result: exit-code)"
        self.installed, self.running, self.since = installed, running, "2026-01-15T10:00:00+00:00"


@pytest.mark.parametrize(
    ("installed", "running", "level", "words"),
    [
        (True, True, "ok", "running since 2026-01-15"),
        (True, False, "wrong", "not running: failed"),
        (False, False, "warning", "service install"),
    ],
)
def test_the_service_is_judged(installed, running, level, words):
    notes = Notes("en")
    service.look(Patient("en", None, ask_service=lambda: Unit(installed, running)), notes)
    (found,) = notes.found
    assert str(found.level) == level
    assert words in f"{found.text} {found.remedy}"


def test_a_check_that_fails_and_one_that_hangs_are_findings_of_their_own():
    gate = threading.Event()

    def broken(patient: Patient, notes: Notes) -> None:
        notes.ok("x.first", "database.marks")
        raise LookupError("no such thing")

    def endless(patient: Patient, notes: Notes) -> None:
        gate.wait(60)

    patient = Patient("en", None)
    visits = [
        Visit(Room("broken", broken, 5, tells=("memory",)), patient),
        Visit(Room("endless", endless, 0.2, tells=("nas_clock",)), patient),
    ]
    for visit in visits:
        visit.start()
    failed, late = [visit.findings() for visit in visits]
    gate.set()
    assert [f.check for f in failed] == ["x.first", "broken.failed"]
    assert "LookupError: no such thing" in failed[1].text
    assert [f.check for f in late] == ["endless.deadline"]
    assert all(f.level is Level.WRONG and f.remedy for f in [failed[1], late[0]])
    assert _done(patient.memory)
    assert _done(patient.nas_clock)


def _done(future: Future[Any]) -> bool:
    return future.done() and future.result() is None


# -- words ------------------------------------------------------------------------------------


def _told() -> Iterator[tuple[str, str]]:
    """Yield (kind, code) of everything that the rooms can say, as it stands in their source."""
    for path in sorted(Path(package.__file__).parent.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                yield from _told_by(function)


def _told_by(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        kind = node.func.attr
        if kind in ("ok", "warning", "wrong", "skipped") and len(node.args) == 2:
            for code in _values(node.args[1], function):
                yield kind, code


def _values(node: ast.expr, function: ast.FunctionDef) -> Iterator[str]:
    """Yield what an expression may be; of a name, what that function gives it."""
    if isinstance(node, ast.IfExp):
        yield from _values(node.body, function)
        yield from _values(node.orelse, function)
    elif isinstance(node, ast.JoinedStr):
        if isinstance(node.values[0], ast.Constant):
            yield str(node.values[0].value)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.Name):
        assigned = (one for one in ast.walk(function) if isinstance(one, ast.Assign))
        for one in assigned:
            target = one.targets[0]
            if isinstance(target, ast.Name) and target.id == node.id:
                yield from _values(one.value, function)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_everything_that_is_said_has_words_and_what_is_wrong_has_a_remedy(language):
    said = set(_told())
    assert len(said) > 80
    for kind, code in said:
        key = f"doctor.skipped.{code}" if kind == "skipped" else f"doctor.{code}"
        if key.endswith(("_", ".")):  # the rest of the name is a value
            found = [name for name in TEXTS[language] if name.startswith(key)]
            assert found, key
            assert kind == "ok" or all(name in REMEDIES[language] for name in found), key
            continue
        assert key in TEXTS[language], key
        if kind in ("warning", "wrong"):
            assert REMEDIES[language].get(key), key


def test_no_remedy_is_for_nothing():
    source = "".join(p.read_text() for p in Path(package.__file__).parent.glob("*.py"))
    said = {code for kind, code in _told() if kind in ("warning", "wrong")}
    beginnings = tuple(code for code in said if code.endswith(("_", ".")))
    for key in REMEDIES["en"]:
        code = key.removeprefix("doctor.")
        if code == key or code.startswith("mount.option."):
            continue
        base = re.sub("_(ahead|behind)$", "", code)
        written = f'"{base}"' in source or f'"{key}"' in source
        assert code in said or code.startswith(beginnings) or written, key


# -- how it looks -----------------------------------------------------------------------------


def test_a_terminal_gets_a_picture_and_a_closing_sentence(stage: Stage):
    paired(stage)
    stage.uploads.rmdir()
    code, shown = on_a_terminal(stage, "doctor", COLUMNS="80", NAS_SYNCD_LANGUAGE="fr")
    assert code == 1
    assert "✗ ERREUR" in shown
    assert "→ " in shown
    assert "\x1b[" in shown
    assert "Une chose ne va pas\u00a0: son remède est indiqué dessous." in shown
    code, plain = on_a_terminal(stage, "doctor", COLUMNS="80", NO_COLOR="1")
    assert code == 1
    assert "WRONG" in plain
    assert "\x1b[31" not in plain


def test_elsewhere_it_is_plain_lines(stage: Stage):
    paired(stage)
    command = [sys.executable, "-m", "nas_syncd", "doctor", "--env-file", str(stage.env_file)]
    done = subprocess.run(
        command, cwd=stage.root, capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert "ok: mount.rename: Renames never replace a file (RENAME_NOREPLACE)" in lines
    daemon = lines.index("warning: daemon.running: No daemon runs on this state directory")
    assert lines[daemon + 1].startswith("  Remedy: ")
    assert lines[-1].startswith("Nothing is wrong; ")
    assert "\x1b" not in done.stdout


def test_findings_are_frozen():
    finding = Finding("a.b", Level.OK, "text", None)
    with pytest.raises(AttributeError):
        finding.text = "another"  # type: ignore[misc]
