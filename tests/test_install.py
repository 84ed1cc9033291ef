"""The unit and the property list: rendered purely, planned before anything is touched."""

from __future__ import annotations

import plistlib
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from nas_syncd.install import prepare
from nas_syncd.install.account import account_by_number, account_of
from nas_syncd.install.errors import UnknownUserError
from nas_syncd.install.interpreter import lasting
from nas_syncd.install.job import (
    Job,
    Places,
    agent,
    private_tmp,
    protect_home,
    remembered,
    system_unit,
    user_unit,
)
from nas_syncd.install.templates import AGENT, SYSTEM_UNIT, USER_UNIT, blanks, template
from nas_syncd.settings import load_settings

ROOT = Path(__file__).parents[1]
JOB = Job("/opt/nas-syncd/bin/python", "/etc/nas-syncd/config.env", "finance", "family")

# launchd.plist(5); a key that is not in it is ignored in silence.
LAUNCHD_KEYS = {
    "Label",
    "Disabled",
    "UserName",
    "GroupName",
    "inetdCompatibility",
    "LimitLoadToHosts",
    "LimitLoadFromHosts",
    "LimitLoadToSessionType",
    "LimitLoadToHardware",
    "LimitLoadFromHardware",
    "Program",
    "BundleProgram",
    "ProgramArguments",
    "EnableGlobbing",
    "EnableTransactions",
    "EnablePressuredExit",
    "OnDemand",
    "ServiceIPC",
    "KeepAlive",
    "RunAtLoad",
    "RootDirectory",
    "WorkingDirectory",
    "EnvironmentVariables",
    "Umask",
    "TimeOut",
    "ExitTimeOut",
    "ThrottleInterval",
    "InitGroups",
    "WatchPaths",
    "QueueDirectories",
    "StartOnMount",
    "StartInterval",
    "StartCalendarInterval",
    "StandardInPath",
    "StandardOutPath",
    "StandardErrorPath",
    "Debug",
    "WaitForDebugger",
    "SoftResourceLimits",
    "HardResourceLimits",
    "Nice",
    "ProcessType",
    "AbandonProcessGroup",
    "LowPriorityIO",
    "LowPriorityBackgroundIO",
    "MaterializeDatalessFiles",
    "LaunchOnlyOnce",
    "MachServices",
    "Sockets",
    "LaunchEvents",
    "HopefullyExitsLast",
    "HopefullyExitsFirst",
    "SessionCreate",
    "LegacyTimers",
    "AssociatedBundleIdentifiers",
}
KEEP_ALIVE_KEYS = {
    *("SuccessfulExit", "NetworkState", "PathState", "OtherJobEnabled", "Crashed"),
    "AfterInitialDemand",
}
LIMIT_KEYS = {
    *("Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses"),
    *("ResidentSetSize", "Stack"),
}


