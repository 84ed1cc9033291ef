"""The command line as a whole: help, languages, errors, exit codes, no secret anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import typer

from nas_syncd import __version__, errors
from nas_syncd.cli.app import app, localised
from nas_syncd.cli.app import main as run_main
from nas_syncd.cli.exits import Exit, exit_code
from nas_syncd.messages import TEXTS, cli_en, cli_fr
from tests.cli_desk import Desk, make_desk, on_a_terminal

COMMANDS = [
    "run",
    "demo",
    "adopt",
    "test",
    "config",
    "status",
    "sync",
    "explain",
    "logs",
    "doctor",
    "service",
]


@pytest.fixture
def desk(tmp_path, capsys):
    yield from make_desk(tmp_path, capsys)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )


# -- words ------------------------------------------------------------------------------------


def test_the_command_lines_words_are_there_in_both_languages():
    blank = re.compile(r"\{\w+\}")
    assert {k: sorted(blank.findall(v)) for k, v in cli_fr.TEXTS.items()} == {
        k: sorted(blank.findall(v)) for k, v in cli_en.TEXTS.items()
    }


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_command_and_every_parameter_has_its_help_and_an_example(language):
    command = localised(typer.main.get_command(app), language)
    assert list(command.commands) == COMMANDS
    below = command.commands["service"].commands
    inner = {f"service.{name}": one for name, one in below.items()}
    assert list(below) == ["install", "uninstall", "status", "print"]
    for name, one in (command.commands | inner).items():
        example = TEXTS[language][f"help.{name}.example"].removeprefix("sudo ")
        assert example.startswith(f"nas-syncd {name.replace('.', ' ')}")
        assert TEXTS[language][f"help.{name}"] in one.help
        for parameter in one.params:
            key = f"help.{name}.{parameter.name}"
            assert key in TEXTS[language] or f"help.any.{parameter.name}" in TEXTS[language]


@pytest.mark.parametrize(("language", "words"), [("fr", "Copie maintenant"), ("en", "Copy now")])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_speaks_the_language_that_is_set(name, language, words, capsys, monkeypatch):
    monkeypatch.setenv("NAS_SYNCD_LANGUAGE", language)
    assert run_main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert TEXTS[language]["help.help"] in shown
    assert f"nas-syncd {name}" in shown
    if name == "sync":
        assert words in shown


def test_the_settings_files_language_is_enough_for_help(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NAS_SYNCD_LANGUAGE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("NAS_SYNCD_LANGUAGE=en\n")
    run_main(["--help"])
    assert "Commands:" in capsys.readouterr().out


def test_without_a_command_there_is_help_and_it_counts_as_wrong_usage(capsys):
    assert run_main([]) == Exit.USAGE
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


def test_the_version_is_the_packages(capsys):
    assert run_main(["--version"]) == 0
    assert capsys.readouterr().out == f"nas-syncd {__version__}\n"


def test_help_and_version_come_without_the_parts_that_work():
    heavy = {"pydantic", "sqlalchemy", "structlog", "watchdog", "nas_syncd.agent"}
    told = python(
        "import sys; from nas_syncd.cli import main; main(['--help']); main(['--version'])\n"
        f"print('HEAVY', sorted({heavy!r} & set(sys.modules)))"
    )
    assert "HEAVY []" in told.stdout, told.stderr


def test_the_shells_completion_can_be_had():
    told = subprocess.run(
        [sys.executable, "-m", "nas_syncd"],
        env={
            "_NAS_SYNCD_COMPLETE": "complete_bash",
            "COMP_WORDS": "nas-syncd sta",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout.split() == ["status"]


# -- errors -----------------------------------------------------------------------------------


def test_every_error_has_its_exit_code():
    codes = {code: exit_code(errors.error_from(code)) for code in errors.BY_CODE}
    assert codes["configuration.schema"] == 78
    assert codes["mount.hung"] == codes["mount.full"] == 69
    assert codes["database.unavailable"] == codes["journal.busy"] == codes["uploads.error"] == 75
    assert codes["source.missing"] == 1


@pytest.mark.parametrize("name", ["run", "adopt", "sync", "status", "explain"])
def test_without_settings_each_command_names_the_one_it_lacks(name, desk: Desk):
    desk.stage.settings = {"NAS_SYNCD_STATE_DIR": desk.stage.state, "NAS_SYNCD_LANGUAGE": "en"}
    said = desk(name, *(["1"] if name == "explain" else []))
    assert said.code == Exit.CONFIGURATION
    assert re.fullmatch(r"nas-syncd: Setting refused: (NAS_MOUNT_PATH|DATABASE_URL) .*\n", said.err)
    assert said.out == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"NAS_SYNCD_WORKES": "3"}, "NAS_SYNCD_WORKERS"),
        ({"NAS_SYNCD_WORKERS": "many"}, "'many'"),
        ({"DATABASE_URL": "oracle://u:geheim99@h/x"}, "DATABASE_URL"),
        ({"NAS_SYNCD_DB_TABLE": "papers"}, "papers"),
        ({"NAS_SYNCD_DB_COLUMNS": "file_path=pfad"}, "pfad"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_78(settings, words, desk: Desk):
    said = desk("status", **settings)
    assert said.code == Exit.CONFIGURATION
    assert words in said.err
    assert said.err.count("\n") == 1
    assert "geheim99" not in said.all
    assert "Traceback" not in said.all


@pytest.mark.parametrize("name", ["status", "config", "test", "sync", "logs"])
def test_json_is_printed_for_an_error_too(name, desk: Desk):
    said = desk(name, "--json", NAS_SYNCD_WORKERS="many")
    assert said.code == Exit.CONFIGURATION
    assert said.data["error"]["code"] == "configuration.invalid"
    assert "NAS_SYNCD_WORKERS" in said.data["error"]["message"]
    assert said.err == ""


def test_wrong_usage_is_2_in_words_and_in_json(desk: Desk):
    assert desk("sync", "--nonsense").code == Exit.USAGE
    assert "--nonsense" in desk("sync", "--nonsense").err
    said = desk("sync", "--nonsense", "--json")
    assert said.code == Exit.USAGE
    assert said.data["error"]["code"] == "cli.usage"
    assert desk("no-such-command").code == Exit.USAGE


def test_a_settings_file_that_is_not_there_is_named(tmp_path, capsys):
    assert run_main(["--env-file", str(tmp_path / "no.env"), "status"]) == Exit.CONFIGURATION
    assert "no.env" in capsys.readouterr().err


def test_the_env_file_may_stand_behind_the_command(desk: Desk, capsys):
    env_file = str(desk.stage.env_file)
    assert run_main(["config", "--json", "--env-file", env_file]) == 0
    assert json.loads(capsys.readouterr().out)["settings_file"] == env_file


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("sync",),
        ("sync", "--json"),
        ("explain", "1"),
        ("explain", "1", "--json"),
        ("config",),
        ("config", "--json"),
        ("adopt", "--yes"),
    ],
)
def test_the_databases_password_is_shown_nowhere(arguments, desk: Desk):
    url = "postgresql://finance:geheim%4099@127.0.0.1:1/x?connect_timeout=1"
    said = desk(*arguments, DATABASE_URL=url)
    assert said.all
    assert "geheim" not in said.all


def test_nobody_reading_any_more_is_no_error(desk: Desk):
    desk.adopted()
    process = desk.start("config", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors_shown:
        assert "Traceback" not in errors_shown.read()
    assert process.wait(30) in (Exit.DONE, Exit.FAILED)


# -- terminals --------------------------------------------------------------------------------


def test_colours_only_on_a_terminal_and_not_where_they_are_not_wanted(desk: Desk):
    desk.adopted()
    assert "\x1b[" not in desk("status").all
    _, coloured = on_a_terminal(desk.stage, "status")
    assert "\x1b[1;32m" in coloured
    _, plain = on_a_terminal(desk.stage, "status", NO_COLOR="1")
    assert "\x1b[1;32m" not in plain
    assert "\x1b[32m" not in plain
    _, told = on_a_terminal(desk.stage, "status", "--json")
    assert "\x1b[" not in told
    assert json.loads(told)["total_documents"] == 0
