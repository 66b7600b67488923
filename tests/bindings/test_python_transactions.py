# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Transactions, errors and cancellation from Python: test_python_transactions.py sqlite | postgres. Prints TAP."""

import asyncio
import gc
import sys
import threading
import time
import unittest
from unittest import mock

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, Gio, GLib
from story import main
from test_python_sql import INSERT, PATIENCE, POSTGRES, SELECT, SERIES, SqlStory

ENDLESS = (
    "SELECT pg_sleep(600) AS endless"
    if POSTGRES
    else "WITH RECURSIVE endless(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM endless)"
    " SELECT count(*) FROM endless"
)


class CancelStory(SqlStory):
    def runs_endlessly(self):
        dump = self.pool.dump()  # has the last statement of each session; of a batch, the first
        return "endless" in dump or "FETCH" in dump

    def assertCancelled(self, error):
        self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED), repr(error))


class TestTransactions(CancelStory):
    def test_nesting(self):
        with self.pool.acquire() as conn:
            with conn.transaction():
                conn.execute(INSERT, 1, "kept")
                with self.assertRaises(KeyError), conn.transaction():
                    conn.execute(INSERT, 2, "undone")
                    with conn.transaction():
                        conn.execute(INSERT, 3, "undone with it")
                    raise KeyError
                with conn.transaction() as inner:
                    conn.execute(INSERT, 4, "kept")
                    self.assertTrue(inner.is_open())
                with self.assertRaises(GLib.Error), conn.transaction():
                    conn.execute(INSERT, 1, "again")
                conn.execute(INSERT, 5, "kept")
            outer = conn.begin()
            conn.begin()
            self.assertIs(outer.get_connection(), conn)
            self.assertTrue(outer.rollback())
            self.assertFalse(outer.is_open())
            self.assertError(Db.Error.QUERY, outer.commit)
            self.assertError(Db.Error.QUERY, outer.rollback)
        self.assertEqual(self.ids(), [1, 4, 5])

    def test_inner_one_open_at_the_commit(self):
        with self.pool.acquire() as conn:
            outer = conn.begin()
            inner = conn.begin()
            conn.execute(INSERT, 1, "one")
            self.assertError(Db.Error.QUERY, outer.commit)
            inner.commit()
            outer.commit()
        self.assertEqual(self.ids(), [1])

    def test_dropping(self):
        with self.pool.acquire() as conn:
            transaction = conn.begin()
            conn.execute(INSERT, 1, "undone")
            del transaction
            conn.execute(INSERT, 2, "kept")
        self.assertEqual(self.ids(), [2])

    def test_kinds(self):
        with self.pool.acquire() as conn:
            for isolation in Db.Isolation.__enum_values__.values():
                with conn.transaction(isolation):
                    if POSTGRES and isolation != Db.Isolation.DEFAULT:
                        shown = conn.query("SHOW transaction_isolation")[0][0]
                        self.assertEqual(shown, isolation.value_nick.replace("-", " "))
            flags = Db.TransactionFlags
            for flag in (flags.DEFERRABLE, flags.EXCLUSIVE, flags.DEFERRED, flags.READ_ONLY | flags.DEFERRABLE):
                with conn.transaction(Db.Isolation.SERIALIZABLE, flag):
                    conn.query(SELECT)
            with self.assertRaises(GLib.Error) as caught:
                with conn.transaction(read_only=True):
                    conn.execute(INSERT, 1, "no")
            self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.READ_ONLY))
        self.assertEqual(self.ids(), [])

    def test_commit_of_a_failed_one(self):
        with self.pool.acquire() as conn:
            if POSTGRES:
                with self.assertRaises(GLib.Error) as caught:
                    with conn.transaction():
                        conn.execute(INSERT, 1, "undone")
                        self.assertError(Db.Error.QUERY, conn.query, "SELEKT")
                self.assertIn("rolled back", caught.exception.message)
            with conn.transaction():
                conn.execute(INSERT, 2, "kept")
        self.assertEqual(self.ids(), [2])

    def make_deferred(self, conn):
        conn.execute_script(
            "DROP TABLE IF EXISTS dbpool_child; CREATE TABLE dbpool_child (parent bigint"
            " REFERENCES dbpool_python (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        self.addCleanup(self.pool.close)
        self.addCleanup(self.pool.execute, "DROP TABLE IF EXISTS dbpool_python")
        self.addCleanup(self.pool.execute, "DROP TABLE IF EXISTS dbpool_child")
        return "INSERT INTO dbpool_child VALUES (99)"

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def test_commit_that_fails(self):
        with self.pool.acquire() as conn:
            orphan = self.make_deferred(conn)
            with self.assertRaises(GLib.Error) as caught:
                with conn.transaction() as transaction:
                    conn.execute(orphan)
            self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.CONSTRAINT))
            self.assertEqual(caught.exception.info.constraint_kind, Db.ConstraintKind.FOREIGN_KEY)
            self.assertFalse(transaction.is_open())
            conn.execute(INSERT, 1, "after")

            async def story():
                with self.assertRaises(GLib.Error) as caught:
                    async with conn.transaction() as transaction:
                        await conn.execute_awaitable(orphan)
                self.assertEqual(caught.exception.info.constraint_kind, Db.ConstraintKind.FOREIGN_KEY)
                self.assertFalse(transaction.is_open())

            asyncio.run(story())
        self.assertEqual(self.ids(), [1])

    def test_begin_of_the_pool(self):
        transaction = self.pool.begin()
        conn = transaction.get_connection()
        conn.execute(INSERT, 1, "one")
        self.assertEqual(self.lent(), 1)
        transaction.commit()
        self.assertTrue(conn.is_released())
        self.wait_until(lambda: self.lent() == 0)
        transaction = self.pool.begin(Db.Isolation.SERIALIZABLE, Db.TransactionFlags.DEFERRED)
        transaction.get_connection().execute(INSERT, 2, "undone")
        del transaction, conn
        gc.collect()
        self.wait_until(lambda: self.lent() == 0)

        async def story():
            transaction = await self.pool.begin_awaitable()
            await transaction.get_connection().execute_awaitable(INSERT, 3, "undone")
            self.assertTrue(await transaction.rollback_awaitable())
            transaction = await self.pool.begin_awaitable(Db.Isolation.SERIALIZABLE)
            await transaction.get_connection().execute_awaitable(INSERT, 4, "four")
            self.assertTrue(await transaction.commit_awaitable())
            with self.assertRaises(GLib.Error) as caught:
                await transaction.commit_awaitable()
            self.assertIsNone(caught.exception.info)

        asyncio.run(story())
        self.assertEqual(self.ids(), [1, 4])
        self.wait_until(lambda: self.lent() == 0)

    def test_asynchronous(self):
        async def story():
            async with self.pool.connection() as conn:
                async with conn.transaction(Db.Isolation.SERIALIZABLE):
                    await conn.execute_awaitable(INSERT, 1, "kept")
                    with self.assertRaises(KeyError):
                        async with conn.transaction():
                            await conn.execute_awaitable(INSERT, 2, "undone")
                            raise KeyError
                transaction = await conn.begin_awaitable()
                await conn.execute_awaitable(INSERT, 3, "undone")
                await transaction.rollback_awaitable()

        asyncio.run(story())
        self.assertEqual(self.ids(), [1])

    def test_task_cancelled_in_a_transaction(self):
        async def work(conn):
            async with conn.transaction():
                await conn.execute_awaitable(INSERT, 1, "undone")
                await conn.query_awaitable(ENDLESS)

        async def story():
            async with self.pool.connection() as conn:
                task = asyncio.create_task(work(conn))
                while not self.runs_endlessly():
                    await asyncio.sleep(0.001)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                await conn.execute_awaitable(INSERT, 2, "after")

        asyncio.run(story())
        self.assertEqual(self.ids(), [2])

    def test_coroutine_that_is_closed(self):
        async def work(conn):
            async with conn.transaction():
                await conn.execute_awaitable(INSERT, 1, "undone")
                async with await conn.open_cursor_awaitable(SERIES, 100, batch_size=2) as cursor:
                    await cursor.fetch_awaitable()
                    await asyncio.Event().wait()

        async def story():
            async with self.pool.connection() as conn:
                coroutine = work(conn)
                waited_for = coroutine.send(None)
                while self.ids() == [] and waited_for is not None:
                    waited_for._asyncio_future_blocking = False
                    done, _ = await asyncio.wait([waited_for], timeout=0.2)
                    if not done:
                        break
                    waited_for = coroutine.send(None)
                coroutine.close()
                await conn.execute_awaitable(INSERT, 2, "after")

        asyncio.run(story())
        self.assertEqual(self.ids(), [2])