def options(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


# -- systemd ----------------------------------------------------------------------------------


def test_the_systems_unit_says_what_is_run_and_as_whom():
    unit = system_unit(JOB)

    assert options(unit, "ExecStart") == [
        "/opt/nas-syncd/bin/python -P -m nas_syncd run --env-file /etc/nas-syncd/config.env"
    ]
    assert options(unit, "User") == ["finance"]
    assert options(unit, "Group") == ["family"]
    assert options(unit, "LoadCredential") == []
    assert not blanks(unit)


def test_secrets_are_loaded_from_their_files_only():
    path = "/etc/nas-syncd/credentials/DATABASE_URL"
    unit = system_unit(replace(JOB, credentials=(("DATABASE_URL", path),)))

    assert options(unit, "LoadCredential") == [f"DATABASE_URL:{path}"]


def test_a_units_commands_survive_spaces_percents_dollars_and_quotes():
    python, file = "/opt/my env/bin/python", '/etc/a "b" 50% $HOME\\c.env'
    unit = user_unit(Job(python, file))

    line = options(unit, "ExecStart")[0]
    assert line.startswith('"/opt/my env/bin/python" -P ')
    assert line.endswith('"/etc/a \\"b\\" 50%% $$HOME\\\\c.env"')
    assert remembered(unit).settings_file == file


@pytest.mark.parametrize("render", [system_unit, user_unit])
def test_both_units_keep_what_was_promised_of_them(render):
    unit = render(JOB)

    for option, value in {
        "Type": "notify",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "78",
        "KillMode": "mixed",
        "TimeoutStopSec": "12",
        "WatchdogSec": "120",
        "NoNewPrivileges": "yes",
    }.items():
        assert options(unit, option) == [value], option
    for unwanted in ("RequiresMountsFor", "BindsTo", "DynamicUser"):
        assert options(unit, unwanted) == []


def test_an_installed_unit_tells_what_it_was_given():
    found = remembered(system_unit(JOB))

    assert found.settings_file == JOB.settings_file
    assert (found.user, found.group) == ("finance", "family")
    assert remembered("").user is None
    assert remembered('ExecStart=/bin/x "open').settings_file is None


@pytest.mark.parametrize(
    ("places", "home", "tmp"),
    [
        (Places(("/mnt/nas",), ("/srv/uploads",)), "yes", "yes"),
        (Places(("/mnt/nas",), ("/home/me/uploads",)), "read-only", "yes"),
        (Places(("/home/me/nas",), ("/home/me/uploads",)), "no", "yes"),
        (Places(("/root/app.db",), ()), "no", "yes"),
        (Places(("/mnt/nas",), ("/tmp/mysql.sock",)), "yes", "no"),
        (Places(("/homes/nas",), ("/tmpfiles",)), "yes", "yes"),
    ],
)
def test_homes_and_temporary_folders_are_open_only_where_the_work_lies_there(places, home, tmp):
    assert protect_home(places) == home
    assert private_tmp(places) == tmp
    unit = system_unit(replace(JOB, places=places))
    assert options(unit, "ProtectHome") == [home]
    assert options(unit, "PrivateTmp") == [tmp]


@pytest.mark.parametrize("name", [SYSTEM_UNIT, USER_UNIT, AGENT])
def test_a_template_can_be_read_as_it_is_and_has_few_blanks(name):
    text = template(name)

    assert len(blanks(text)) <= 7
    assert 'Written by "nas-syncd service install' in text
    assert "by hand" in text


def test_the_user_is_named_with_the_group_that_is_wished_or_its_own():
    root = account_of("root")
    assert (root.user, root.uid, root.gid) == ("root", 0, 0)
    nobody = account_of("nobody:root")
    assert (nobody.user, nobody.group, nobody.gid) == ("nobody", "root", 0)
    assert account_of(str(nobody.uid)).user == "nobody"
    assert account_by_number(4_242_424) is None
    for wrong in ("no-such-user", "nobody:no-such-group", "4242424", "99999999999999"):
        with pytest.raises(UnknownUserError):
            account_of(wrong)


# -- launchd ----------------------------------------------------------------------------------


def property_list(job: Job = JOB, logs: str = "/Users/anna/Library/Logs/nas-syncd"):
    return plistlib.loads(agent(job, logs).encode())


def test_every_key_of_the_property_list_is_one_that_launchd_knows():
    found = property_list()

    assert set(found) <= LAUNCHD_KEYS
    assert set(found["KeepAlive"]) <= KEEP_ALIVE_KEYS
    assert set(found["SoftResourceLimits"]) <= LIMIT_KEYS


def test_the_property_list_starts_the_interpreter_itself_by_absolute_paths():
    found = property_list()

    assert found["ProgramArguments"][0] == JOB.python
    assert found["ProgramArguments"][-2:] == ["--env-file", JOB.settings_file]
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["ThrottleInterval"] == 30
    assert found["ProcessType"] == "Standard"
    assert found["StandardErrorPath"] == "/Users/anna/Library/Logs/nas-syncd/crash.log"


def test_names_with_signs_of_xml_do_not_break_the_property_list():
    job = Job("/opt/a&b/<python>", '/Users/"me"/config.env')

    assert property_list(job)["ProgramArguments"][0] == job.python
    assert property_list(job)["ProgramArguments"][-1] == job.settings_file


# -- the interpreter --------------------------------------------------------------------------


@pytest.fixture
def brew(tmp_path: Path) -> Path:
    """Homebrew's folders: a version in the Cellar, and the lasting name beside it."""
    real = tmp_path / "Cellar/python@3.12/3.12.4/bin"
    real.mkdir(parents=True)
    (real / "python3.12").touch()
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/python@3.12").symlink_to("../Cellar/python@3.12/3.12.4")
    return tmp_path


def test_homebrews_interpreter_goes_by_the_name_that_outlives_an_upgrade(brew: Path):
    found = lasting(str(brew / "Cellar/python@3.12/3.12.4/bin/python3.12"))

    assert found.path == str(brew / "opt/python@3.12/bin/python3.12")
    assert found.vanishing is None


@pytest.mark.parametrize(
    ("target", "vanishes"),
    [("opt/python@3.12/bin/python3.12", False), ("Cellar/python@3.12/3.12.4/bin/python3.12", True)],
)
def test_an_environment_that_rests_on_a_version_is_told_of(brew: Path, target: str, vanishes: bool):
    environment = brew / "env/bin"
    environment.mkdir(parents=True)
    (environment / "python3").symlink_to(brew / target)
    (environment / "python").symlink_to("python3")

    found = lasting(str(environment / "python"))

    assert found.path == str(environment / "python")  # never resolved: the packages lie there
    assert (found.vanishing is not None) is vanishes
    if vanishes:
        assert found.vanishing == str(brew / target)


# -- the wheel --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_wheel_carries_the_templates_and_finds_them(tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")

    folder = "nas_syncd/install/templates"
    for source in [*(ROOT / "systemd").rglob("*"), *(ROOT / "launchd").rglob("*")]:
        if source.is_file():
            assert f"{folder}/{source.relative_to(ROOT)}" in names
            packed = tmp_path / "site" / folder / source.relative_to(ROOT)
            assert packed.read_bytes() == source.read_bytes()
    code = "from nas_syncd.install import templates as t; print(t.__file__); t.template(t.AGENT)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.startswith(str(tmp_path / "site"))


def test_the_pings_address_makes_a_settings_file_one_that_holds_secrets(tmp_path: Path):
    file = tmp_path / "config.env"
    file.write_text("NAS_SYNCD_PING_URL=https://ping.example.org/s3cret\n")
    assert prepare._holds_secrets(file, load_settings(file, environ={}))
    file.write_text("NAS_SYNCD_LANGUAGE=en\n")
    assert not prepare._holds_secrets(file, load_settings(file, environ={}))
