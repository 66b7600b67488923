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
import gc
import json
import os
import re
import select
import threading
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice
from inspect import iscoroutine, iscoroutinefunction
from itertools import count
from operator import index, itemgetter
from random import random
from time import sleep
from traceback import print_exc
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
_JSON = Db.ValueType.JSON
_ARRAY = Db.ValueType.ARRAY
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
    if -(2**63) <= value < 2**63:
        params.add_int64(value)
    else:
        params.add_decimal(str(int(value)))


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


def _add_list(params, value, position):
    params.open_array()
    try:
        for element in value:
            adder = _ADDERS.get(type(element)) or _find_adder(element, position)
            adder(params, element, position)
    finally:
        params.close_array()


def _add_dict(params, value, position):
    params.add_json(json.dumps(value))


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
    Decimal: lambda params, value, position: params.add_decimal(str(value)),
    UUID: lambda params, value, position: params.add_uuid(str(value)),
    list: _add_list,
    tuple: _add_list,
    dict: _add_dict,
}


def _find_adder(value, position):
    # Subclasses: an IntEnum is an int, a datetime also a date (so the order counts).
    for known, adder in _ADDERS.items():
        if isinstance(value, known):
            return adder
    if hasattr(value, "__index__"):  # numpy's whole numbers
        return lambda params, number, place: _add_int(params, index(number), place)
    raise TypeError(
        f"parameter {position} has the type {type(value).__name__}, which is no SQL value"
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
    """A table of parameters. add_row(*values) adds a row of Python values.

    A table of which add_row() failed holds a part of that row: make a new one.
    """

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


# From texts. PostgreSQL has values that Python's types have not: "infinity", years before 1 and after
# 9999. They stay text.


def _parse_bytes(text):
    if not text.startswith("\\x"):
        raise ValueError("the session's bytea_output is not hex")
    return bytes.fromhex(text[2:])


_PARSERS = {
    _DECIMAL: Decimal,
    _DATE: date.fromisoformat,
    _TIME: time.fromisoformat,
    _TIMESTAMP: datetime.fromisoformat,
    _TIMESTAMP_TZ: datetime.fromisoformat,
    _UUID: UUID,
}

# A text that every parser takes, for the places of NULLs.
_PLACEHOLDERS = {
    _DECIMAL: "0",
    _DATE: "0001-01-01",
    _TIME: "00:00",
    _TIMESTAMP: "0001-01-01",
    _TIMESTAMP_TZ: "0001-01-01",
    _UUID: "0" * 32,
}


def _parse_or_text(parse, text):
    try:
        return parse(text)
    except (ValueError, ArithmeticError):
        return text


def _parse_all(parse, texts):
    try:
        return list(map(parse, texts))
    except (ValueError, ArithmeticError):
        return [_parse_or_text(parse, text) for text in texts]


# Arrays come as PostgreSQL writes them: {1,NULL,"a \"b\""}, with bounds in front if they are unusual.

_ARRAY_TOKENS = re.compile(r'"((?:[^"\\]|\\.)*)"|([{},])|([^{},"\\]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_ELEMENT_PARSERS = {
    _BOOLEAN: {"t": True, "f": False}.__getitem__,
    _INT64: int,
    _DOUBLE: float,
    _BYTES: _parse_bytes,
    **_PARSERS,
}


def _parse_nested(text, start, parse):
    array = None
    open_arrays = []
    position = start
    while position < len(text):
        token = _ARRAY_TOKENS.match(text, position)
        if token is None or (array is not None and not open_arrays):
            raise ValueError("no array")
        position = token.end()
        quoted, sign, plain = token.groups()
        if sign == "{":
            inner = []
            if open_arrays:
                open_arrays[-1].append(inner)
            else:
                array = inner
            open_arrays.append(inner)
        elif sign == "}":
            open_arrays.pop()
        elif plain == "NULL":
            open_arrays[-1].append(None)
        elif sign is None:
            value = _ESCAPED.sub(r"\1", quoted) if plain is None else plain
            open_arrays[-1].append(parse(value) if parse else value)
    if array is None or open_arrays:
        raise ValueError("no array")
    return array


def _parse_array(text, parse):
    try:
        start = text.index("={") + 1 if text.startswith("[") else 0
        if text == "{}":
            return []
        if '"' in text or "{" in text[start + 1 :]:
            return _parse_nested(text, start, parse)
        items = text[start + 1 : -1].split(",")
        if "NULL" in items:
            return [None if item == "NULL" else parse(item) if parse else item for item in items]
        return list(map(parse, items)) if parse else items
    except (ValueError, ArithmeticError, LookupError):
        return text


def _array_parser(element_type):
    """What makes a list of an array's text; elements that Python's types do not hold stay text."""
    parse = _ELEMENT_PARSERS.get(element_type)
    if element_type not in _PARSERS:
        return lambda text: _parse_array(text, parse)
    return lambda text: _parse_array(text, lambda element: _parse_or_text(parse, element))


def _read_parsed(parse):
    return lambda result, row, column: _parse_or_text(parse, result.get_text(row, column))


def _read_array(result, row, column):
    parse = _array_parser(result.get_column_element_type(column))
    return parse(result.get_text(row, column))


# What reads one cell, by its type.
_READERS = {
    _NULL: lambda result, row, column: None,
    _BOOLEAN: Db.Result.get_boolean,
    _INT64: Db.Result.get_int64,
    _DOUBLE: Db.Result.get_double,
    _TEXT: Db.Result.get_text,
    _BYTES: lambda result, row, column: result.get_bytes(row, column).get_data() or b"",
    _JSON: Db.Result.get_text,
    _ARRAY: _read_array,
    **{value_type: _read_parsed(parse) for value_type, parse in _PARSERS.items()},
}

_COLUMNS_FROM = 8  # rows; below, single cells are as fast as whole columns
_CHUNK = 50_000  # rows


def _make_rows(row_class, cells, n):
    """The next rows. No row can be part of a cycle, but looking for cycles among them takes long."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return list(islice(map(row_class, cells), n))
    finally:
        if collecting:
            gc.enable()


class Result(Db.Result):
    """The result of a query: a sequence of rows, each a tuple with the columns' names.

    len(result), result[0], result[-1], result[1:3] and iteration give rows of Python's own types; a
    result without rows is false. get_item() gives a Db.Row, for list views.
    """

    def _texts(self, column, column_type, nulls):
        texts = self.get_column_texts(column)
        if column_type == _ARRAY:
            return list(map(_array_parser(self.get_column_element_type(column)), texts))
        parse = _PARSERS.get(column_type)
        if parse is None:
            return texts
        placeholder = _PLACEHOLDERS[column_type]
        for row in nulls:
            texts[row] = placeholder
        return _parse_all(parse, texts)

    def _column(self, column):
        column_type = self.get_column_type(column)
        if column_type in (_MIXED, _BYTES):
            return [
                _READERS[self.get_cell_type(row, column)](self, row, column)
                for row in range(self.get_n_rows())
            ]
        nulls = self.get_column_nulls(column)
        if column_type == _INT64:
            values = self.get_column_int64s(column)
        elif column_type == _DOUBLE:
            values = self.get_column_doubles(column)
        elif column_type == _BOOLEAN:
            values = list(map(bool, self.get_column_int64s(column)))
        else:
            values = self._texts(column, column_type, nulls)
        for row in nulls:
            values[row] = None
        return values

    def _row(self, row, row_class):
        get_type = self.get_cell_type
        columns = range(len(row_class._fields))
        return row_class(
            [_READERS[get_type(row, column)](self, row, column) for column in columns]
        )

    def __len__(self):
        return self.get_n_rows()

    def __bool__(self):
        return self.get_n_rows() > 0

    def __iter__(self):
        row_class = _row_class(tuple(self.get_column_names()))
        if self.get_n_rows() < _COLUMNS_FROM:
            return iter([self._row(row, row_class) for row in range(self.get_n_rows())])
        cells = zip(*map(self._column, range(self.get_n_columns())))
        chunks = range(0, self.get_n_rows(), _CHUNK)
        return chain.from_iterable(_make_rows(row_class, cells, _CHUNK) for _ in chunks)

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


async def _await(begin, finish, cancellable=None, too_late=None, connection=None):
    """Awaits an asynchronous call of C.

    begin(cancellable, callback) begins it, finish(async_result) gives its result. Cancelling the task
    cancels the call; what arrives all the same is given to too_late. An error gets the info of the
    connection, if one is given.
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
            # Here: other calls of the connection may be finished before the task goes on.
            if connection is not None and isinstance(e, GLib.Error):
                _inform(connection, error)
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


# Errors: what the database said beyond the text travels with the exception, as its "info".

GLib.Error.info = None  # of calls that did not come to the database


def _inform(connection, error):
    error.info = connection.get_last_error_info()
    return error


class _informing:
    """Around a call: gives its error the info. Slower than a plain try, which the queries have."""

    def __init__(self, connection):
        self._connection = connection

    def __enter__(self):
        pass

    def __exit__(self, exc_type, exc, traceback):
        if isinstance(exc, GLib.Error):
            _inform(self._connection, exc)


class ErrorInfo(Db.ErrorInfo):
    """What a database says of an error: info.detail, info.hint, info.constraint and so on."""

    def __repr__(self):
        # What may hold values of rows is left out: it should not get into logs by itself.
        names = (name for name in _ERROR_FIELDS if name not in ("detail", "context"))
        fields = (f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name))
        return f"ErrorInfo({', '.join(fields)})"