class TestTransact(CancelStory):
    FLAGS = Db.TransactionFlags.NONE if POSTGRES else Db.TransactionFlags.DEFERRED

    def setUp(self):
        super().setUp()
        self.fill(2)
        self.n_calls = 0

    def lose(self, conn, n_losses, value="done"):
        """Reads what another session then writes, and writes what that has read."""
        self.n_calls += 1
        conn.query("SELECT count(*) FROM dbpool_python")
        if self.n_calls <= n_losses:
            with self.pool.acquire() as other, other.transaction(Db.Isolation.SERIALIZABLE):
                other.query("SELECT count(*) FROM dbpool_python")
                other.execute("UPDATE dbpool_python SET name = $1 WHERE id = 1", f"won {self.n_calls}")
        conn.execute("UPDATE dbpool_python SET name = $1 WHERE id = 0", value)
        return self.n_calls

    def transact(self, func, *args, **kwargs):
        return self.pool.transact(
            func, *args, isolation=Db.Isolation.SERIALIZABLE, flags=self.FLAGS, **kwargs
        )

    def test_value(self):
        self.assertEqual(self.pool.transact(lambda conn, a, b: (a, b), 1, "two"), (1, "two"))
        self.assertIsNone(self.pool.transact(lambda conn: conn.execute(INSERT, 7, "seven") and None))
        self.assertEqual(self.ids(), [0, 1, 7])

    def test_exception_rolls_back(self):
        def fail(conn, error):
            self.n_calls += 1
            conn.execute(INSERT, 7, "undone")
            raise error

        with self.assertRaises(KeyError):
            self.pool.transact(fail, KeyError())
        error = self.assertError(Db.Error.CONSTRAINT, self.pool.transact, lambda conn: conn.execute(INSERT, 1, ""))
        self.assertEqual(error.info.constraint_kind, Db.ConstraintKind.UNIQUE)
        with self.assertRaises(GLib.Error):
            self.pool.transact(fail, GLib.Error("mine", "my-domain", 3))
        self.assertEqual(self.n_calls, 2)
        self.assertEqual((self.ids(), self.lent()), ([0, 1], 0))

    def test_retries(self):
        self.assertEqual(self.transact(self.lose, 2), 3)
        self.assertEqual(self.pool.query(SELECT)[0].name, "done")
        self.assertEqual(self.lent(), 0)

    def test_is_bounded(self):
        with mock.patch("gi.overrides.Db.random", lambda: 0):
            error = self.assertError(Db.Error.SERIALIZATION, self.transact, self.lose, 1000)
        self.assertEqual(self.n_calls, 10)
        self.assertTrue(Db.Error.is_transient(error))
        self.assertEqual(Db.Error.get_sqlstate(error), "40001" if POSTGRES else None)
        self.assertEqual(self.pool.query(SELECT)[0].name, "name 0")
        self.assertEqual(self.lent(), 0)

    def test_cancelled_while_it_waits(self):
        cancellable = Gio.Cancellable()
        threads = []

        def lose_for_good(conn):
            if self.n_calls == 0:
                threads.append(threading.Thread(target=self.cancel_when_nothing_is_lent, args=[cancellable]))
                threads[0].start()
            self.lose(conn, 1000)

        with mock.patch("gi.overrides.Db._FIRST_PAUSE", 600), mock.patch("gi.overrides.Db._LAST_PAUSE", 600):
            start = time.monotonic()
            with mock.patch("gi.overrides.Db.random", lambda: 1), self.assertRaises(GLib.Error) as caught:
                self.transact(lose_for_good, cancellable=cancellable)
        self.assertLess(time.monotonic() - start, PATIENCE)
        threads[0].join()
        self.assertCancelled(caught.exception)
        self.assertEqual(self.n_calls, 1)

    def cancel_when_nothing_is_lent(self, cancellable):
        self.wait_until(lambda: self.lent() == 0)
        cancellable.cancel()

    def test_coroutine_by_mistake(self):
        async def work(conn):
            pass

        with self.assertRaises(TypeError) as caught:
            self.pool.transact(lambda conn: (conn.execute(INSERT, 7, "undone"), work(conn))[1])
        self.assertIn("coroutine", str(caught.exception))
        self.assertEqual((self.ids(), self.lent()), ([0, 1], 0))

    def test_asynchronous(self):
        async def lose(conn, n_losses):
            return self.lose(conn, n_losses)

        async def fail(conn):
            await conn.execute_awaitable(INSERT, 7, "undone")
            raise KeyError

        async def story():
            self.assertEqual(await self.transact(lose, 2), 3)
            self.n_calls = 0
            with mock.patch("gi.overrides.Db.random", lambda: 0), self.assertRaises(GLib.Error) as caught:
                await self.transact(lose, 1000)
            self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.SERIALIZATION))
            self.assertEqual(self.n_calls, 10)
            with self.assertRaises(KeyError):
                await self.pool.transact(fail)

        asyncio.run(story())
        self.assertEqual((self.ids(), self.lent()), ([0, 1], 0))


