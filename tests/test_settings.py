"""Settings: every source, every refusal in one line, and no secret in any of it."""

from __future__ import annotations

import os
import re
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from nas_syncd import settings as subject
from nas_syncd.errors import ConfigurationError
from nas_syncd.settings import Settings, describe, env_name, load_settings, require_for_run

NOTHING = Path(os.devnull)
SECRET = "s3cr3t-Pa55"
EXAMPLE = Path(__file__).parent.parent / "config.example.env"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home and an empty current folder; settings files are made in them."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return tmp_path


def load(environ: dict[str, str] | None = None, **more: Any) -> Settings:
    return load_settings(
        NOTHING, environ={"NAS_SYNCD_STATE_DIR": "/state", **(environ or {})}, **more
    )


def refusal(environ: dict[str, str], **more: Any) -> str:
    """Return the one line; an error that says more than it may fails here already."""
    with pytest.raises(ConfigurationError) as caught:
        load({"NAS_SYNCD_LANGUAGE": "en", **environ}, **more)
    line = str(caught.value)
    assert line
    assert line.replace("\u00a0", " ").isprintable()
    whole = "".join(traceback.format_exception(caught.value)) + repr(caught.value.params)
    assert SECRET not in whole
    assert not isinstance(caught.value.__context__, ValidationError)
    return line


# -- sources ---------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_contract():
    found = load()
    assert found.nas_path == ""
    assert found.type_folders == {
        "receipt": "tickets",
        "invoice": "factures",
        "payslip": "salaires",
        "other": "autres",
    }
    assert (found.nas_timeout_seconds, found.min_free_space) == (30, 2**30)
    assert (found.scan_seconds, found.settle_seconds, found.workers) == (30, 2, 4)
    assert (found.language, found.watch, found.metadata_wait_seconds) == ("fr", "auto", 3600)
    assert (found.api_host, found.api_port, found.db_table) == ("127.0.0.1", 8377, "documents")


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    file = tmp_path / "a.env"
    file.write_text("NAS_SYNCD_WORKERS=2\nNAS_SYNCD_WATCH=poll\n")
    found = load_settings(file, environ={"NAS_SYNCD_WORKERS": "3"}, scan_seconds=5, api_port=None)
    assert (found.workers, found.watch, found.scan_seconds, found.api_port) == (3, "poll", 5, 8377)
    assert found.source_file == file
    assert found.origin("workers") == "environment"
    assert found.origin("watch") == str(file)
    assert found.origin("scan_seconds") == "argument"
    assert found.origin("api_port") == "default"


def test_only_the_first_file_that_exists_is_read(home):
    ours = home / "home" / ".config" / "nas-syncd"
    ours.mkdir(parents=True)
    (ours / "config.env").write_text("NAS_SYNCD_WORKERS=7\nNAS_SYNCD_WATCH=poll\n")
    assert load_settings(environ={}).workers == 7

    (home / "here" / ".env").write_text("NAS_SYNCD_WORKERS=5\n")
    found = load_settings(environ={})
    assert (found.workers, found.watch) == (5, "auto")
    assert found.source_file == home / "here" / ".env"


def test_a_virtual_environment_called_env_is_no_settings_file(home):
    (home / "here" / ".env").mkdir()
    assert load_settings(environ={}).source_file is None


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives a file to somebody else")
@pytest.mark.parametrize("mode", [0o1777, 0o755])
def test_a_file_that_a_stranger_left_in_a_folder_for_all_is_not_obeyed(home, mode):
    """In /tmp anybody may leave a ``.env`` that names a log file to write and a database to ask."""
    folder, file = Path.cwd(), Path(".env")
    file.write_text("NAS_SYNCD_WORKERS=7")
    os.chown(file, 65534, 65534)
    folder.chmod(mode)
    environ = {"NAS_SYNCD_STATE_DIR": "/state", "NAS_SYNCD_LANGUAGE": "en"}

    if mode == 0o755:  # a folder of the backend's own, where its user's file lies
        assert load_settings(environ=environ).workers == 7
        return
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environ=environ)
    assert str(folder / ".env") in str(refused.value)
    assert load_settings(file, environ=environ).workers == 7