_ERROR_FIELDS = [name[len("get_") :] for name in dir(Db.ErrorInfo) if name.startswith("get_")]
for _field in _ERROR_FIELDS:
    setattr(ErrorInfo, _field, property(getattr(Db.ErrorInfo, "get_" + _field)))

ErrorInfo = override(ErrorInfo)
__all__.append("ErrorInfo")


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
        if exc_type is not None or not self._transaction.is_open():
            self._roll_back()
            return
        try:
            self._transaction.commit(self._cancellable)
        except BaseException:
            self._roll_back()  # SQLite keeps open what a constraint or a lock keeps from committing
            raise

    def _roll_back(self):
        if self._transaction.is_open():
            try:
                self._transaction.rollback()
            except GLib.Error:
                pass  # the pool rolls back what is returned in a transaction; the first error counts

    async def __aenter__(self):
        self._transaction = await self._connection.begin_awaitable(
            *self._arguments, cancellable=self._cancellable
        )
        return self._transaction

    async def __aexit__(self, exc_type, exc, traceback):
        if exc_type is GeneratorExit:
            self._transaction = None  # nobody awaits any more; what is dropped is rolled back
            return
        if exc_type is not None or not self._transaction.is_open():
            await self._roll_back_awaitable()
            return
        try:
            await self._transaction.commit_awaitable(cancellable=self._cancellable)
        except GeneratorExit:
            self._transaction = None
            raise
        except BaseException:
            await self._roll_back_awaitable()
            raise

    async def _roll_back_awaitable(self):
        if self._transaction.is_open():
            try:
                await self._transaction.rollback_awaitable()
            except GLib.Error:
                pass


