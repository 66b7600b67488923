# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""What makes dbpool's typelib feel like Python.

PyGObject loads this file by itself when a program imports gi.repository.Db. It adds parameters given as
plain arguments, rows as named tuples of Python's own types, context managers, and awaitable companions
of the asynchronous calls. The calls of C whose name ends in _async or _finish keep their shape, and
errors stay GLib.Error.

docs/python.md is the guide; the docstrings below are the reference.
"""

import asyncio
import atexit
import os
import threading
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from operator import index, itemgetter
from uuid import UUID

from gi.module import get_introspection_module
from gi.overrides import override
from gi.repository import Gio, GLib, GObject

Db = get_introspection_module("Db")

__all__ = []


# Looking up a member of a GObject enumeration takes longer than reading a cell.
_NULL = Db.ValueType.NULL
_BOOLEAN = Db.ValueType.BOOLEAN
_INT64 = Db.ValueType.INT64
_DOUBLE = Db.ValueType.DOUBLE
_TEXT = Db.ValueType.TEXT
_BYTES = Db.ValueType.BYTES
_DECIMAL = Db.ValueType.DECIMAL
_DATE = Db.ValueType.DATE
_TIME = Db.ValueType.TIME
_TIMESTAMP = Db.ValueType.TIMESTAMP
_TIMESTAMP_TZ = Db.ValueType.TIMESTAMP_TZ
_UUID = Db.ValueType.UUID
_MIXED = Db.ValueType.MIXED


# Durations: seconds in Python, microseconds in C.


def _microseconds(seconds):
    if seconds is None:
        return -1
    if seconds < 0:
        raise ValueError("a timeout cannot be negative; None means the default")
    if seconds >= GLib.MAXINT64 / 1_000_000:
        return GLib.MAXINT64
    return int(seconds * 1_000_000)


# Parameters: each Python type has one function that adds a value to a Db.Params.


def _add_int(params, value, position):
    if not -(2**63) <= value < 2**63:
        raise OverflowError(
            f"parameter {position} is {value}: whole numbers have up to 64 bits; "
            "pass a larger one as decimal.Decimal"
        )
    params.add_int64(value)


def _add_str(params, value, position):
    _add_text(params, _TEXT, value, position)


def _add_text(params, value_type, value, position):
    if "\0" in value:
        raise ValueError(
            f"parameter {position} is text with a NUL character, which no database keeps; pass bytes"
        )
    params.add_typed_text(value_type, value)


def _add_datetime(params, value, position):
    zoned = value.tzinfo is not None
    params.add_typed_text(
        _TIMESTAMP_TZ if zoned else _TIMESTAMP, value.isoformat(" ")
    )


_ADDERS = {
    type(None): lambda params, value, position: params.add_null(),
    bool: lambda params, value, position: params.add_boolean(value),
    int: _add_int,
    float: lambda params, value, position: params.add_double(value),
    str: _add_str,
    bytes: lambda params, value, position: params.add_bytes(GLib.Bytes.new(value)),
    bytearray: lambda params, value, position: params.add_bytes(GLib.Bytes.new(bytes(value))),
    memoryview: lambda params, value, position: params.add_bytes(GLib.Bytes.new(bytes(value))),
    GLib.Bytes: lambda params, value, position: params.add_bytes(value),
    datetime: _add_datetime,
    date: lambda params, value, position: params.add_typed_text(
        _DATE, value.isoformat()
    ),
    time: lambda params, value, position: params.add_typed_text(
        _TIME, value.isoformat()
    ),
    Decimal: lambda params, value, position: params.add_typed_text(
        _DECIMAL, str(value)
    ),
    UUID: lambda params, value, position: params.add_typed_text(_UUID, str(value)),
}


def _find_adder(value, position):
    # Subclasses: an IntEnum is an int, a datetime also a date (so the order counts).
    for known, adder in _ADDERS.items():
        if isinstance(value, known):
            return adder
    if hasattr(value, "__index__"):  # numpy's whole numbers
        return lambda params, number, place: _add_int(params, index(number), place)
    hint = ""
    if isinstance(value, (list, tuple)):
        hint = "; pass the values one by one, query(sql, *values)"
    raise TypeError(
        f"parameter {position} has the type {type(value).__name__}, which is no SQL value{hint}"
    )


def _make_params(values):
    """The Db.Params of one row, or None if there are no values."""
    if not values:
        return None
    if len(values) == 1:
        if isinstance(values[0], Params):
            return values[0]
        if isinstance(values[0], GLib.Variant):
            return Params.new_from_variant(values[0])
    params = Params.new()
    add_row(params, values)
    return params


def add_row(params, values):
    for position, value in enumerate(values, 1):
        adder = _ADDERS.get(type(value)) or _find_adder(value, position)
        adder(params, value, position)


class Params(Db.Params):
    """A table of parameters. add_row(*values) adds a row of Python values."""

    def __new__(cls, *values):
        params = Db.Params.new()
        add_row(params, values)
        return params

    def __init__(self, *values):
        pass

    def add_row(self, *values):
        """Adds one row and ends it."""
        add_row(self, values)
        self.next_row()


Params = override(Params)
__all__.append("Params")


# Rows: tuples whose class knows the names of the columns.


class _Row(tuple):
    __slots__ = ()
    _fields = ()

    def _asdict(self):
        """The row as a dict; of columns with the same name, the first."""
        cells = {}
        for name, value in zip(self._fields, self):
            cells.setdefault(name, value)
        return cells

    def __repr__(self):
        cells = (f"{name}={value!r}" for name, value in zip(self._fields, self))
        return f"Row({', '.join(cells)})"

    def __reduce__(self):
        return _restore_row, (self._fields, tuple(self))


def _restore_row(names, values):
    return _row_class(names)(values)


@lru_cache(maxsize=256)
def _row_class(names):
    members = {"__slots__": (), "_fields": names}
    for position, name in reversed(list(enumerate(names))):
        if name and not name.startswith("_"):
            members[name] = property(itemgetter(position))
    return type("Row", (_Row,), members)


def _parse_or_text(parse):
    # PostgreSQL has values that Python's types have not: "infinity", years before 1 and after 9999.
    def convert(text):
        try:
            return parse(text)
        except (ValueError, ArithmeticError):
            return text

    return convert


_FROM_TEXT = {
    _DECIMAL: _parse_or_text(Decimal),
    _DATE: _parse_or_text(date.fromisoformat),
    _TIME: _parse_or_text(time.fromisoformat),
    _TIMESTAMP: _parse_or_text(datetime.fromisoformat),
    _TIMESTAMP_TZ: _parse_or_text(datetime.fromisoformat),
    _UUID: _parse_or_text(UUID),
}

_COLUMNS_FROM = 8  # rows; below, single cells are as fast as whole columns


class Result(Db.Result):
    """The result of a query: a sequence of rows, each a tuple with the columns' names.

    len(result), result[0], result[-1], result[1:3] and iteration give rows of Python's own types; a
    result without rows is false. get_item() gives a Db.Row, for list views.
    """

    def _cell(self, row, column):
        cell_type = self.get_cell_type(row, column)
        if cell_type == _NULL:
            return None
        if cell_type == _INT64:
            return self.get_int64(row, column)
        if cell_type == _BOOLEAN:
            return self.get_boolean(row, column)
        if cell_type == _DOUBLE:
            return self.get_double(row, column)
        if cell_type == _BYTES:
            return self.get_bytes(row, column).get_data() or b""
        text = self.get_text(row, column)
        convert = _FROM_TEXT.get(cell_type)
        return convert(text) if convert else text

    def _column(self, column):
        column_type = self.get_column_type(column)
        if column_type in (_MIXED, _BYTES):
            return [self._cell(row, column) for row in range(self.get_n_rows())]
        if column_type == _INT64:
            values = self.get_column_int64s(column)
        elif column_type == _DOUBLE:
            values = self.get_column_doubles(column)
        elif column_type == _BOOLEAN:
            values = list(map(bool, self.get_column_int64s(column)))
        else:
            values = self.get_column_texts(column)
            convert = _FROM_TEXT.get(column_type)
            if convert:
                values = list(map(convert, values))
        for row in self.get_column_nulls(column):
            values[row] = None
        return values

    def _row(self, row, row_class):
        return row_class([self._cell(row, column) for column in range(self.get_n_columns())])

    def __len__(self):
        return self.get_n_rows()

    def __bool__(self):
        return self.get_n_rows() > 0

    def __iter__(self):
        row_class = _row_class(tuple(self.get_column_names()))
        if self.get_n_rows() < _COLUMNS_FROM:
            return iter([self._row(row, row_class) for row in range(self.get_n_rows())])
        return map(row_class, zip(*map(self._column, range(self.get_n_columns()))))

    def __reversed__(self):
        return reversed(list(self))

    def __contains__(self, row):
        return any(row == other for other in self)

    def __getitem__(self, key):
        row_class = _row_class(tuple(self.get_column_names()))
        if isinstance(key, slice):
            return [self._row(row, row_class) for row in range(*key.indices(len(self)))]
        row = index(key)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(f"row {key} of a result of {len(self)} rows")
        return self._row(row, row_class)


Result = override(Result)
__all__.append("Result")


# Awaiting: an asynchronous call is begun on a thread that runs a GLib main context, and its end is
# carried to the event loop. On an event loop that is GLib's own (gbulb, gi.events) neither is needed.


class _Bridge:
    """A daemon thread with a main context of its own, started by the first call."""

    def __init__(self):
        self.context = GLib.MainContext.new()
        self.loop = GLib.MainLoop.new(self.context, False)
        self.thread = threading.Thread(target=self._run, name="dbpool-asyncio", daemon=True)
        self.thread.start()

    def _run(self):
        self.context.push_thread_default()
        self.loop.run()
        self.context.pop_thread_default()

    def call(self, function):
        source = GLib.Idle()
        source.set_priority(GLib.PRIORITY_DEFAULT)
        source.set_callback(lambda *unused: function() and GLib.SOURCE_REMOVE)
        source.attach(self.context)

    def stop(self):
        self.call(self.loop.quit)
        self.thread.join(1)


_bridge = None
_bridge_lock = threading.Lock()


def _get_bridge():
    global _bridge
    with _bridge_lock:
        if _bridge is None:
            _bridge = _Bridge()
        return _bridge


def _forget_bridge():
    # In a forked child: the thread is not there.
    global _bridge, _bridge_lock
    _bridge = None
    _bridge_lock = threading.Lock()


@atexit.register
def _stop_bridge():
    if _bridge is not None:
        _bridge.stop()


os.register_at_fork(after_in_child=_forget_bridge)


def _runs_on_glib(loop):
    context = getattr(loop, "_context", None)
    return isinstance(context, GLib.MainContext) and (
        context == GLib.MainContext.ref_thread_default()
    )


def _linked_cancellable(outer):
    """A cancellable of our own that @outer cancels too, and what undoes the link."""
    inner = Gio.Cancellable()
    if outer is None:
        return inner, lambda: None
    # connect() of a Gio.Cancellable is not the signals' connect().
    handler = GObject.Object.connect(outer, "cancelled", lambda *unused: inner.cancel())
    if outer.is_cancelled():
        inner.cancel()
    return inner, lambda: outer.handler_disconnect(handler)


async def _await(begin, finish, cancellable=None, too_late=None):
    """Awaits an asynchronous call of C.

    begin(cancellable, callback) begins it, finish(async_result) gives its result. Cancelling the task
    cancels the call; what arrives all the same is given to too_late.
    """
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    inner, unlink = _linked_cancellable(cancellable)

    def deliver(value, error):
        if future.done():
            if value is not None and too_late is not None:
                too_late(value)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def done(source, async_result, *unused):
        value = error = None
        try:
            value = finish(async_result)
        except Exception as e:
            error = e.with_traceback(None)  # which would keep the connection alive
        if on_glib:
            deliver(value, error)
            return
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:  # the event loop is closed
            if value is not None and too_late is not None:
                too_late(value)

    def start():
        try:
            begin(inner, done)
        except Exception as e:
            if on_glib:
                deliver(None, e)
            else:
                loop.call_soon_threadsafe(deliver, None, e)

    on_glib = _runs_on_glib(loop)
    if on_glib:
        start()
    else:
        _get_bridge().call(start)
    try:
        return await future
    except (asyncio.CancelledError, GeneratorExit):
        inner.cancel()
        if not future.cancel() and not future.cancelled() and not future.exception():
            # It had arrived, and the task was cancelled before it could take it.
            if too_late is not None:
                too_late(future.result())
        raise
    finally:
        unlink()


def _roll_back_late(transaction):
    _get_bridge().call(lambda: transaction.rollback_async(None, None, None))


# Transactions.


class _TransactionContext:
    """What Connection.transaction() returns: for with and for async with."""

    def __init__(self, connection, isolation, flags, cancellable):
        self._connection = connection
        self._arguments = (isolation, flags)
        self._cancellable = cancellable
        self._transaction = None

    def __enter__(self):
        self._transaction = self._connection.begin(*self._arguments, self._cancellable)
        return self._transaction

    def __exit__(self, exc_type, exc, traceback):
        if not self._transaction.is_open():
            return
        if exc_type is None:
            self._transaction.commit(self._cancellable)
            return
        try:
            self._transaction.rollback(None)
        except GLib.Error:
            pass  # the pool rolls back what is returned in a transaction; the first error counts

    async def __aenter__(self):
        self._transaction = await self._connection.begin_awaitable(
            *self._arguments, cancellable=self._cancellable
        )
        return self._transaction

    async def __aexit__(self, exc_type, exc, traceback):
        if not self._transaction.is_open():
            return
        if exc_type is None:
            await self._transaction.commit_awaitable(cancellable=self._cancellable)
            return
        try:
            await self._transaction.rollback_awaitable()
        except GLib.Error:
            pass


class Transaction(Db.Transaction):
    """A transaction; Connection.transaction() is the usual way to one."""

    async def commit_awaitable(self, cancellable=None):
        """Commits, for asyncio."""
        return await _await(self.commit_async, self.commit_finish, cancellable)

    async def rollback_awaitable(self, cancellable=None):
        """Rolls back, for asyncio."""
        return await _await(self.rollback_async, self.rollback_finish, cancellable)


Transaction = override(Transaction)
__all__.append("Transaction")


# Connections.

_query = Db.Connection.query
_query_params = Db.Connection.query_params
_execute = Db.Connection.execute
_execute_params = Db.Connection.execute_params


class Connection(Db.Connection):
    """A connection on loan: `with pool.acquire() as conn` returns it at the end of the block."""

    def query(self, sql, *args, cancellable=None):
        """Runs a statement and returns its Db.Result; the arguments are $1, $2 and so on.

        None, bool, int, float, str, bytes, Decimal, datetime, date, time and UUID can be arguments. A
        Db.Params or a GLib.Variant of a tuple may be given instead, as the only one.
        """
        params = _make_params(args)
        if params is None:
            return _query(self, sql, None, cancellable)
        return _query_params(self, sql, params, cancellable)

    def execute(self, sql, *args, cancellable=None):
        """Runs a statement and returns the number of rows that it changed."""
        params = _make_params(args)
        if params is None:
            return _execute(self, sql, None, cancellable)
        return _execute_params(self, sql, params, cancellable)

    def begin(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """Begins a transaction, which the caller commits or rolls back."""
        return Db.Connection.begin(self, isolation, flags, cancellable)

    def transaction(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        *,
        read_only=False,
        cancellable=None,
    ):
        """A transaction for `with` or `async with`: committed at the end of the block, rolled back if
        the block raises."""
        if read_only:
            flags |= Db.TransactionFlags.READ_ONLY
        return _TransactionContext(self, isolation, flags, cancellable)

    async def query_awaitable(self, sql, *args, cancellable=None):
        """query() for asyncio."""
        params = _make_params(args)
        return await _await(
            lambda inner, done: self.query_params_async(sql, params, inner, done),
            self.query_params_finish,
            cancellable,
        )

    async def execute_awaitable(self, sql, *args, cancellable=None):
        """execute() for asyncio."""
        params = _make_params(args)
        return await _await(
            lambda inner, done: self.execute_params_async(sql, params, inner, done),
            self.execute_params_finish,
            cancellable,
        )

    async def execute_script_awaitable(self, sql, cancellable=None):
        """execute_script() for asyncio."""
        return await _await(
            lambda inner, done: self.execute_script_async(sql, inner, done),
            self.execute_script_finish,
            cancellable,
        )

    async def begin_awaitable(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """begin() for asyncio; `async with conn.transaction()` is shorter."""
        return await _await(
            lambda inner, done: self.begin_async(isolation, flags, inner, done),
            self.begin_finish,
            cancellable,
            _roll_back_late,
        )

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.release()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *unused):
        self.release()


Connection = override(Connection)
__all__.append("Connection")


# Pools.


class PoolStats(Db.PoolStats):
    """The numbers of a pool at one moment: stats.idle, stats.lent and so on, as get_idle(), get_lent().

    stats.dropped is a dict with the number of closed sessions for each Db.DropReason.
    """

    @property
    def dropped(self):
        return {reason: self.get_dropped(reason) for reason in Db.DropReason.__enum_values__.values()}

    def __str__(self):
        return self.to_string()


for _getter in dir(Db.PoolStats):
    if _getter.startswith("get_") and _getter != "get_dropped":
        setattr(PoolStats, _getter[len("get_") :], property(getattr(Db.PoolStats, _getter)))

PoolStats = override(PoolStats)
__all__.append("PoolStats")


class ConnectionInfo(Db.ConnectionInfo):
    """What one of the sessions of a pool does; str(info) is all of it in a line."""

    def __str__(self):
        return self.to_string()


ConnectionInfo = override(ConnectionInfo)
__all__.append("ConnectionInfo")


class _ConnectionContext:
    """What Pool.connection() returns: awaitable, and for async with."""

    def __init__(self, pool, arguments):
        self._pool = pool
        self._arguments = arguments
        self._connection = None

    def __await__(self):
        return self._pool.acquire_awaitable(**self._arguments).__await__()

    async def __aenter__(self):
        self._connection = await self
        return self._connection

    async def __aexit__(self, *unused):
        self._connection.release()


# A function in Python that C calls while the interpreter ends is not run, and its result is whatever was
# in memory: for a session, a pointer to nowhere. So before that, pools stop calling such managers.

_EXIT_PATIENCE = 1.0  # seconds

_pools_to_close = []  # weak references
_pools_lock = threading.Lock()


def _close_at_exit(pool, manager):
    if manager is None or "__info__" in type(manager).__dict__ or isinstance(manager, Db.Pool):
        return  # not written in Python
    with _pools_lock:
        _pools_to_close[:] = [ref for ref in _pools_to_close if ref() is not None]
        _pools_to_close.append(pool.weak_ref())


@atexit.register
def _close_pools():
    with _pools_lock:
        pools = [pool for pool in (ref() for ref in _pools_to_close) if pool is not None]
    if not pools:
        return
    # Without a thread, which could not be started any more. A manager may hang; what it does later can no
    # longer harm, because the pools are closed at once and only wait for their sessions.
    context = GLib.MainContext.new()
    context.push_thread_default()
    waiting = list(pools)
    source = GLib.Timeout(int(_EXIT_PATIENCE * 1000))
    source.set_callback(lambda *unused: waiting.clear())
    source.attach(context)
    for pool in pools:
        pool.close_async(0, None, lambda *unused: waiting and waiting.pop())
    while waiting:
        context.iteration(True)
    source.destroy()
    context.pop_thread_default()


class Pool(Db.Pool):
    """A pool of connections. `with pool:` closes it at the end of the block."""

    def __init__(self, **properties):
        super().__init__(**properties)
        _close_at_exit(self, self.get_manager())

    @staticmethod
    def new(manager, config=None):
        """A pool that does no I/O until somebody asks for a connection."""
        pool = Db.Pool.new(manager, config)
        _close_at_exit(pool, manager)
        return pool

    def reconfigure(self, manager, cancellable=None):
        """Moves the pool to what another manager opens, once that has opened a session."""
        _close_at_exit(self, manager)
        return Db.Pool.reconfigure(self, manager, cancellable)

    def acquire(self, cancellable=None, *, timeout=None, read_only=False, tag=None):
        """Borrows a connection, waiting for one if need be.

        timeout is in seconds: None means the pool's connection-timeout, 0 does not wait. tag names the
        borrower where the pool tells who holds its connections.
        """
        if timeout is None and not read_only and tag is None:
            return Db.Pool.acquire(self, cancellable)
        flags = Db.AcquireFlags.READ_ONLY if read_only else Db.AcquireFlags.NONE
        return self.acquire_full(flags, _microseconds(timeout), tag, cancellable)

    def query(self, sql, *args, cancellable=None):
        """Borrows a connection for one query: see Connection.query()."""
        with self.acquire(cancellable) as connection:
            return connection.query(sql, *args, cancellable=cancellable)

    def execute(self, sql, *args, cancellable=None):
        """Borrows a connection for one statement: see Connection.execute()."""
        with self.acquire(cancellable) as connection:
            return connection.execute(sql, *args, cancellable=cancellable)

    def close(self, timeout=10.0, cancellable=None):
        """Closes the pool: lent connections are waited for up to timeout seconds, then taken away.

        Raises GLib.Error (Db.Error.TIMEOUT) if they had to be; the pool is closed all the same.
        """
        return Db.Pool.close(self, _microseconds(timeout), cancellable)

    @property
    def connections(self):
        """The sessions of the pool, a Gio.ListModel of Db.ConnectionInfo: `for info in pool.connections`.

        It follows the pool as long as somebody holds it, on the GLib main context in which signals are
        emitted.
        """
        return self.get_connections()

    def set_hook(self, hook, func, *user_data):
        """Sets the function that the pool asks at a Db.Hook: func(pool, subject, *user_data); None: none.

        It runs on dbpool's threads. False or an exception rejects the session; True or None accepts it.
        """
        if func is None:
            Db.Pool.set_hook(self, hook, None)
            return

        def ask(pool, subject, *unused):
            verdict = func(pool, subject, *user_data)
            return True if verdict is None else bool(verdict)

        Db.Pool.set_hook(self, hook, ask)

    def connection(self, *, timeout=None, read_only=False, tag=None, cancellable=None):
        """acquire() for asyncio: `async with pool.connection() as conn`, or `await` it."""
        arguments = dict(timeout=timeout, read_only=read_only, tag=tag, cancellable=cancellable)
        return _ConnectionContext(self, arguments)

    async def acquire_awaitable(
        self, cancellable=None, *, timeout=None, read_only=False, tag=None
    ):
        """acquire() for asyncio. The caller releases the connection."""
        flags = Db.AcquireFlags.READ_ONLY if read_only else Db.AcquireFlags.NONE
        return await _await(
            lambda inner, done: self.acquire_full_async(
                flags, _microseconds(timeout), tag, inner, done
            ),
            self.acquire_full_finish,
            cancellable,
            Connection.release,
        )

    async def query_awaitable(self, sql, *args, cancellable=None):
        """query() for asyncio."""
        async with self.connection(cancellable=cancellable) as connection:
            return await connection.query_awaitable(sql, *args, cancellable=cancellable)

    async def execute_awaitable(self, sql, *args, cancellable=None):
        """execute() for asyncio."""
        async with self.connection(cancellable=cancellable) as connection:
            return await connection.execute_awaitable(sql, *args, cancellable=cancellable)

    async def warm_up_awaitable(self, n, cancellable=None):
        """warm_up() for asyncio: opens sessions until there are n, and returns how many there are."""
        return await _await(
            lambda inner, done: self.warm_up_async(n, inner, done),
            self.warm_up_finish,
            cancellable,
        )

    async def reconfigure_awaitable(self, manager, cancellable=None):
        """reconfigure() for asyncio: moves the pool to what another manager opens."""
        _close_at_exit(self, manager)
        return await _await(
            lambda inner, done: self.reconfigure_async(manager, inner, done),
            self.reconfigure_finish,
            cancellable,
        )

    async def close_awaitable(self, timeout=10.0, cancellable=None):
        """close() for asyncio."""
        return await _await(
            lambda inner, done: self.close_async(_microseconds(timeout), inner, done),
            self.close_finish,
            cancellable,
        )

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, traceback):
        try:
            self.close()
        except GLib.Error:
            if exc_type is None:
                raise

    async def __aenter__(self):
        return self

    async def __aexit__(self, exc_type, exc, traceback):
        try:
            await self.close_awaitable()
        except GLib.Error:
            if exc_type is None:
                raise


Pool = override(Pool)
__all__.append("Pool")


class PoolFactory(Db.PoolFactory):
    """Creates pools that are ready: one session has been opened."""

    async def create_pool_awaitable(self, uri, config=None, cancellable=None):
        """create_pool() for asyncio."""
        return await _await(
            lambda inner, done: self.create_pool_async(uri, config, inner, done),
            self.create_pool_finish,
            cancellable,
        )


PoolFactory = override(PoolFactory)
__all__.append("PoolFactory")