def test_a_file_that_was_asked_for_has_to_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere"):
        load_settings(tmp_path / "nowhere.env", environ={})
    with pytest.raises(ConfigurationError):
        load_settings(tmp_path, environ={})


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path):
    file = tmp_path / "a.env"
    file.write_bytes(b"UPLOAD_DIR=/srv/\xe9\n")
    with pytest.raises(ConfigurationError, match=r"a\.env.*UTF-8"):
        load_settings(file, environ={})


def test_the_backends_own_file_is_read_as_the_backend_reads_it(tmp_path):
    file = tmp_path / "a.env"
    file.write_text(
        "\ufeff# backend\nSECRET_KEY=abc\nDEBUG\nDB_PASSWORD=pw1234\nthis is no assignment\n"
        'export DATABASE_URL="postgresql://app:${DB_PASSWORD}@db/${DB_NAME:-docs}"\n'
        "upload_dir='/srv/up loads' # where they go\nNAS_MOUNT_PATH=${ROOT}/nas\r\n"
    )
    found = load_settings(file, environ={"ROOT": "/mnt"})
    assert found.database_url.get_secret_value() == "postgresql://app:pw1234@db/docs"
    assert (found.upload_dir, found.nas_path) == ("/srv/up loads", "/mnt/nas")


def test_a_line_that_names_one_of_ours_and_cannot_be_read_is_refused(tmp_path):
    file = tmp_path / "a.env"
    file.write_text(f'OTHER=1\n\nDATABASE_URL="postgresql://u:{SECRET}@h/d\n')
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environ={"NAS_SYNCD_LANGUAGE": "en"})
    assert "DATABASE_URL" in str(caught.value)
    assert "line 3" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_empty_value_counts_as_not_given(tmp_path):
    file = tmp_path / "a.env"
    file.write_text("NAS_LOCAL_PATH=/mnt/file\nNAS_SYNCD_WORKERS=\n")
    found = load_settings(file, environ={"NAS_LOCAL_PATH": "", "NAS_SYNCD_API_PORT": "  "})
    assert (found.nas_path, found.workers, found.api_port) == ("/mnt/file", 4, 8377)
    assert found.origin("nas_local_path") == str(file)


def test_the_class_itself_reads_no_environment(monkeypatch):
    monkeypatch.setenv("WORKERS", "9")
    monkeypatch.setenv("NAS_SYNCD_WORKERS", "9")
    assert Settings().workers == 4


def test_names_may_be_in_lower_case_and_the_exact_one_wins():
    assert load({"nas_mount_path": "/a", "nas_syncd_workers": "2"}).workers == 2
    assert load({"nas_mount_path": "/a", "NAS_MOUNT_PATH": "/b"}).nas_path == "/b"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NAS_SYNCD_WORKER", "NAS_SYNCD_WORKERS"),
        ("NAS_SYNCD_UPLOAD_DIR", "UPLOAD_DIR"),
        ("NAS_SYNCD_PORT", "NAS_SYNCD_API_PORT"),
        ("nas_syncd_scan_second", "NAS_SYNCD_SCAN_SECONDS"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_an_unknown_name_of_ours_is_refused_with_what_was_meant(name, meant, place, tmp_path):
    file = tmp_path / "a.env"
    file.write_text(f"{name}=1\n" if place == "file" else "")
    environ = {"NAS_SYNCD_LANGUAGE": "en"} | ({name: "1"} if place == "environment" else {})
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environ=environ)
    assert f"did you mean {meant}?" in str(caught.value)
    assert name in str(caught.value)


def test_what_kubernetes_sets_for_a_service_of_our_name_is_not_a_setting():
    links = {
        "NAS_SYNCD_SERVICE_HOST": "10.0.0.1",
        "NAS_SYNCD_SERVICE_PORT_HTTP": "8377",
        "NAS_SYNCD_PORT": "tcp://10.0.0.1:8377",
        "NAS_SYNCD_PORT_8377_TCP_ADDR": "10.0.0.1",
    }
    assert load(links).api_port == 8377


