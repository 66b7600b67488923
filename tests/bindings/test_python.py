# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""The Python story on a real database: test_python.py sqlite | postgres. Prints TAP."""

import asyncio
import copy
import gc
import os
import pickle
import shutil
import sys
import tempfile
import threading
import unittest
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from uuid import UUID

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, Gio, GLib
from story import BACKEND, Story, main


class TestQueries(Story):
    def test_rows(self):
        self.assertEqual(
            self.pool.execute("INSERT INTO dbpool_python VALUES ($1, $2)", 2**53 + 1, "grüße"), 1
        )
        with self.pool.acquire() as conn:
            result = conn.query("SELECT id, name FROM dbpool_python WHERE id = $1", 2**53 + 1)
        self.assertEqual(len(result), 1)
        self.assertTrue(result)
        self.assertEqual(result[0], (2**53 + 1, "grüße"))
        self.assertEqual(result[-1].name, "grüße")
        self.assertEqual(result[0]._asdict(), {"id": 2**53 + 1, "name": "grüße"})
        self.assertEqual(list(result[0]._asdict()), ["id", "name"])
        self.assertEqual(repr(result[0]), "Row(id=9007199254740993, name='grüße')")
        self.assertEqual(pickle.loads(pickle.dumps(result[0])).name, "grüße")
        self.assertEqual(copy.copy(result[0]).id, 2**53 + 1)
        self.assertEqual(result.get_column_names(), ["id", "name"])
        for id, name in result:
            self.assertEqual((id, name), (2**53 + 1, "grüße"))
        for wrong in (1, -2):
            with self.assertRaises(IndexError):
                result[wrong]
        with self.assertRaises(TypeError):
            result["id"]

    def test_no_rows(self):
        result = self.pool.query("SELECT id, name FROM dbpool_python")
        self.assertEqual(len(result), 0)
        self.assertFalse(result)
        self.assertEqual(list(result), [])
        self.assertEqual(result.get_n_columns(), 2)
        self.assertEqual(result.get_column_int64s(0), [])

    def test_many_rows(self):
        self.fill(1000)
        result = self.pool.query("SELECT id, name FROM dbpool_python ORDER BY id")
        rows = list(result)
        self.assertEqual(len(rows), 1000)
        self.assertEqual(rows[999], (999, "name 999"))
        self.assertEqual(rows[999].name, "name 999")
        self.assertEqual(result[10:13], rows[10:13])
        self.assertEqual(next(reversed(result)), rows[999])
        self.assertIn((5, "name 5"), result)
        self.assertEqual(result.get_column_int64s(0), list(range(1000)))
        self.assertEqual(result.get_column_texts(1)[7], "name 7")
        # The list model: the same object while somebody holds it.
        row = result.get_item(5)
        self.assertIs(row, result.get_item(5))
        self.assertEqual(row.get_text(1), "name 5")
        self.assertEqual(result.get_item_type(), Db.Row.__gtype__)
        self.assertIsNone(result.get_item(1000))

    def test_nulls(self):
        for i in range(20):
            name = None if i % 3 == 0 else f"n{i}"
            self.pool.execute("INSERT INTO dbpool_python VALUES ($1, $2)", i, name)
        result = self.pool.query("SELECT id, name FROM dbpool_python ORDER BY id")
        for id, name in result:
            self.assertEqual(name, None if id % 3 == 0 else f"n{id}")
        self.assertEqual(result[3], (3, None))
        self.assertEqual(result.get_column_nulls(1), [0, 3, 6, 9, 12, 15, 18])

    def test_names(self):
        row = self.pool.query("SELECT 1 AS count, 2 AS a, 3 AS a, 4 AS _fields")[0]
        self.assertEqual((row.count, row.a), (1, 2))
        self.assertEqual(row._fields, ("count", "a", "a", "_fields"))
        self.assertEqual(row._asdict(), {"count": 1, "a": 2, "_fields": 4})

    def test_other_forms_of_parameters(self):
        with self.pool.acquire() as conn:
            insert = "INSERT INTO dbpool_python VALUES ($1, $2)"
            conn.execute(insert, Db.Params(1, "params"))
            conn.execute(insert, GLib.Variant("(xms)", (2, None)))
            names = conn.query("SELECT name FROM dbpool_python ORDER BY id")
            self.assertEqual([name for name, in names], ["params", None])
            self.assertEqual(conn.execute_params(insert, Db.Params(3, "c"), None), 1)
        table = Db.Params()
        table.add_row(1, "a")
        table.add_row(2, None)
        self.assertEqual((table.get_n_rows(), table.get_n_values(1)), (2, 2))

    def test_parameters_that_are_refused(self):
        sql = "SELECT id FROM dbpool_python WHERE id = $1"
        for value, error, words in (
            ({1, 2}, TypeError, "parameter 1 has the type set"),
            (object(), TypeError, "parameter 1 has the type object"),
            ("a\0b", ValueError, "NUL"),
            ("\ud800", UnicodeError, ""),
        ):
            with self.subTest(value=value), self.assertRaises(error) as caught:
                self.pool.query(sql, value)
            self.assertIn(words, str(caught.exception))
        self.assertEqual(self.lent(), 0)

    def test_sql_with_a_zero_byte(self):
        self.pool.execute("INSERT INTO dbpool_python VALUES (1, 'a')")
        sql = "DELETE FROM dbpool_python\0 WHERE id = 2"
        with self.pool.acquire() as conn:
            for call in (
                lambda: conn.execute(sql),
                lambda: conn.query(sql),
                lambda: conn.execute_script(sql),
                lambda: conn.execute_many(sql, [()]),
                lambda: conn.describe(sql),
                lambda: conn.open_cursor(sql),
                lambda: conn.run_batch([sql]),
                lambda: asyncio.run(conn.execute_awaitable(sql)),
                lambda: asyncio.run(conn.query_awaitable(sql)),
            ):
                with self.assertRaisesRegex(ValueError, "NUL"):
                    call()
        self.assertEqual(self.pool.query("SELECT count(*) FROM dbpool_python")[0][0], 1)

    def test_errors(self):
        error = self.assertError(Db.Error.QUERY, self.pool.query, "SELEKT 1")
        self.assertIn("SELEKT", error.message)
        self.pool.execute("INSERT INTO dbpool_python VALUES (1, 'a')")
        error = self.assertError(
            Db.Error.CONSTRAINT, self.pool.execute, "INSERT INTO dbpool_python VALUES (1, 'b')"
        )
        self.assertRegex(error.message, r" \[(SQLSTATE 23505|SQLite \d+)\]$")
        self.assertFalse(Db.Error.is_transient(error))
        if BACKEND == "postgres":
            self.assertEqual(Db.Error.get_sqlstate(error), "23505")
        with self.pool.acquire() as conn:
            with self.assertRaises(GLib.Error):
                conn.query("SELECT $1", 1, 2)
            with self.assertRaises(GLib.Error):
                conn.query("SELECT id FROM dbpool_python WHERE id = $1")
            self.assertEqual(conn.query("SELECT 1")[0][0], 1)
        self.assertEqual(self.lent(), 0)

    def test_errors_of_the_factory(self):
        factory = Db.PoolFactory()
        for uri in ("nonsense", "sqlite:/nonexistent/folder/x.db", "oracle://x", "postgresql://h:70000/x"):
            with self.subTest(uri=uri), self.assertRaises(GLib.Error):
                factory.create_pool(uri, None, None)