class Transaction(Db.Transaction):
    """A transaction; Connection.transaction() is the usual way to one."""

    def commit(self, cancellable=None):
        """Makes the work of the transaction last."""
        with _informing(self.get_connection()):
            return Db.Transaction.commit(self, cancellable)

    def rollback(self, cancellable=None):
        """Takes the work of the transaction back."""
        with _informing(self.get_connection()):
            return Db.Transaction.rollback(self, cancellable)

    async def commit_awaitable(self, cancellable=None):
        """commit() for asyncio."""
        return await _await(
            self.commit_async, self.commit_finish, cancellable, connection=self.get_connection()
        )

    async def rollback_awaitable(self, cancellable=None):
        """rollback() for asyncio."""
        return await _await(
            self.rollback_async, self.rollback_finish, cancellable, connection=self.get_connection()
        )


Transaction = override(Transaction)
__all__.append("Transaction")


# Batches and cursors.


def _make_table(rows):
    """The Db.Params of many rows."""
    if isinstance(rows, Params):
        return rows
    params = Params.new()
    for n, row in enumerate(rows, 1):
        if not isinstance(row, (tuple, list)) and not _is_row(row):
            raise TypeError(
                f"row {n} has the type {type(row).__name__}: it has to be a sequence of arguments"
            )
        add_row(params, row)
        params.next_row()
    return params