def test_the_state_directory_is_systemds_or_the_users(home, monkeypatch):
    by_systemd = load_settings(NOTHING, environ={"STATE_DIRECTORY": "/var/lib/one:/var/lib/two"})
    assert by_systemd.state_dir == Path("/var/lib/one")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert load_settings(NOTHING, environ={}).state_dir == Path("/var/lib/nas-syncd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert load_settings(NOTHING, environ={}).state_dir.is_relative_to(home / "home")


# -- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        ("NAS_SYNCD_WORKERS", "0", "1 to 64"),
        ("NAS_SYNCD_WORKERS", "65", "1 to 64"),
        ("NAS_SYNCD_WORKERS", "four", "1 to 64"),
        ("NAS_SYNCD_API_PORT", "65536", "0 to 65535"),
        ("NAS_SYNCD_API_PORT", "-1", "0 to 65535"),
        ("NAS_SYNCD_SETTLE_SECONDS", "-1", "0 to 3600"),
        ("NAS_SYNCD_SCAN_SECONDS", "0", "0.05 to 86400"),
        ("NAS_SYNCD_SCAN_SECONDS", "nan", "seconds"),
        ("NAS_SYNCD_NAS_TIMEOUT_SECONDS", "inf", "seconds"),
        ("NAS_SYNCD_NAS_TIMEOUT_SECONDS", "0", "seconds"),
        ("NAS_SYNCD_METADATA_WAIT_SECONDS", "1h", "seconds"),
        ("NAS_SYNCD_MIN_FREE_SPACE", "1,5GiB", "size"),
        ("NAS_SYNCD_MIN_FREE_SPACE", "-1GiB", "size"),
        ("NAS_SYNCD_MIN_FREE_SPACE", "5 bananas", "size"),
        ("NAS_SYNCD_MIN_FREE_SPACE", "9" * 400, "size"),
        ("NAS_SYNCD_MIN_FREE_SPACE", "99999999EiB", "size"),
        ("NAS_SYNCD_WATCH", "inotify", "auto, native, poll"),
        ("NAS_SYNCD_LANGUAGE", "de", "fr, en"),  # said in French
        ("NAS_SYNCD_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("NAS_SYNCD_LOG_FORMAT", "xml", "auto, console, json"),
        ("NAS_SYNCD_API_HOST", "http://here", "host name"),
        ("NAS_MOUNT_PATH", "mnt/nas", "absolute path"),
        ("NAS_MOUNT_PATH", "//nas/finance", "mounted"),
        ("NAS_LOCAL_PATH", "smb://nas/finance", "mounted"),
        ("NAS_MOUNT_PATH", '"/mnt/nas"', "absolute path"),
        ("UPLOAD_DIR", "/srv/\udcff", "UTF-8"),
        ("UPLOAD_DIR", "/srv/\x1b[31m", "control"),
        ("NAS_SYNCD_LOG_FILE", "nas.log", "absolute path"),
        ("NAS_SYNCD_DB_UPLOAD_DIR", "../uploads", "file_path"),
        ("NAS_SYNCD_DB_TABLE", "a.b.c", "schema.table"),
        ("NAS_SYNCD_DB_COLUMNS", "file=pfad", "did you mean file_path?"),
        ("NAS_SYNCD_DB_COLUMNS", '{"id": 3}', "JSON"),
        ("NAS_SYNCD_DB_COLUMNS", "synced_at=date", "'date'"),
        ("NAS_SYNCD_DB_COLUMNS", "user_id=synced_to_nas", "'synced_to_nas'"),
        ("NAS_SYNCD_TYPE_FOLDERS", "receipt", "type=folder"),
        ("NAS_SYNCD_TYPE_FOLDERS", '{"receipt"', "type=folder"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(name, given, allowed):
    environ = {name: given}
    line = refusal(environ)
    assert line.startswith(name) or name == "NAS_SYNCD_LANGUAGE"
    assert allowed in line
    assert given[:20].encode("unicode_escape").decode()[:4] in line


@pytest.mark.parametrize(
    "folder",
    [
        ".",
        "..",
        "a/b",
        "a\\b",
        "CON",
        "com1.txt",
        "a:b",
        "a.",
        "._a",
        ".nas-syncd",
        ".NAS-Syncd-x",
        "x" * 256,
        "é" * 128,
        "a?",
    ],
)
def test_a_folder_that_an_smb_server_could_not_hold_is_refused(folder):
    assert "cannot be a folder" in refusal({"NAS_SYNCD_TYPE_FOLDERS": f"receipt={folder}"})


@pytest.mark.parametrize(
    "given", ["Contract=contrats, RECEIPT=caisse", '{"contract": "contrats", "receipt": "caisse"}']
)
def test_type_folders_are_laid_over_the_default(given):
    assert load({"NAS_SYNCD_TYPE_FOLDERS": given}).type_folders == {
        "receipt": "caisse",
        "invoice": "factures",
        "payslip": "salaires",
        "other": "autres",
        "contract": "contrats",
    }


@pytest.mark.parametrize("given", ["id=uuid,date=doc_date", '{"id": "uuid", "date": "doc_date"}'])
def test_columns_are_mapped_in_both_ways_of_writing(given):
    assert load({"NAS_SYNCD_DB_COLUMNS": given}).db_columns == {"id": "uuid", "date": "doc_date"}


def test_one_column_may_be_read_as_two():
    mapped = load({"NAS_SYNCD_DB_COLUMNS": "date=created_at"}).db_columns
    assert mapped == {"date": "created_at"}


@pytest.mark.parametrize(
    ("given", "size"),
    [("1GiB", 2**30), ("1.5 gib", 3 * 2**29), ("500MB", 500 * 10**6), ("0", 0), ("1024", 1024)],
)
def test_sizes_are_read_as_people_write_them(given, size):
    assert load({"NAS_SYNCD_MIN_FREE_SPACE": given}).min_free_space == size


def test_paths_are_expanded_and_made_plain_without_a_look_at_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    looked_at: list[str] = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def asked(path, *args, **kwargs):
            looked_at.append(str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, name, asked)

    with monkeypatch.context():
        for name in ("stat", "lstat", "scandir", "listdir", "open", "access", "readlink"):
            spy(name)
        found = load({"NAS_MOUNT_PATH": "/mnt/x/..//nas-here/", "UPLOAD_DIR": "~/up/./x/.."})
    assert (found.nas_path, found.upload_dir) == ("/mnt/nas-here", f"{tmp_path}/up")
    assert not [path for path in looked_at if "nas-here" in path or path.endswith("/up")]


def test_the_local_path_wins_over_the_containers():
    both = {"NAS_LOCAL_PATH": "/Volumes/NAS", "NAS_MOUNT_PATH": "/app/nas"}
    assert load(both).nas_path == "/Volumes/NAS"
    assert load({"NAS_MOUNT_PATH": "/app/nas"}).nas_path == "/app/nas"


def test_notify_addresses_may_hold_commas():
    found = load({"NAS_SYNCD_NOTIFY_URLS": "mailto://a:b@c?to=x,y, ntfy://z  json://h"})
    assert [url.get_secret_value() for url in found.notify_urls] == [
        "mailto://a:b@c?to=x,y",
        "ntfy://z",
        "json://h",
    ]


def test_settings_cannot_be_changed_and_take_no_unknown_name():
    with pytest.raises(ValidationError):
        load().workers = 3
    with pytest.raises(TypeError, match="wrokers"):
        load(wrokers=3)


# -- folders apart ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uploads", "nas", "state"),
    [
        ("/data", "/data/nas", "/state"),
        ("/data/uploads", "/data", "/state"),
        ("/data", "/data", "/state"),
        ("/data/x/../nas/u", "/data/nas", "/state"),
        ("/up", "/nas", "/nas/state"),
        ("/up", "/nas", "/up"),
        ("/up", "/state/nas", "/state"),
    ],
)
def test_folders_within_one_another_are_refused(uploads, nas, state):
    line = refusal({"UPLOAD_DIR": uploads, "NAS_MOUNT_PATH": nas, "NAS_SYNCD_STATE_DIR": state})
    assert "separate folders" in line
    assert sum(name in line for name in ("UPLOAD_DIR", "NAS_MOUNT_PATH", "STATE_DIR")) == 2


def test_folders_side_by_side_are_accepted():
    found = load({"UPLOAD_DIR": "/data/up", "NAS_LOCAL_PATH": "/data/upnas"})
    assert found.upload_dir == "/data/up"


def test_a_link_from_the_state_directory_into_the_nas_is_refused_without_following_it(
    tmp_path, monkeypatch
):
    nas, link = tmp_path / "nas", tmp_path / "link"
    link.symlink_to(nas / "deep")
    asked: list[str] = []
    readlink = os.readlink

    def spy(path):
        asked.append(str(path))
        return readlink(path)

    monkeypatch.setattr(os, "readlink", spy)
    line = refusal({"NAS_MOUNT_PATH": str(nas), "NAS_SYNCD_STATE_DIR": str(link / "state")})
    assert "separate folders" in line
    assert str(link) in asked
    assert not [path for path in asked if path.startswith(str(nas))]


def test_a_state_directory_whose_links_go_round_is_no_trouble(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to("a")
    assert load({"NAS_SYNCD_STATE_DIR": str(tmp_path / "a")}).state_dir == tmp_path / "a"


@pytest.mark.parametrize("name", ["UPLOAD_DIR", "NAS_MOUNT_PATH"])
def test_the_log_file_may_not_lie_on_the_nas_or_among_the_uploads(name):
    line = refusal({name: "/data", "NAS_SYNCD_LOG_FILE": "/data/logs/x.log"})
    assert line.startswith("NAS_SYNCD_LOG_FILE")
    assert name in line


# -- the database's address, and secrets ------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (SECRET, "sqlite:////path"),
        (f"postgresql:/u:{SECRET}@h/d", "sqlite:////path"),
        (f"oracle://u:{SECRET}@h/d", "'oracle'"),
        (f"postgresql://u:{SECRET}@@h/d", "%40"),
        (f"postgresql://u:x@{SECRET}@h/d", "%40"),
        (f"postgresql://u:x@y/{SECRET}@h/d", "%40"),
        (f"mysql+pymysql://u:{SECRET}@h:33o6/d", "port"),
        (f"postgresql://u:{SECRET}@h:99999/d", "port"),
        ("sqlite://", "a file is needed"),
        ("sqlite:///:memory:", "a file is needed"),
        (f"postgresql://u:{SECRET}\n@h/d", "control"),
    ],
)
def test_a_bad_database_address_is_refused_without_repeating_it(url, allowed):
    line = refusal({"DATABASE_URL": url})
    assert line.startswith("DATABASE_URL")
    assert allowed in line


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/app.db",
        "sqlite:///./app.db",
        "sqlite+aiosqlite:////home/me@x/app.db",
        f"postgres://u:{SECRET}@h/d",
        f"postgresql+asyncpg://u:{SECRET}@[::1]:5432/d?ssl=require",
        f"postgresql://u:{SECRET}/x@/d?host=/run/pg",
        f"mariadb+pymysql://u:{SECRET}@h:3306/d",
        f"postgresql://h/d?user=u&password={SECRET}&x=1",
    ],
)
def test_a_good_database_address_is_accepted_and_shown_without_its_password(url):
    found = load({"DATABASE_URL": url})
    shown = {name: value for name, value, _ in describe(found)}["DATABASE_URL"]
    assert SECRET not in shown
    assert shown.partition("://")[0] == url.partition("://")[0]
    assert shown.endswith(url[-2:])
    assert (SECRET in url) == bool(found.secrets())