class TestTypes(Story):
    def through(self, sql_type, value):
        # A table for each type: the server infers a parameter's type once for each text.
        table = "dbpool_" + sql_type.replace(" ", "_")
        self.pool.execute(f"CREATE TABLE {table} (v {sql_type})")
        try:
            self.pool.execute(f"INSERT INTO {table} VALUES ($1)", value)
            return self.pool.query(f"SELECT v FROM {table}")[0][0]
        finally:
            self.pool.execute(f"DROP TABLE {table}")

    def check(self, sql_type, value):
        with self.subTest(type=sql_type, value=value):
            back = self.through(sql_type, value)
            self.assertEqual(back, value)
            self.assertIs(type(back), type(value))

    def test_numbers(self):
        for value in (0, -1, 2**31, 2**63 - 1, -(2**63), None):
            self.check("bigint", value)
        for value in (0.0, -0.5, 1e300, 0.1):
            self.check("double precision", value)
        self.assertEqual(self.through("bigint", IntEnum("E", "ONE TWO").TWO), 2)

    def test_text_and_bytes(self):
        binary = "bytea" if BACKEND == "postgres" else "blob"
        for value in ("", "plain", "grüße 🐘", "x" * 100000, "'\"\\%$1?"):
            self.check("text", value)
        for value in (b"", b"\0\xff", bytes(range(256)) * 100):
            self.check(binary, value)
        self.assertEqual(self.through(binary, bytearray(b"ab")), b"ab")
        self.assertEqual(self.through(binary, memoryview(b"ab")), b"ab")
        self.assertEqual(self.through(binary, GLib.Bytes.new(b"ab")), b"ab")

    def test_booleans(self):
        for value in (True, False):
            back = self.through("boolean", value)
            self.assertEqual(back, value)
            if BACKEND == "postgres":  # SQLite keeps 0 and 1
                self.assertIs(back, value)

    def test_types_carried_as_text(self):
        zone = timezone(timedelta(hours=2))
        values = [
            ("numeric", Decimal("12345678901234567890.50")),
            ("date", date(2026, 2, 28)),
            ("time", time(23, 59, 58, 123456)),
            ("timestamp", datetime(2026, 2, 28, 1, 2, 3, 456)),
            ("timestamp with time zone", datetime(2026, 2, 28, 1, 2, 3, tzinfo=zone)),
            ("uuid", UUID("12345678-1234-5678-1234-567812345678")),
        ]
        for sql_type, value in values:
            if BACKEND == "postgres":
                self.check(sql_type, value)
            else:
                # SQLite has no such types: what was stored is its text.
                back = self.through("text", value)
                self.assertEqual(back, value.isoformat(" ") if isinstance(value, datetime) else str(value))

    @unittest.skipUnless(BACKEND == "postgres", "PostgreSQL's own values")
    def test_postgres_values_beyond_python(self):
        row = self.pool.query(
            "SELECT 'infinity'::timestamp AS t, '4713-01-01 BC'::date AS d, 'NaN'::numeric AS n,"
            " '{\"a\": 1}'::jsonb AS j, NULL::numeric AS z"
        )[0]
        self.assertEqual(row.t, "infinity")
        self.assertEqual(row.d, "4713-01-01 BC")
        self.assertTrue(row.n.is_nan())
        self.assertEqual(row.j, '{"a": 1}')
        self.assertIsNone(row.z)
        rows = list(
            self.pool.query(
                "SELECT CASE WHEN i % 2 = 0 THEN i::numeric / 4 END AS n, i % 2 = 0 AS b"
                " FROM generate_series(0, 19) AS i"
            )
        )
        self.assertEqual(rows[2], (Decimal("0.5"), True))
        self.assertEqual(rows[3], (None, False))

    @unittest.skipUnless(BACKEND == "sqlite", "SQLite's cells have their own types")
    def test_sqlite_mixed(self):
        sql = " UNION ALL ".join(["SELECT 1", "SELECT 'two'", "SELECT 3.5", "SELECT NULL", "SELECT x'00ff'"] * 3)
        result = self.pool.query(sql)
        self.assertEqual(result.get_column_type(0), Db.ValueType.MIXED)
        self.assertEqual([v for v, in result], [1, "two", 3.5, None, b"\x00\xff"] * 3)
        self.assertEqual(result[4], (b"\x00\xff",))