def _is_row(row):
    """Whether it has arguments in an order, as arrays of numpy have; those of a text are no row."""
    return hasattr(row, "__len__") and hasattr(row, "__getitem__") and not isinstance(
        row, (str, bytes, bytearray, memoryview, Mapping)
    )


def _check_sql(sql):
    # PyGObject ends a text there, without a word, and the rest of the statement would be missing.
    if isinstance(sql, str) and "\0" in sql:
        raise ValueError("the SQL text has a NUL character")


def _make_batch(statements):
    if isinstance(statements, Db.Batch):
        return statements
    if isinstance(statements, str):
        raise TypeError("a batch is a list of statements, not one text")
    batch = Db.Batch.new()
    for n, statement in enumerate(statements, 1):
        sql, *args = statement if isinstance(statement, (tuple, list)) and statement else (statement,)
        if not isinstance(sql, str):
            raise TypeError(
                f"statement {n} of the batch has to be a text, or a tuple of a text and its arguments"
            )
        _check_sql(sql)
        batch.add_params(sql, _make_params(args))
    return batch


def _batch_flags(independent):
    return Db.BatchFlags.INDEPENDENT if independent else Db.BatchFlags.NONE


class BatchResult(Db.BatchResult):
    """The results of a batch: results[i] is the result of a statement, or raises what it failed with.

    Iteration gives them all; for a statement that failed, the exception.
    """

    def __len__(self):
        return self.get_n_statements()

    def __getitem__(self, position):
        position = index(position)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"statement {position} of a batch of {len(self)}")
        return self.get_result(position)

    def __iter__(self):
        for position in range(len(self)):
            try:
                outcome = self.get_result(position)
            except GLib.Error as error:
                outcome = error
            yield outcome


BatchResult = override(BatchResult)
__all__.append("BatchResult")


class Description(Db.Description):
    """What a statement takes and returns.

    params is a list of (type, the database's name of the type), columns one of (name, type, the
    database's name of the type).
    """

    @property
    def params(self):
        return [
            (self.get_param_type(i), self.get_param_type_name(i)) for i in range(self.get_n_params())
        ]

    @property
    def columns(self):
        return [
            (self.get_column_name(i), self.get_column_type(i), self.get_column_type_name(i))
            for i in range(self.get_n_columns())
        ]


Description = override(Description)
__all__.append("Description")