def test_no_secret_shows_in_any_way_of_printing_the_settings():
    found = load(
        {
            "DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
            "NAS_SYNCD_API_TOKEN": SECRET,
            "NAS_SYNCD_NOTIFY_URLS": f"ntfy://{SECRET}/x",
        }
    )
    for shown in (repr(found), str(found), repr(describe(found)), found.model_dump_json()):
        assert SECRET not in shown
    assert found.secrets() == [SECRET, SECRET, f"ntfy://{SECRET}/x"]


def test_the_encoded_and_the_plain_password_are_both_secrets():
    secrets = load({"DATABASE_URL": "mysql://u:p%40ss%2Fw@h/d"}).secrets()
    assert set(secrets) == {"p%40ss%2Fw", "p@ss/w"}


def test_a_wrong_secret_is_refused_without_being_shown():
    assert "not shown" in refusal({"NAS_SYNCD_NOTIFY_URLS": SECRET})


def test_the_refusal_is_in_the_language_that_is_set():
    with pytest.raises(ConfigurationError, match="nombre entier de 1 à 64"):
        load({"NAS_SYNCD_WORKERS": "0"})
    with pytest.raises(ConfigurationError, match="whole number from 1 to 64"):
        load({"NAS_SYNCD_WORKERS": "0"}, language="en")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "unknown setting"), ("fr", "réglage inconnu")]
)
def test_an_unknown_name_is_refused_in_the_language_of_the_file_it_stands_in(
    language, words, tmp_path
):
    file = tmp_path / "a.env"
    file.write_text(f"NAS_SYNCD_LANGUAGE={language}\nNAS_SYNCD_WORKRES=4\n")

    with pytest.raises(ConfigurationError, match=words):
        load_settings(file, environ={})