class TestConnections(Story):
    def test_release(self):
        conn = self.pool.acquire()
        self.assertEqual(self.lent(), 1)
        alias = conn
        with conn:
            conn.query("SELECT 1")
        self.assertEqual(self.lent(), 0)
        self.assertTrue(alias.is_released())
        self.assertError(Db.Error.RELEASED, alias.query, "SELECT 1")
        self.assertError(Db.Error.RELEASED, alias.execute, "SELECT 1")
        conn.release()
        other = self.pool.acquire()
        self.assertError(Db.Error.RELEASED, alias.query, "SELECT 1")
        other.release()

    def test_dropping_releases(self):
        conn = self.pool.acquire()
        self.assertEqual(self.lent(), 1)
        del conn
        gc.collect()
        self.assertEqual(self.lent(), 0)
        try:
            with self.pool.acquire():
                raise KeyError
        except KeyError:
            pass
        self.assertEqual(self.lent(), 0)

    def test_timeouts(self):
        with self.pool.acquire(), self.pool.acquire(None, tag="second"):
            self.assertError(Db.Error.TIMEOUT, self.pool.acquire, timeout=0.05)
            self.assertError(Db.Error.EXHAUSTED, self.pool.acquire, timeout=0)
            self.assertError(Db.Error.EXHAUSTED, self.pool.try_acquire)
            with self.assertRaises(ValueError):
                self.pool.acquire(timeout=-1)
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            with self.assertRaises(GLib.Error) as caught:
                self.pool.acquire(cancellable)
            self.assertTrue(
                caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED)
            )

    def test_read_only(self):
        with self.pool.acquire(read_only=True) as conn:
            self.assertError(
                Db.Error.READ_ONLY, conn.execute, "INSERT INTO dbpool_python VALUES (1, 'a')"
            )
        self.pool.execute("INSERT INTO dbpool_python VALUES (1, 'a')")

    def test_transactions(self):
        insert = "INSERT INTO dbpool_python VALUES ($1, $2)"
        with self.pool.acquire() as conn:
            with conn.transaction() as transaction:
                self.assertTrue(transaction.is_open())
                conn.execute(insert, 1, "kept")
            self.assertFalse(transaction.is_open())
            with self.assertRaises(KeyError):
                with conn.transaction():
                    conn.execute(insert, 2, "undone")
                    raise KeyError
            with conn.transaction() as transaction:
                conn.execute(insert, 3, "undone")
                transaction.rollback()
            with self.assertRaises(GLib.Error):
                with conn.transaction():
                    conn.execute(insert, 1, "twice")
            with self.assertRaises(GLib.Error):
                with conn.transaction(read_only=True):
                    conn.execute(insert, 4, "no")
            transaction = conn.begin()
            conn.execute(insert, 5, "kept")
            transaction.commit()
        self.assertEqual([id for id, in self.pool.query("SELECT id FROM dbpool_python ORDER BY id")], [1, 5])

    def test_threads(self):
        errors = []

        def work(first):
            try:
                for i in range(first, first + 25):
                    self.pool.execute("INSERT INTO dbpool_python VALUES ($1, $2)", i, "t")
            except Exception as e:
                errors.append(e)

        threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.count(), 100)
        self.assertEqual(self.lent(), 0)

    def test_close(self):
        with self.pool as pool:
            pool.query("SELECT 1")
        self.assertTrue(pool.is_closed())
        self.assertError(Db.Error.CLOSED, pool.acquire)

    def test_close_with_a_connection_out(self):
        conn = self.pool.acquire(tag="the holder")
        error = self.assertError(Db.Error.TIMEOUT, self.pool.close, 0.05)
        self.assertIn("the holder", error.message)
        self.assertError(Db.Error.RELEASED, conn.query, "SELECT 1")
        conn.release()


