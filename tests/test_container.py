"""Dockerfile and compose.example.yml fit the program, its settings, its lock, and one another."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from nas_syncd.daemon import STOP_SECONDS
from nas_syncd.settings import Settings, env_name, load_settings
from tests.stage import RunningDaemon, Stage

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in their order, comments and line ends taken out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines]


def of_kind(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def image_environment() -> dict[str, str]:
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM") :]
    return dict(re.findall(r"\b([A-Z_]+)=([^\s\\]+)", last_stage[last_stage.index("ENV") :]))


@pytest.fixture
def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load((ROOT / "compose.example.yml").read_text()))


@pytest.fixture
def service(compose) -> dict[str, Any]:
    return dict(compose["services"]["nas-syncd"])


def filled(value: str, **environment: str) -> str:
    """Do what compose does with ``${NAME:-default}`` and ``${NAME:?error}``."""

    def blank(match: re.Match[str]) -> str:
        return environment.get(match[1]) or (match[3] if match[2] == ":-" else "given")

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", blank, value)


# -- the Dockerfile ----------------------------------------------------------------------------


def test_the_image_is_a_slim_python_that_the_project_allows_and_names_no_host():
    images = {image.split()[0] for image in of_kind("FROM")}
    (version,) = of_kind("ARG")
    assert images == {"python:${PYTHON_VERSION}-slim"}
    assert re.fullmatch(
        r"PYTHON_VERSION=3\.\d+", version
    )  # a range: its patches come by themselves
    allowed = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert [int(n) for n in version.partition("=")[2].split(".")] >= [
        int(n) for n in allowed.split(".")
    ]


def test_everything_it_installs_comes_from_the_lock_with_its_hashes():
    installs = [run for run in of_kind("RUN") if " pip " in f" {run} "]
    assert len(installs) == 2
    assert "--require-hashes -r requirements/runtime.txt" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]
    assert "://" not in DOCKERFILE


def test_it_runs_as_nobody_in_particular_and_never_as_root():
    (user,) = of_kind("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")


def test_what_it_sets_is_settings_that_exist_and_are_valid():
    environment = image_environment()
    ours = {
        name: value for name, value in environment.items() if name.startswith(("NAS", "UPLOAD"))
    }
    assert set(ours) <= {env_name(name) for name in Settings.model_fields}
    settings = load_settings(environ=ours)
    assert str(settings.state_dir).startswith(of_kind("VOLUME")[0])
    assert settings.nas_path == "/app/nas_backup"


def test_the_builder_gets_what_the_package_is_made_of_and_nothing_secret():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PROJECT["project"]
    needed = {*wheel["packages"], *wheel.get("force-include", {}), project["readme"]}
    needed |= {"pyproject.toml", "requirements/runtime.txt"}
    outside = {path for path in needed if not any(fnmatch(path, f"{top}*") for top in let_through)}
    assert outside == set()
    assert not any(top.startswith((".env", ".git", "tests", "docs")) for top in let_through)


# -- the compose file ---------------------------------------------------------------------------


def test_the_daemon_would_start_with_the_environment_that_compose_gives(service):
    environment = {name: filled(value) for name, value in service["environment"].items()}
    environment["DATABASE_URL"] = "postgresql://finance:x@db/finance"
    ours = {name: value for name, value in environment.items() if name != "TZ"}
    assert set(ours) <= {env_name(name) for name in Settings.model_fields}
    settings = load_settings(environ=image_environment() | ours)
    assert settings.nas_path == "/app/nas_backup"
    assert settings.upload_dir == "/app/uploads"
    targets = {volume["target"] for volume in service["volumes"]}
    assert {settings.nas_path, settings.upload_dir, str(settings.state_dir.parent)} == targets


def test_the_hosts_path_does_not_win_over_the_containers(service):
    """`NAS_LOCAL_PATH` stands in the same .env, for the backend's mounts."""
    assert service["environment"]["NAS_LOCAL_PATH"] == ""
    assert "env_file" not in service


def test_the_share_is_bound_so_that_it_may_come_later_and_is_never_made_up(service):
    (share,) = (one for one in service["volumes"] if one["target"] == "/app/nas_backup")
    assert share["type"] == "bind"
    assert share["bind"] == {"propagation": "rslave", "create_host_path": False}
    assert not share.get("read_only")
    assert filled(share["source"]) == "./nas_backup"
    assert filled(share["source"], NAS_LOCAL_PATH="/mnt/nas") == "/mnt/nas"


def test_the_uploads_are_only_read_and_the_state_outlives_the_container(service, compose):
    by_target = {one["target"]: one for one in service["volumes"]}
    assert by_target["/app/uploads"]["read_only"] is True
    assert by_target["/var/lib/nas-syncd"]["type"] == "volume"
    assert by_target["/var/lib/nas-syncd"]["source"] in compose["volumes"]
    assert by_target["/app/uploads"]["source"] in compose["volumes"]


def test_it_is_given_the_time_to_stop_and_may_do_no_more_than_it_must(service):
    assert float(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS + 5
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not filled(service["user"]).startswith("0")


def test_the_docs_tell_of_every_variable_that_can_be_given():
    told = (ROOT / "docs/docker.md").read_text()
    given = set(re.findall(r"\$\{(\w+):", (ROOT / "compose.example.yml").read_text()))
    assert len(given) >= 6
    assert {name for name in given if f"`{name}`" not in told} == set()


# -- the health check ----------------------------------------------------------------------------


def health(stage: Stage) -> subprocess.CompletedProcess[str]:
    """Run the image's health check against this stage's daemon."""
    (check,) = of_kind("HEALTHCHECK")
    words = re.findall(r'"([^"]+)"', check[check.index("CMD") :])
    assert words[0] == "python"
    environment = {name: str(value) for name, value in stage.settings.items()}
    return subprocess.run(
        [sys.executable, *words[1:]],
        env=environment | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        cwd=stage.root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.slow
def test_the_health_check_follows_the_process_and_not_the_nas(tmp_path):
    stage = Stage(tmp_path / "stage").pair()
    before = health(stage)
    assert (before.returncode, before.stdout) == (1, "")
    assert "Traceback" not in before.stderr

    with RunningDaemon(stage) as daemon:
        daemon.wait_for("mount.changed", state="ok")
        assert (health(stage).returncode, health(stage).stdout) == (0, "ok\n")
        stage.nas.rename(stage.nas.with_name("away"))
        stage.add("work.pdf", b"work")  # so that it is looked for
        daemon.wait_for("mount.changed", state="missing")
        assert health(stage).returncode == 0

        daemon.process.send_signal(signal.SIGSTOP)
        try:
            assert health(stage).returncode == 1
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        assert health(stage).returncode == 0
    assert health(stage).returncode == 1