# -- run and backend -------------------------------------------------------------------------


def test_run_needs_the_nas_the_database_and_the_uploads():
    full = {
        "NAS_MOUNT_PATH": "/mnt/nas",
        "DATABASE_URL": "sqlite:////srv/app.db",
        "UPLOAD_DIR": "/srv/uploads",
    }
    require_for_run(load(full))
    for missing in full:
        rest = {name: value for name, value in full.items() if name != missing}
        with pytest.raises(ConfigurationError, match=missing):
            require_for_run(load(rest))


def test_inside_the_backend_only_the_containers_path_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {
        "NAS_LOCAL_PATH": "/Volumes/NAS",
        "NAS_MOUNT_PATH": "/app/nas",
        "DATABASE_URL": f"oracle://u:{SECRET}@h",
        "UPLOAD_DIR": "./uploads",
    }
    found = load(environ, for_backend=True)
    assert (found.nas_path, found.nas_local_path) == ("/app/nas", "")
    assert found.upload_dir == str(tmp_path / "uploads")
    assert SECRET not in repr(describe(found))
    assert load({**environ, "NAS_MOUNT_PATH": ""}, for_backend=True).nas_path == ""


def test_inside_the_backend_a_wrong_setting_raises_as_well():
    assert "NAS_SYNCD_WORKERS" in refusal({"NAS_SYNCD_WORKERS": "x"}, for_backend=True)