class Cursor(Db.Cursor):
    """The rows of a statement, read bit by bit: `for row in cursor`, or `async for row in cursor`.

    fetch() gives the next rows as a Db.Result. `with` closes the cursor at the end of the block.
    """

    def fetch(self, cancellable=None):
        """The next rows, as many as the batch size says; none at the end."""
        with _informing(self.get_connection()):
            return Db.Cursor.fetch(self, cancellable)

    async def fetch_awaitable(self, cancellable=None):
        """fetch() for asyncio."""
        return await _await(
            self.fetch_async, self.fetch_finish, cancellable, connection=self.get_connection()
        )

    def close(self, cancellable=None):
        """Ends the cursor, with whatever rows are left."""
        with _informing(self.get_connection()):
            return Db.Cursor.close(self, cancellable)

    async def close_awaitable(self, cancellable=None):
        """close() for asyncio."""
        return await _await(
            self.close_async, self.close_finish, cancellable, connection=self.get_connection()
        )

    def __iter__(self):
        while rows := self.fetch():
            yield from rows

    async def __aiter__(self):
        while rows := await self.fetch_awaitable():
            for row in rows:
                yield row

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, traceback):
        try:
            if not self.get_connection().is_released():
                self.close()
        except GLib.Error:
            if exc_type is None:
                raise

    async def __aenter__(self):
        return self

    async def __aexit__(self, exc_type, exc, traceback):
        if exc_type is GeneratorExit:
            return  # nobody awaits any more; what is dropped is closed
        try:
            if not self.get_connection().is_released():
                await self.close_awaitable()
        except GLib.Error:
            if exc_type is None:
                raise


Cursor = override(Cursor)
__all__.append("Cursor")


# Connections.

_query = Db.Connection.query
_query_params = Db.Connection.query_params
_execute = Db.Connection.execute
_execute_params = Db.Connection.execute_params