class TestCallbacks(Story):
    """The asynchronous calls in C's shape, on a GLib main loop."""

    def test_acquire_and_query(self):
        loop = GLib.MainLoop()
        seen = []

        def queried(conn, result, data):
            seen.append(conn.query_finish(result)[0][0])
            conn.release()
            loop.quit()

        def acquired(pool, result, data):
            seen.append(data)
            conn = pool.acquire_finish(result)
            conn.query_async("SELECT 41 + 1", None, None, queried, None)

        self.pool.acquire_async(None, acquired, "data")
        loop.run()
        self.assertEqual(seen, ["data", 42])
        self.assertEqual(self.lent(), 0)


class TestAwaitables(Story):
    def test_story(self):
        insert = "INSERT INTO dbpool_python VALUES ($1, $2)"

        async def story():
            async with self.pool.connection() as conn:
                self.assertEqual(await conn.execute_awaitable(insert, 1, "one"), 1)
                async with conn.transaction() as transaction:
                    await conn.execute_awaitable(insert, 2, None)
                    self.assertTrue(transaction.is_open())
                with self.assertRaises(KeyError):
                    async with conn.transaction():
                        await conn.execute_awaitable(insert, 3, "undone")
                        raise KeyError
                await conn.execute_script_awaitable(
                    "INSERT INTO dbpool_python VALUES (4, 'four'); SELECT 1"
                )
                result = await conn.query_awaitable("SELECT id, name FROM dbpool_python ORDER BY id")
            self.assertEqual(list(result), [(1, "one"), (2, None), (4, "four")])
            self.assertEqual(self.lent(), 0)
            conn = await self.pool.connection(timeout=5)
            conn.release()
            conn = await self.pool.acquire_awaitable()
            with self.assertRaises(GLib.Error) as caught:
                await conn.query_awaitable("SELEKT 1")
            self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.QUERY))
            with self.assertRaises(TypeError):
                await conn.query_awaitable("SELECT $1", object())
            conn.release()
            self.assertEqual((await self.pool.query_awaitable("SELECT 7"))[0], (7,))
            self.assertEqual(await self.pool.execute_awaitable("DELETE FROM dbpool_python"), 3)

        asyncio.run(story())
        self.assertEqual(self.lent(), 0)

    def test_many_tasks(self):
        async def one(i):
            return (await self.pool.query_awaitable("SELECT id FROM dbpool_python WHERE id = $1", i))[0].id

        async def story():
            return await asyncio.gather(*(one(i) for i in range(50)))

        self.fill(50)
        self.assertEqual(asyncio.run(story()), list(range(50)))
        self.assertEqual(self.lent(), 0)

    def test_cancelled_task(self):
        gc.disable()  # which would give back what the bridge forgets
        self.addCleanup(gc.enable)

        async def story():
            first, second = await self.pool.connection(), await self.pool.connection()
            waiting = asyncio.create_task(self.pool.acquire_awaitable())
            while self.pool.get_stats().get_waiting() == 0:
                await asyncio.sleep(0.001)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            while self.pool.get_stats().get_waiting() > 0:
                await asyncio.sleep(0.001)
            first.release()
            second.release()
            # A cancel that comes at any moment loses no connection, also when it comes after the
            # connection and before the task has taken it.
            for i in range(200):
                task = asyncio.create_task(self.pool.acquire_awaitable())
                if i % 2:
                    while self.lent() == 0:
                        await asyncio.sleep(0)
                else:
                    for n in range(i % 7):
                        await asyncio.sleep(0)
                task.cancel()
                try:
                    (await task).release()
                except asyncio.CancelledError:
                    pass
                while self.lent() > 0 and i % 2:
                    await asyncio.sleep(0)
            for i in range(1000):
                if self.lent() == 0:
                    break
                await asyncio.sleep(0.005)
            self.assertEqual(self.lent(), 0)
            async with self.pool.connection(), self.pool.connection():
                self.assertEqual(self.lent(), 2)

        asyncio.run(story())

    def test_cancellable(self):
        async def story():
            async with self.pool.connection(), self.pool.connection():
                cancellable = Gio.Cancellable()
                task = asyncio.create_task(self.pool.acquire_awaitable(cancellable))
                await asyncio.sleep(0)
                cancellable.cancel()
                with self.assertRaises(GLib.Error) as caught:
                    await task
                self.assertTrue(
                    caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED)
                )
                with self.assertRaises(GLib.Error) as caught:
                    await self.pool.acquire_awaitable(timeout=0.02)
                self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.TIMEOUT))

        asyncio.run(story())
        self.assertEqual(self.lent(), 0)

    def test_pool_of_its_own(self):
        async def story():
            pool = await Db.PoolFactory().create_pool_awaitable(self.uri)
            async with pool:
                self.assertEqual((await pool.query_awaitable("SELECT 1"))[0][0], 1)
            self.assertTrue(pool.is_closed())

        asyncio.run(story())

    def test_glib_loop(self):
        try:
            import gbulb
        except ImportError:
            self.skipTest("python3-gbulb is not installed")
        policy = gbulb.GLibEventLoopPolicy()
        loop = policy.new_event_loop()

        async def story():
            async with self.pool.connection() as conn:
                return (await conn.query_awaitable("SELECT 5"))[0][0]

        try:
            self.assertEqual(loop.run_until_complete(story()), 5)
        finally:
            loop.close()


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