def test_the_terminal_and_the_journal_are_asked_of_the_environment():
    assert subject.wants_colour({"TERM": "xterm"})
    assert not subject.wants_colour({"NO_COLOR": "1"})
    assert not subject.wants_colour({"TERM": "dumb"})
    assert subject.journal_stream({"JOURNAL_STREAM": "8:123"}) == "8:123"
    assert subject.journal_stream({}) is None


# -- config.example.env ----------------------------------------------------------------------


def example_values() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def test_the_example_lists_every_setting_and_no_other():
    assert set(example_values()) == {env_name(name) for name in Settings.model_fields}


def test_every_setting_in_the_example_is_explained():
    paragraphs = [part.strip() for part in EXAMPLE.read_text().split("\n\n")]
    settings = [part for part in paragraphs if not part.splitlines()[-1].startswith("#")]
    assert len(settings) == len(Settings.model_fields)
    assert all(len(part.splitlines()) >= 2 for part in settings)


def test_the_example_loads_as_it_stands_and_gives_the_defaults():
    from_example = load_settings(EXAMPLE, environ={})
    defaults = load_settings(NOTHING, environ={})
    assert from_example.model_dump() == defaults.model_dump()
    assert from_example.source_file == EXAMPLE


def test_the_values_in_the_example_are_the_defaults_themselves():
    shown = {name: value for name, value, _ in describe(load_settings(NOTHING, environ={}))}
    for name, value in example_values().items():
        if name != "NAS_SYNCD_STATE_DIR":
            assert value == shown[name].replace("1.0GiB", "1GiB"), name


