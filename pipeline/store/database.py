"""Opening the store, SQLite in a file or PostgreSQL by its URL, and bringing it up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.errors import ConfigurationError, StoreUnavailable

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# A writer waits this long for another; a batch takes a tenth of a second.
_LOCK_WAIT_S: Final = 10
# A database on another continent connects in a second.
_CONNECT_S: Final = 5
# PostgreSQL's advisory locks are numbers that one database shares: "kasnec" in ASCII.
_MIGRATION_LOCK: Final = 0x6B61736E6563
# Reads of the page come in bursts of a few; each thread of the server may hold one.
_CONNECTIONS: Final = 8


def connect(url: str) -> Engine:
    """An engine for the database behind a URL; it connects when it is used first.

    Args:
        url: ``sqlite:///path/to/file`` (three slashes: relative) or ``postgresql://…``.

    Raises:
        ConfigurationError: it is no such URL.
    """
    try:
        address = make_url(url)
    except ArgumentError as error:  # its message would quote the password
        raise ConfigurationError([_advice("is no database URL")]) from error
    match address.get_backend_name():
        case "sqlite":
            return _sqlite(address)
        case "postgresql":
            return create_engine(
                address.set(drivername="postgresql+psycopg"),
                pool_size=_CONNECTIONS,
                pool_pre_ping=True,
                connect_args={"connect_timeout": _CONNECT_S, "application_name": "kasnec"},
            )
        case other:
            raise ConfigurationError([_advice(f"names {other}, which Kasnec does not speak")])


def _advice(fault: str) -> str:
    return (
        f"store.url {fault}: it is sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE "
        "(KASNEC_STORE_URL_FILE keeps a password out of the environment)"
    )


def _sqlite(address: Any) -> Engine:
    if address.database in (None, "", ":memory:"):
        raise ConfigurationError(
            ["store.url names no file: a database in memory is seen by one process only"]
        )
    Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": _LOCK_WAIT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the transactions are ours to begin, below
        # Readers go on while a writer writes. What a power cut takes is read from Kafka again only
        # if the offsets were not committed, so a commit waits for the disk (the default, FULL).
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One that read and then writes is refused at once where another wrote in between; who says
        # beforehand that he writes waits for his turn.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def available() -> Iterator[None]:
    """Turn what SQLAlchemy says of a database that is down or not ready into our own words.

    Raises:
        StoreUnavailable: the body could not reach the database, or its tables are not there yet.
    """
    try:
        yield
    except (OperationalError, InterfaceError, DisconnectionError, PoolTimeout) as error:
        raise StoreUnavailable(_words(error)) from error
    except ProgrammingError as error:
        if _is_missing_table(error):
            raise StoreUnavailable(
                "its tables are not there yet: `kasnec store` makes them when it starts"
            ) from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(_words(error)) from error
        raise


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that writes: committed at the end, undone by an error.

    Raises:
        StoreUnavailable: as ``available`` does.
    """
    with (
        available(),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection


def _is_missing_table(error: ProgrammingError) -> bool:
    return getattr(error.orig, "sqlstate", "") == "42P01"


def _words(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    # psycopg quotes host and user, never the password; its advice fills further lines.
    said = str(cause).strip().partition("\n")[0] or type(cause).__name__
    if "no such table" in said:
        return "its tables are not there yet: `kasnec store` makes them when it starts"
    return said


def migrate(engine: Engine) -> None:
    """Bring the tables to this version's state. Several processes may call it at once.

    Raises:
        StoreUnavailable: the database cannot be reached.
        ConfigurationError: the database was made by a newer Kasnec.
    """
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in known:
            raise ConfigurationError(
                [
                    (
                        f"the store has the tables of a newer Kasnec (revision {found}): "
                        "upgrade this one, or name another database in store.url"
                    )
                ]
            )
        command.upgrade(config, "head")