class Connection(Db.Connection):
    """A connection on loan: `with pool.acquire() as conn` returns it at the end of the block.

    An error of the database carries its details: `except GLib.Error as e: print(e.info.constraint)`.
    """

    def query(self, sql, *args, cancellable=None):
        """Runs a statement and returns its Db.Result; the arguments are $1, $2 and so on.

        None, bool, int, float, str, bytes, Decimal, datetime, date, time, UUID and lists of these can
        be arguments. A Db.Params or a GLib.Variant of a tuple may be given instead, as the only one.
        """
        _check_sql(sql)
        params = _make_params(args)
        try:
            if params is None:
                return _query(self, sql, None, cancellable)
            return _query_params(self, sql, params, cancellable)
        except GLib.Error as error:
            raise _inform(self, error)

    def execute(self, sql, *args, cancellable=None):
        """Runs a statement and returns the number of rows that it changed."""
        _check_sql(sql)
        params = _make_params(args)
        try:
            if params is None:
                return _execute(self, sql, None, cancellable)
            return _execute_params(self, sql, params, cancellable)
        except GLib.Error as error:
            raise _inform(self, error)

    def execute_many(self, sql, rows, cancellable=None):
        """Runs a statement for each of many rows of arguments, all or nothing; how many rows of the
        database were changed."""
        _check_sql(sql)
        params = _make_table(rows)
        with _informing(self):
            return Db.Connection.execute_many(self, sql, params, cancellable)

    def execute_script(self, sql, cancellable=None):
        """Runs statements one after the other, up to the first that fails."""
        _check_sql(sql)
        with _informing(self):
            return Db.Connection.execute_script(self, sql, cancellable)

    def run_batch(self, statements, *, independent=False, cancellable=None):
        """Runs different statements together: each is a text or (text, *arguments)."""
        batch = _make_batch(statements)
        with _informing(self):
            return Db.Connection.run_batch(self, batch, _batch_flags(independent), cancellable)

    def describe(self, sql, cancellable=None):
        """What a statement takes and returns, without running it."""
        _check_sql(sql)
        with _informing(self):
            return Db.Connection.describe(self, sql, cancellable)

    def open_cursor(self, sql, *args, batch_size=1000, cancellable=None):
        """A Db.Cursor, for more rows than memory should hold; the arguments are $1, $2 and so on."""
        _check_sql(sql)
        params = _make_params(args)
        with _informing(self):
            return self.open_cursor_params(sql, params, batch_size, cancellable)

    def begin(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """Begins a transaction, which the caller commits or rolls back."""
        with _informing(self):
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

    async def _await(self, begin, finish, cancellable, too_late=None):
        return await _await(begin, finish, cancellable, too_late, self)

    async def query_awaitable(self, sql, *args, cancellable=None):
        """query() for asyncio."""
        _check_sql(sql)
        params = _make_params(args)
        return await self._await(
            lambda inner, done: self.query_params_async(sql, params, inner, done),
            self.query_params_finish,
            cancellable,
        )

    async def execute_awaitable(self, sql, *args, cancellable=None):
        """execute() for asyncio."""
        _check_sql(sql)
        params = _make_params(args)
        return await self._await(
            lambda inner, done: self.execute_params_async(sql, params, inner, done),
            self.execute_params_finish,
            cancellable,
        )

    async def execute_many_awaitable(self, sql, rows, cancellable=None):
        """execute_many() for asyncio."""
        _check_sql(sql)
        params = _make_table(rows)
        return await self._await(
            lambda inner, done: self.execute_many_async(sql, params, inner, done),
            self.execute_many_finish,
            cancellable,
        )

    async def execute_script_awaitable(self, sql, cancellable=None):
        """execute_script() for asyncio."""
        _check_sql(sql)
        return await self._await(
            lambda inner, done: self.execute_script_async(sql, inner, done),
            self.execute_script_finish,
            cancellable,
        )

    async def run_batch_awaitable(self, statements, *, independent=False, cancellable=None):
        """run_batch() for asyncio."""
        batch = _make_batch(statements)
        flags = _batch_flags(independent)
        return await self._await(
            lambda inner, done: self.run_batch_async(batch, flags, inner, done),
            self.run_batch_finish,
            cancellable,
        )

    async def describe_awaitable(self, sql, cancellable=None):
        """describe() for asyncio."""
        _check_sql(sql)
        return await self._await(
            lambda inner, done: self.describe_async(sql, inner, done),
            self.describe_finish,
            cancellable,
        )

    async def open_cursor_awaitable(self, sql, *args, batch_size=1000, cancellable=None):
        """open_cursor() for asyncio: `async for row in await conn.open_cursor_awaitable(sql)`."""
        _check_sql(sql)
        params = _make_params(args)
        return await self._await(
            lambda inner, done: self.open_cursor_params_async(sql, params, batch_size, inner, done),
            self.open_cursor_params_finish,
            cancellable,
        )

    async def begin_awaitable(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """begin() for asyncio; `async with conn.transaction()` is shorter."""
        return await self._await(
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

# How transactions are tried again: as db_pool_transact() does.
_MAX_ATTEMPTS = 10
_FIRST_PAUSE = 0.01  # seconds
_LAST_PAUSE = 0.5


def _pause_before_retry(error, attempt):
    """How long to wait, or raises the error that is being handled."""
    if not error.matches(Db.error_quark(), Db.Error.SERIALIZATION) or attempt + 1 == _MAX_ATTEMPTS:
        raise error
    return random() * min(_FIRST_PAUSE * 2**attempt, _LAST_PAUSE)


def _sleep(seconds, cancellable):
    """Raises the error if the cancellable is cancelled meanwhile."""
    if cancellable is None:
        sleep(seconds)
        return
    poller = select.poll()
    poller.register(cancellable.get_fd(), select.POLLIN)
    poller.poll(seconds * 1000)
    cancellable.release_fd()
    cancellable.set_error_if_cancelled()


def _check_value(value):
    if iscoroutine(value):
        value.close()
        raise TypeError(
            "transact() was given a function that returned a coroutine: use an asynchronous function"
        )
    return value


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


class DatabaseConfig(Db.DatabaseConfig):
    def set_password(self, password):
        """Sets the password; None for none."""
        if password is not None and "\0" in password:
            raise ValueError("a password cannot contain a zero byte")
        Db.DatabaseConfig.set_password(self, password)


DatabaseConfig = override(DatabaseConfig)
__all__.append("DatabaseConfig")


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

    def execute_many(self, sql, rows, cancellable=None):
        """Borrows a connection for many rows: see Connection.execute_many()."""
        with self.acquire(cancellable) as connection:
            return connection.execute_many(sql, rows, cancellable)

    def run_batch(self, statements, *, independent=False, cancellable=None):
        """Borrows a connection for a batch: see Connection.run_batch()."""
        with self.acquire(cancellable) as connection:
            return connection.run_batch(
                statements, independent=independent, cancellable=cancellable
            )

    def transact(
        self,
        func,
        *args,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """Calls func(connection, *args) in a transaction, commits, and returns what func returned.

        An exception rolls back. A transaction that loses against another one (Db.Error.SERIALIZATION)
        is tried again, up to ten times, so func may be called again and has to do everything anew.
        With an asynchronous function the call is awaited: `await pool.transact(func)`.
        """
        arguments = (func, args, isolation, flags, cancellable)
        if iscoroutinefunction(func):
            return self._transact_awaitable(*arguments)
        return self._transact(*arguments)

    def _transact(self, func, args, isolation, flags, cancellable):
        for attempt in count():
            try:
                with self.acquire(cancellable, tag="a transaction of the pool's") as connection:
                    with connection.transaction(isolation, flags, cancellable=cancellable):
                        return _check_value(func(connection, *args))
            except GLib.Error as error:
                pause = _pause_before_retry(error, attempt)
            _sleep(pause, cancellable)

    async def _transact_awaitable(self, func, args, isolation, flags, cancellable):
        for attempt in count():
            try:
                async with self.connection(
                    tag="a transaction of the pool's", cancellable=cancellable
                ) as connection:
                    async with connection.transaction(isolation, flags, cancellable=cancellable):
                        return await func(connection, *args)
            except GLib.Error as error:
                pause = _pause_before_retry(error, attempt)
            await asyncio.sleep(pause)
            if cancellable is not None:
                cancellable.set_error_if_cancelled()

    def begin(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """Begins a transaction on a connection that is borrowed for it: transaction.get_connection()."""
        return Db.Pool.begin(self, isolation, flags, cancellable)

    async def begin_awaitable(
        self,
        isolation=Db.Isolation.DEFAULT,
        flags=Db.TransactionFlags.NONE,
        cancellable=None,
    ):
        """begin() for asyncio."""
        return await _await(
            lambda inner, done: self.begin_async(isolation, flags, inner, done),
            self.begin_finish,
            cancellable,
            _roll_back_late,
        )

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
            try:
                verdict = func(pool, subject, *user_data)
            except SystemExit:
                # PyGObject would end the interpreter, on this thread, which waits for the main one.
                print_exc()
                return False
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

    async def execute_many_awaitable(self, sql, rows, cancellable=None):
        """execute_many() for asyncio."""
        async with self.connection(cancellable=cancellable) as connection:
            return await connection.execute_many_awaitable(sql, rows, cancellable)

    async def run_batch_awaitable(self, statements, *, independent=False, cancellable=None):
        """run_batch() for asyncio."""
        async with self.connection(cancellable=cancellable) as connection:
            return await connection.run_batch_awaitable(
                statements, independent=independent, cancellable=cancellable
            )

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

    async def create_postgres_pool_awaitable(self, database, config=None, cancellable=None):
        """create_postgres_pool() for asyncio."""
        return await _await(
            lambda inner, done: self.create_postgres_pool_async(database, config, inner, done),
            self.create_postgres_pool_finish,
            cancellable,
        )

    async def create_sqlite_pool_awaitable(self, path, config=None, cancellable=None):
        """create_sqlite_pool() for asyncio."""
        return await _await(
            lambda inner, done: self.create_sqlite_pool_async(path, config, inner, done),
            self.create_sqlite_pool_finish,
            cancellable,
        )


PoolFactory = override(PoolFactory)
__all__.append("PoolFactory")


class HealthChecker(Db.HealthChecker):
    """Asks a pool and its database how they are."""

    async def check_awaitable(self, cancellable=None):
        """check() for asyncio."""
        return await _await(self.check_async, self.check_finish, cancellable)


HealthChecker = override(HealthChecker)
__all__.append("HealthChecker")