def test_a_setting_built_in_code_is_as_secret_as_one_from_the_environment():
    assert SECRET not in repr(Settings(api_token=SecretStr(SECRET)))


# -- credentials ------------------------------------------------------------------------------


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """What ``LoadCredential=`` makes for a service."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    return folder


def loaded(folder: Path, env_file: Path = NOTHING, **environ: str) -> Settings:
    where = {"CREDENTIALS_DIRECTORY": str(folder), "NAS_SYNCD_STATE_DIR": "/state"}
    return load_settings(env_file, environ={**where, **environ})


def test_a_credential_wins_over_the_file_and_the_environment_over_both(credentials, tmp_path):
    (credentials / "DATABASE_URL").write_text("sqlite:////from/credential.db\n")
    (credentials / "NAS_SYNCD_API_TOKEN").write_text(f"{SECRET}\n")
    file = tmp_path / "config.env"
    file.write_text("DATABASE_URL=sqlite:////from/file.db\nNAS_SYNCD_WORKERS=2\n")

    settings = loaded(credentials, file)
    assert settings.database_url.get_secret_value() == "sqlite:////from/credential.db"
    assert settings.origin("database_url") == "credential"
    assert settings.api_token.get_secret_value() == SECRET
    assert settings.origin("workers") == str(file)
    assert SECRET in settings.secrets()
    assert SECRET not in repr(settings) + repr(describe(settings))

    settings = loaded(credentials, file, DATABASE_URL="sqlite:////from/environment.db")
    assert settings.database_url.get_secret_value() == "sqlite:////from/environment.db"
    assert settings.origin("database_url") == "environment"


def test_credentials_of_others_and_what_is_no_file_are_none_of_ours(credentials):
    (credentials / "some-tls-key").write_bytes(b"\xff\xfe")
    os.mkfifo(credentials / "DATABASE_URL")  # reading it would wait for ever
    (credentials / "NAS_SYNCD_API_TOKEN").mkdir()

    settings = loaded(credentials)

    assert settings.origin("database_url") == "default"
    assert settings.origin("api_token") == "default"


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_wrong_credential_is_named_as_one_and_not_shown(credentials, language):
    (credentials / "DATABASE_URL").write_text(f"oracle://u:{SECRET}@host/db")

    with pytest.raises(ConfigurationError) as caught:
        loaded(credentials, NAS_SYNCD_LANGUAGE=language)

    assert "DATABASE_URL" in caught.value.detail
    assert "credential" in caught.value.detail
    assert SECRET not in caught.value.detail


def test_a_misspelt_credential_is_refused_and_an_unreadable_one_as_well(credentials):
    (credentials / "NAS_SYNCD_API_TOKN").write_text("x")
    with pytest.raises(ConfigurationError, match="NAS_SYNCD_API_TOKN"):
        loaded(credentials)
    (credentials / "NAS_SYNCD_API_TOKN").unlink()

    (credentials / "DATABASE_URL").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError) as caught:
        loaded(credentials)
    assert str(credentials / "DATABASE_URL") in caught.value.detail


def test_credentials_beside_the_usual_settings_file_are_found_and_beside_others_not(home):
    config = home / "home/.config/nas-syncd"
    (config / "credentials").mkdir(parents=True)
    (config / "config.env").write_text("NAS_SYNCD_WORKERS=2\n")
    (config / "credentials/DATABASE_URL").write_text("sqlite:////from/credential.db")
    (home / "here/credentials").mkdir()
    (home / "here/credentials/DATABASE_URL").write_text("somebody else's")

    settings = load_settings(environ={})
    assert settings.origin("database_url") == "credential"

    (home / "here/.env").write_text("NAS_SYNCD_WORKERS=3\n")
    settings = load_settings(environ={})
    assert (settings.workers, settings.origin("database_url")) == (3, "default")


def test_inside_the_backend_no_credential_counts(credentials):
    (credentials / "DATABASE_URL").write_text("sqlite:////from/credential.db")
    environ = {"CREDENTIALS_DIRECTORY": str(credentials), "NAS_SYNCD_STATE_DIR": "/state"}

    settings = load_settings(NOTHING, environ=environ, for_backend=True)

    assert settings.origin("database_url") == "default"


# -- launchd ----------------------------------------------------------------------------------


def test_under_a_manager_that_keeps_no_log_it_goes_to_the_managers_folder():
    assert load().log_file is None
    launchd = {"LOGS_DIRECTORY": "/Users/anna/Library/Logs/nas-syncd"}
    settings = load(launchd)
    assert settings.log_file == Path("/Users/anna/Library/Logs/nas-syncd/nas-syncd.log")
    assert settings.origin("log_file") == "environment"
    assert load({**launchd, "NAS_SYNCD_LOG_FILE": "/var/own.log"}).log_file == Path("/var/own.log")
    for systemd in ({"NOTIFY_SOCKET": "/run/notify"}, {"JOURNAL_STREAM": "8:1"}):
        assert load({**launchd, **systemd}).log_file is None


# -- every value ------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda word: not set(word) & set("'\"`\\$#=,{}/~") and word != ".."
)
NUMBERS = st.floats(0.1, 3600).map(lambda number: round(number, 3))
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "NAS_LOCAL_PATH": WORDS.map("/nas/{}".format),
        "UPLOAD_DIR": WORDS.map("/uploads/{}".format),
        "NAS_SYNCD_DB_UPLOAD_DIR": WORDS.map("/app/{}".format),
        "NAS_SYNCD_SETTLE_SECONDS": NUMBERS.map(str),
        "NAS_SYNCD_SCAN_SECONDS": NUMBERS.map(str),
        "NAS_SYNCD_NAS_TIMEOUT_SECONDS": NUMBERS.map(str),
        "NAS_SYNCD_WORKERS": st.integers(1, 64).map(str),
        "NAS_SYNCD_API_PORT": st.integers(0, 65535).map(str),
        "NAS_SYNCD_API_TOKEN": WORDS,
        "NAS_SYNCD_MIN_FREE_SPACE": st.integers(0, 2**50).map(str),
        "NAS_SYNCD_LANGUAGE": st.sampled_from(["fr", "en", "EN"]),
        "NAS_SYNCD_WATCH": st.sampled_from(["auto", "native", "poll"]),
    },
)


@given(VALUES)
def test_what_is_set_comes_back_and_can_be_set_again(given_values):
    """The same from the environment and from a file; and what was read, set again, is the same."""
    from_environment = load(given_values)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".env") as file:
        file.write("".join(f"{name}={value}\n" for name, value in given_values.items()))
        file.flush()
        from_file = load_settings(Path(file.name), environ={"NAS_SYNCD_STATE_DIR": "/state"})
    values = from_environment.model_dump()
    again = load({name: _as_set(values[_field(name)]) for name in given_values})

    assert from_file.model_dump() == values
    assert again.model_dump() == values
    assert "NAS_SYNCD_API_TOKEN" not in given_values or (
        from_environment.api_token.get_secret_value() == given_values["NAS_SYNCD_API_TOKEN"]
    )


def _field(name: str) -> str:
    return name.removeprefix("NAS_SYNCD_").lower()


def _as_set(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@given(
    st.dictionaries(
        st.sampled_from([env_name(name) for name in Settings.model_fields]),
        st.text(max_size=40),
        max_size=3,
    )
)
def test_whatever_is_set_is_taken_or_refused_in_one_line(given_values):
    """Never anything but a refusal that names the setting."""
    try:
        load({"NAS_SYNCD_LANGUAGE": "en", **given_values})
    except ConfigurationError as refused:
        line = str(refused)
        assert len(line.splitlines()) == 1
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line)
        assert any(name in line for name in given_values)