class TestErrors(SqlStory):
    def setUp(self):
        super().setUp()
        self.pool.execute("DROP TABLE IF EXISTS dbpool_checked")
        self.pool.execute(
            "CREATE TABLE dbpool_checked (id bigint PRIMARY KEY, name text NOT NULL,"
            " pieces integer CONSTRAINT some_pieces CHECK (pieces > 0),"
            " other bigint REFERENCES dbpool_checked (id))"
        )
        self.pool.execute("INSERT INTO dbpool_checked VALUES (1, 'one', 1, NULL)")

    def tearDown(self):
        self.pool.execute("DROP TABLE IF EXISTS dbpool_checked")
        super().tearDown()

    def test_constraints(self):
        for values, kind, sqlstate, name, column in (
            ((1, "a", 1, None), Db.ConstraintKind.UNIQUE, "23505", "dbpool_checked_pkey", "id"),
            ((2, None, 1, None), Db.ConstraintKind.NOT_NULL, "23502", None, "name"),
            ((2, "a", 0, None), Db.ConstraintKind.CHECK, "23514", "some_pieces", None),
            ((2, "a", 1, 99), Db.ConstraintKind.FOREIGN_KEY, "23503", "dbpool_checked_other_fkey", None),
        ):
            with self.subTest(kind=kind):
                sql = "INSERT INTO dbpool_checked VALUES ($1, $2, $3, $4)"
                error = self.assertError(Db.Error.CONSTRAINT, self.pool.execute, sql, *values)
                info = error.info
                self.assertEqual(info.constraint_kind, kind)
                self.assertEqual(Db.Error.get_constraint_kind(error), kind)
                self.assertFalse(Db.Error.is_transient(error))
                self.assertIn(info.message, error.message)
                if POSTGRES:
                    self.assertEqual((info.sqlstate, Db.Error.get_sqlstate(error)), (sqlstate, sqlstate))
                    self.assertEqual((info.table, info.schema), ("dbpool_checked", "public"))
                    self.assertEqual((info.severity, info.sqlite_code), ("ERROR", 0))
                    self.assertEqual(info.constraint, name)
                    self.assertEqual(info.column, column if name is None else None)
                else:
                    self.assertIsNone(Db.Error.get_sqlstate(error))
                    self.assertIn(f"[SQLite {info.sqlite_code}]", error.message)
                    self.assertEqual(info.column, column)
                    if kind == Db.ConstraintKind.CHECK:
                        self.assertEqual(info.constraint, "some_pieces")
        self.assertEqual(self.lent(), 0)

    @unittest.skipUnless(POSTGRES, "SQLite says no more than the message")
    def test_details(self):
        error = self.assertError(
            Db.Error.CONSTRAINT, self.pool.execute, "INSERT INTO dbpool_checked VALUES (1, 'secret', 1, NULL)"
        )
        self.assertEqual(error.info.detail, "Key (id)=(1) already exists.")
        self.assertNotIn("Key (id)", error.message)
        self.assertNotIn("Key (id)", repr(error.info))
        self.assertIn("constraint='dbpool_checked_pkey'", repr(error.info))
        error = self.assertError(
            Db.Error.QUERY,
            self.pool.execute,
            "DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'a hint', DATATYPE = 'a type', ERRCODE = 'XX999'; END $$",
        )
        self.assertEqual((error.info.hint, error.info.data_type, error.info.sqlstate), ("a hint", "a type", "XX999"))
        self.assertIn("PL/pgSQL", error.info.context)
        self.assertEqual(Db.Error.get_sqlstate(error), "XX999")

    def test_position(self):
        error = self.assertError(Db.Error.QUERY, self.pool.query, "SELECT id, größe FROM dbpool_checked")
        self.assertEqual(error.info.position, 12)

    def test_awaitables(self):
        async def story():
            for call in (self.pool.query_awaitable, self.pool.execute_awaitable):
                with self.assertRaises(GLib.Error) as caught:
                    await call("SELECT id, nothing FROM dbpool_checked")
                self.assertEqual(caught.exception.info.position, 12)
            async with self.pool.connection() as conn:
                for call in (conn.describe_awaitable, conn.execute_script_awaitable):
                    with self.assertRaises(GLib.Error) as caught:
                        await call("SELECT id, nothing FROM dbpool_checked")
                    self.assertEqual(caught.exception.info.position, 12)
                # Each to its own, also of those that wait their turn.
                outcomes = await asyncio.gather(
                    conn.query_awaitable("SELECT nothing FROM dbpool_checked"),
                    conn.query_awaitable("SELEKT"),
                    conn.query_awaitable("SELECT 1"),
                    return_exceptions=True,
                )
                for error, word in zip(outcomes, ("nothing", "SELEKT")):
                    self.assertIn(word, error.message)
                    if error.info is not None:
                        self.assertIn(word, error.info.message)
                self.assertEqual(outcomes[2][0][0], 1)

        asyncio.run(story())

    def test_none_of_the_database(self):
        with self.pool.acquire() as conn:
            self.assertIsNone(conn.get_last_error_info())
            self.assertError(Db.Error.QUERY, conn.query, "SELEKT")
            self.assertEqual(conn.get_last_error_info().get_position(), 1)
            conn.query("SELECT 1")
            self.assertIsNone(conn.get_last_error_info())
            self.assertError(Db.Error.QUERY, conn.query, "SELEKT")
            no_value = GLib.Variant("(a{ss})", ({},))
            self.assertIsNone(self.assertError(Db.Error.TYPE, conn.query, "SELECT $1", no_value).info)
        self.assertIsNone(self.assertError(Db.Error.RELEASED, conn.query, "SELECT 1").info)
        with self.pool.acquire(), self.pool.acquire(), self.pool.acquire():
            error = self.assertError(Db.Error.EXHAUSTED, self.pool.acquire, timeout=0)
        self.assertIsNone(error.info)
        self.assertIsNone(GLib.Error("foreign").info)
        for function in (Db.Error.get_sqlstate, Db.Error.get_constraint_kind, Db.Error.is_transient):
            self.assertFalse(function(GLib.Error("[SQLSTATE 40001]", "other-domain", 1)))

    def test_transient(self):
        for code, transient in ((Db.Error.SERIALIZATION, True), (Db.Error.CONSTRAINT, False)):
            error = GLib.Error("made up", GLib.quark_to_string(Db.error_quark()), int(code))
            self.assertIs(Db.Error.is_transient(error), transient)


