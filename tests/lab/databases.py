"""Real database servers of the tests' own: PostgreSQL and MariaDB, private, as nobody, on no
fixed port. Each starts when it is first used, one for each xdist worker, and is torn down.

Fixtures: ``postgresql`` and ``mariadb`` (servers), ``database`` (an empty database of each kind
in turn, SQLite first), ``sqlite_database`` and ``postgresql_database`` (one kind only).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.lab import parts

SECONDS_TO_START = 60.0
UNPRIVILEGED = "nobody"


class Server:
    """A database server in a folder of its own."""

    kind: str
    driver: str
    admin: str
    user: str

    def __init__(self, bin_folder: Path) -> None:
        self.bin = bin_folder
        # Below /tmp itself: pytest's own folders are closed to other users, and a socket's path
        # may not be long.
        self.home = Path(tempfile.mkdtemp(prefix=f"nas-syncd-{self.kind}-", dir="/tmp"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.home, nobody.pw_uid, nobody.pw_gid)

    # -- what tests use -------------------------------------------------------------------

    def new_database(self) -> str:
        """Create an empty database; return its address as a backend would have it."""
        name = f"t_{secrets.token_hex(6)}"
        self.administer(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"{self.kind}://{self.user}@127.0.0.1:{self.port}/{database}"

    def administer(self, statement: str) -> None:
        engine = sa.create_engine(
            f"{self.driver}://{self.user}@127.0.0.1:{self.port}/{self.admin}",
            isolation_level="AUTOCOMMIT",
            poolclass=sa.NullPool,
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def start(self) -> None:
        """Start it, on the port it had before if there was one."""
        for _ in range(3):
            port = self.port or free_port()
            self._process = self._launch(port)
            if self._answers(port):
                self.port = port
                return
            self.stop()
        raise RuntimeError(f"{self.kind} does not start:\n{self.log()}")

    def stop(self) -> None:
        """Stop it as an administrator does: connections are cut."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The server takes connections (the kernel does) and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    # -- what the kinds differ in ---------------------------------------------------------

    stop_signal = signal.SIGTERM

    def initialise(self) -> None:
        raise NotImplementedError

    def command(self, port: int) -> list[str]:
        raise NotImplementedError

    # -- inside ---------------------------------------------------------------------------

    def log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.home / "log").read_text(errors="replace")[-2000:]
        return ""

    def run_tool(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
            env=self._environment(),
            **_as_nobody(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr).decode()[-2000:]}")

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                self.command(port),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C ends the tests, and they end the server
                **_as_nobody(),
            )

    def _environment(self) -> dict[str, str]:
        path = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"HOME": str(self.home), "LANG": "C.UTF-8", "PATH": path}

    def _answers(self, port: int) -> bool:
        assert self._process is not None
        engine = sa.create_engine(
            f"{self.driver}://{self.user}@127.0.0.1:{port}/{self.admin}", poolclass=sa.NullPool
        )
        give_up = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < give_up and self._process.poll() is None:
            with contextlib.suppress(sa.exc.DBAPIError), engine.connect():
                return True
            time.sleep(0.05)
        return False


class PostgreSQL(Server):
    kind = "postgresql"
    driver = "postgresql+psycopg"
    admin = "postgres"
    user = "postgres"
    stop_signal = signal.SIGINT

    def initialise(self) -> None:
        options = ["-U", self.user, "-A", "trust", "-E", "UTF8", "--no-sync"]
        self.run_tool([str(self.bin / "initdb"), "-D", str(self.home / "data"), *options])

    def command(self, port: int) -> list[str]:
        options = {
            "autovacuum": "off",
            "fsync": "off",
            "full_page_writes": "off",
            "listen_addresses": "127.0.0.1",
            "log_timezone": "UTC",
            "shared_buffers": "16MB",
            "synchronous_commit": "off",
            "timezone": "America/New_York",  # nothing may depend on the server's zone
            "datestyle": "SQL, DMY",  # nor on how it writes dates
            "unix_socket_directories": str(self.home),
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        data = str(self.home / "data")
        return [str(self.bin / "postgres"), "-D", data, "-p", str(port), *settings]


class MariaDB(Server):
    kind = "mysql"
    driver = "mysql+pymysql"
    admin = "mysql"
    user = "root"

    def initialise(self) -> None:
        install = shutil.which("mariadb-install-db") or "mariadb-install-db"
        self.run_tool(
            [
                install,
                "--no-defaults",
                f"--datadir={self.home / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )

    def command(self, port: int) -> list[str]:
        return [
            str(self.bin / "mariadbd"),
            "--no-defaults",
            f"--datadir={self.home / 'data'}",
            f"--socket={self.home / 'socket'}",
            f"--pid-file={self.home / 'pid'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-log-file-size=16M",
            "--performance-schema=OFF",
            "--character-set-server=utf8mb4",
            "--sql-mode=NO_ENGINE_SUBSTITUTION",  # old databases hold zero dates
        ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": UNPRIVILEGED, "group": pwd.getpwnam(UNPRIVILEGED).pw_gid, "extra_groups": []}


def _running(server: Server) -> Iterator[Server]:
    atexit.register(server.remove)  # also when the tests are broken off
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.remove()
        atexit.unregister(server.remove)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A running PostgreSQL."""
    parts.need_linux()
    pytest.importorskip("psycopg", reason="psycopg is not installed: make test installs it")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    on_path = shutil.which("postgres")
    folders += [Path(on_path).parent] if on_path else []
    if not folders:
        parts.missing("postgres is not installed: make lab (Debian package postgresql)")
    yield from _running(PostgreSQL(folders[-1]))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A running MariaDB."""
    parts.need_linux()
    pytest.importorskip("pymysql", reason="PyMySQL is not installed: make test installs it")
    parts.program("mariadb-install-db", "mariadb-server")
    yield from _running(MariaDB(Path(parts.program("mariadbd", "mariadb-server")).parent))


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


@pytest.fixture
def sqlite_database(tmp_path: Path) -> str:
    """The address of an empty SQLite database that exists."""
    path = tmp_path / "backend.db"
    path.touch()
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_database(postgresql: Server) -> str:
    return postgresql.new_database()


@pytest.fixture
def mariadb_database(mariadb: Server) -> str:
    return mariadb.new_database()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, of each kind in turn."""
    address = request.getfixturevalue(f"{request.param}_database")
    assert isinstance(address, str)
    return address