class TestCancellation(CancelStory):
    def cancel_when_it_runs(self, call):
        """Returns the error of call(cancellable), and how long it took to come after the cancel."""
        cancellable = Gio.Cancellable()
        cancelled_at = []

        def cancel():
            self.wait_until(self.runs_endlessly)
            cancelled_at.append(time.monotonic())
            cancellable.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        with self.assertRaises(GLib.Error) as caught:
            call(cancellable)
        took = time.monotonic() - cancelled_at[0]
        thread.join()
        self.assertCancelled(caught.exception)
        self.assertLess(took, PATIENCE)
        return caught.exception

    def test_blocking(self):
        with self.pool.acquire() as conn:
            for call in (
                lambda c: conn.query(ENDLESS, cancellable=c),
                lambda c: conn.execute(ENDLESS, cancellable=c),
                lambda c: conn.execute_script(f"SELECT 1; {ENDLESS}", c),
                lambda c: conn.execute_many(ENDLESS + " WHERE 1 = CAST($1 AS int)", [(1,), (1,)], c),
                lambda c: conn.run_batch([ENDLESS, "SELECT 1"], cancellable=c),
                lambda c: conn.open_cursor(ENDLESS, cancellable=c).fetch(c),
            ):
                self.cancel_when_it_runs(call)
                self.assertEqual(conn.query("SELECT 1")[0][0], 1)
        self.cancel_when_it_runs(lambda c: self.pool.query(ENDLESS, cancellable=c))
        self.cancel_when_it_runs(lambda c: self.pool.transact(lambda conn: conn.query(ENDLESS, cancellable=c)))
        self.assertEqual(self.lent(), 0)

    def test_task(self):
        async def cancel(coroutine, at_once):
            task = asyncio.create_task(coroutine)
            if not at_once:
                deadline = time.monotonic() + PATIENCE
                while not self.runs_endlessly() and time.monotonic() < deadline:
                    await asyncio.sleep(0.001)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        async def story():
            async with self.pool.connection() as conn:
                for at_once in (False, True):
                    for call in (
                        lambda: conn.query_awaitable(ENDLESS),
                        lambda: conn.run_batch_awaitable([ENDLESS, "SELECT 1"]),
                        lambda: conn.execute_script_awaitable(ENDLESS),
                        lambda: conn.execute_many_awaitable(ENDLESS + " WHERE 1 = CAST($1 AS int)", [(1,)]),
                    ):
                        await cancel(call(), at_once)
                        self.assertEqual((await conn.query_awaitable("SELECT 1"))[0][0], 1)
                await cancel(self.pool.query_awaitable(ENDLESS), False)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(conn.query_awaitable(ENDLESS), 0.02)
                cancellable = Gio.Cancellable()
                task = asyncio.create_task(conn.query_awaitable(ENDLESS, cancellable=cancellable))
                while not self.runs_endlessly():
                    await asyncio.sleep(0.001)
                cancellable.cancel()
                with self.assertRaises(GLib.Error) as caught:
                    await task
                self.assertCancelled(caught.exception)
                self.assertEqual((await conn.query_awaitable("SELECT 1"))[0][0], 1)

        asyncio.run(story())
        self.wait_until(lambda: self.lent() == 0)

    def test_statement_timeout(self):
        config = Db.PoolConfig(max_connections=1, statement_timeout=30000)
        with Db.PoolFactory().create_pool(self.uri, config, None) as pool, pool.acquire() as conn:
            start = time.monotonic()
            self.assertError(Db.Error.TIMEOUT, conn.query, ENDLESS)
            self.assertGreaterEqual(time.monotonic() - start, 0.03)
            self.assertEqual(conn.query("SELECT 1")[0][0], 1)

            async def story():
                with self.assertRaises(GLib.Error) as caught:
                    await conn.query_awaitable(ENDLESS)
                self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.TIMEOUT))
                return await conn.query_awaitable("SELECT 2")

            self.assertEqual(asyncio.run(story())[0][0], 2)

    def test_limits_of_size(self):
        config = Db.PoolConfig(max_connections=1, max_sql_length=200, max_result_size=100000)
        numbers = (
            "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50000) SELECT x FROM c"
        )
        with Db.PoolFactory().create_pool(self.uri, config, None) as pool, pool.acquire() as conn:
            self.assertError(Db.Error.LIMIT, conn.query, "SELECT 1" + " " * 200)
            self.assertError(Db.Error.LIMIT, conn.query, numbers)
            self.assertEqual(sum(1 for row in conn.open_cursor(numbers, batch_size=1000)), 50000)
            pool.get_config().props.max_result_size = 0
            self.assertEqual(len(conn.query(numbers)), 50000)

    def test_one_call_at_a_time(self):
        with self.pool.acquire() as conn:
            cancellable = Gio.Cancellable()
            errors = []

            def run():
                try:
                    conn.query(ENDLESS, cancellable=cancellable)
                except GLib.Error as error:
                    errors.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            self.wait_until(self.runs_endlessly)
            with self.assertRaises(GLib.Error) as caught:
                conn.query("SELECT 1")
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.PENDING))
            cancellable.cancel()
            thread.join()
            self.assertCancelled(errors[0])


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
