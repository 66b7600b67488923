# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""The SQL layer from Python: test_python_sql.py sqlite | postgres. Prints TAP."""

import asyncio
import sys
import time
from datetime import datetime, timezone
from decimal import Decimal

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, Gio, GLib
from story import BACKEND, Story, main

POSTGRES = BACKEND == "postgres"

INSERT = "INSERT INTO dbpool_python VALUES ($1, $2)"
SELECT = "SELECT id, name FROM dbpool_python ORDER BY id"
SERIES = (
    "SELECT i FROM generate_series(1, CAST($1 AS int)) AS i"
    if POSTGRES
    else "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $1) SELECT i FROM s"
)
PATIENCE = 30  # seconds, for what takes milliseconds on a machine that is not busy


class SqlStory(Story):
    max_connections = 3

    def ids(self):
        return [id for id, in self.pool.query("SELECT id FROM dbpool_python ORDER BY id")]

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.001)


class TestMany(SqlStory):
    def test_rows_of_all_kinds(self):
        with self.pool.acquire() as conn:
            self.assertEqual(conn.execute_many(INSERT, [(1, "one"), [2, None]]), 2)
            self.assertEqual(conn.execute_many(INSERT, ((i, f"n{i}") for i in range(3, 6))), 3)
            table = Db.Params()
            table.add_row(6, "six")
            self.assertEqual(conn.execute_many(INSERT, table), 1)
            self.assertEqual(conn.execute_many(INSERT, conn.query("SELECT id + 10, name FROM dbpool_python")), 6)
            self.assertEqual(conn.execute_many(INSERT, []), 0)
            self.assertEqual(conn.execute_many("UPDATE dbpool_python SET name = $1", [["x"], ["y"]]), 24)
        self.assertEqual(self.ids(), [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16])

    def test_all_or_nothing(self):
        rows = [(1, "one"), (2, "two"), (1, "again")]
        error = self.assertError(Db.Error.CONSTRAINT, self.pool.execute_many, INSERT, rows)
        self.assertIn("row 3", error.message)
        self.assertEqual(error.info.constraint_kind, Db.ConstraintKind.UNIQUE)
        self.assertEqual(self.ids(), [])
        with self.pool.acquire() as conn:
            transaction = conn.begin()
            conn.execute(INSERT, 7, "seven")
            self.assertError(Db.Error.CONSTRAINT, conn.execute_many, INSERT, [(8, "x"), (7, "again")])
            if POSTGRES:  # which fails the transaction
                self.assertError(Db.Error.QUERY, transaction.commit)
            else:
                conn.execute_many(INSERT, [(9, "nine")])
                transaction.commit()
        self.assertEqual(self.ids(), [] if POSTGRES else [7, 9])

    def test_wrong_rows(self):
        for rows, words in (
            (["ab"], "row 1 has the type str"),
            ([(1, "a"), 7], "row 2 has the type int"),
            ([{"id": 1}], "row 1 has the type dict"),
            ([{1, 2}], "row 1 has the type set"),
            ([b"ab"], "row 1 has the type bytes"),
            ([(i for i in (1, 2))], "row 1 has the type generator"),
            ([(1, object())], "parameter 2 has the type object"),
            (7, "not iterable"),
        ):
            with self.subTest(rows=rows), self.assertRaises(TypeError) as caught:
                self.pool.execute_many(INSERT, rows)
            self.assertIn(words, str(caught.exception))
        for rows in ([(1,)], [(1, "a"), (2, "b", 3)]):
            with self.subTest(rows=rows), self.assertRaises(GLib.Error):
                self.pool.execute_many(INSERT, rows)
        self.assertEqual((self.ids(), self.lent()), ([], 0))

    def test_raising_generator(self):
        def rows():
            yield 1, "one"
            raise KeyError

        with self.assertRaises(KeyError):
            self.pool.execute_many(INSERT, rows())
        self.assertEqual((self.ids(), self.lent()), ([], 0))


class TestBatches(SqlStory):
    def test_results(self):
        for results in (
            self.pool.run_batch([(INSERT, 1, "one"), (INSERT, 2, None), SELECT, ["SELECT 1 AS n"]]),
            self.pool.run_batch(iter([("DELETE FROM dbpool_python WHERE id = $1", 2), SELECT])),
        ):
            self.assertEqual(results.get_n_failed(), 0)
            self.assertEqual(results[0].get_rows_affected(), 1)
        self.assertEqual(len(results), 2)
        self.assertEqual(list(results[1]), [(1, "one")])
        self.assertEqual(results[-1][0].name, "one")
        self.assertEqual([type(result) for result in results], [Db.Result, Db.Result])
        for position in (2, -3):
            with self.assertRaises(IndexError):
                results[position]
        self.assertEqual(len(self.pool.run_batch([])), 0)

    def test_all_or_nothing(self):
        statements = [(INSERT, 1, "one"), (INSERT, 1, "again"), (INSERT, 2, "two")]
        error = self.assertError(Db.Error.CONSTRAINT, self.pool.run_batch, statements)
        self.assertIn("statement 2", error.message)
        self.assertEqual(error.info.constraint_kind, Db.ConstraintKind.UNIQUE)
        self.assertEqual(self.ids(), [])

    def test_independent(self):
        statements = [(INSERT, 1, "one"), (INSERT, 1, "again"), "SELEKT", (INSERT, 2, "two")]
        results = self.pool.run_batch(statements, independent=True)
        self.assertEqual(results.get_n_failed(), 2)
        self.assertError(Db.Error.CONSTRAINT, lambda: results[1])
        self.assertError(Db.Error.QUERY, results.get_result, 2)
        self.assertIsInstance(list(results)[2], GLib.Error)
        self.assertEqual(results[3].get_rows_affected(), 1)
        self.assertEqual(self.ids(), [1, 2])

    def test_batch_object(self):
        batch = Db.Batch.new()
        batch.add(INSERT, GLib.Variant("(xms)", (1, None)))
        batch.add_params(INSERT, Db.Params(2, "two"))
        batch.add("SELECT 1", None)
        self.assertEqual((batch.get_n_statements(), batch.copy().get_n_statements()), (3, 3))
        self.assertEqual(len(self.pool.run_batch(batch)), 3)
        self.assertEqual(self.ids(), [1, 2])
        wrong = Db.Batch.new()
        wrong.add("SELECT $1", GLib.Variant("(a{ss})", ({"no": "value"},)))
        self.assertError(Db.Error.TYPE, self.pool.run_batch, wrong)

    def test_wrong_statements(self):
        for statements, words in (
            ([7], "statement 1 of the batch has to be a text"),
            (["SELECT 1", (7, "x")], "statement 2 of the batch has to be a text"),
            ([()], "statement 1 of the batch has to be a text"),
            ([b"SELECT 1"], "statement 1 of the batch has to be a text"),
            ("SELECT 1", "not one text"),
            (None, "not iterable"),
            ([("SELECT $1", object())], "parameter 1 has the type object"),
        ):
            with self.subTest(statements=statements), self.assertRaises(TypeError) as caught:
                self.pool.run_batch(statements)
            self.assertIn(words, str(caught.exception))
        self.assertEqual(self.lent(), 0)


class TestDescribe(SqlStory):
    def test_types(self):
        with self.pool.acquire() as conn:
            described = conn.describe("SELECT id, name FROM dbpool_python WHERE id = $1")
        text = "text" if POSTGRES else "TEXT"
        self.assertEqual(
            described.columns, [("id", Db.ValueType.INT64, "bigint"), ("name", Db.ValueType.TEXT, text)]
        )
        self.assertEqual(
            described.params, [(Db.ValueType.INT64, "bigint") if POSTGRES else (Db.ValueType.NULL, None)]
        )
        self.assertEqual(described.copy().get_n_columns(), 2)

    def test_runs_nothing(self):
        with self.pool.acquire() as conn:
            described = conn.describe("DELETE FROM dbpool_python WHERE id = $1 OR name = $2")
            self.assertEqual((described.columns, len(described.params)), ([], 2))
            error = self.assertError(Db.Error.QUERY, conn.describe, "SELECT nothing FROM dbpool_python")
            self.assertEqual(error.info.position, 8)


class TestCursors(SqlStory):
    def setUp(self):
        super().setUp()
        self.conn = self.pool.acquire()

    def tearDown(self):
        self.conn.release()
        super().tearDown()

    def in_transaction(self):
        return self.conn.get_session().get_state() == Db.SessionState.IN_TRANSACTION

    def test_iteration(self):
        for batch_size in (1, 7, 100, 1000):
            cursor = self.conn.open_cursor(SERIES, 100, batch_size=batch_size)
            self.assertEqual(cursor.get_batch_size(), batch_size)
            self.assertEqual([i for i, in cursor], list(range(1, 101)))
            self.assertTrue(cursor.is_done())
            self.assertEqual(list(cursor), [])
        self.assertEqual([row.i for row in self.conn.open_cursor(SERIES, 3)], [1, 2, 3])

    def test_fetch(self):
        with self.conn.open_cursor(SERIES, 10, batch_size=4) as cursor:
            self.assertIs(cursor.get_connection(), self.conn)
            self.assertFalse(cursor.is_done())
            self.assertEqual([len(cursor.fetch()) for _ in range(4)], [4, 4, 2, 0])
        self.assertTrue(cursor.is_done())
        with self.conn.open_cursor(SERIES, 10) as cursor:
            cursor.close()
            self.assertError(Db.Error.QUERY, cursor.fetch)
        self.assertFalse(self.in_transaction())

    def test_other_forms_of_parameters(self):
        self.fill(3)
        sql = "SELECT name FROM dbpool_python WHERE id = $1"
        variant = GLib.Variant("(x)", (2,))
        for cursor in (
            self.conn.open_cursor(sql, variant),
            self.conn.open_cursor(sql, Db.Params(2)),
            self.conn.open_cursor_params(sql, Db.Params(2), 10, None),
            self.conn.open_cursor(sql, 2),
        ):
            self.assertEqual(list(cursor), [("name 2",)])

    def test_statements_between(self):
        self.fill(20)
        with self.conn.open_cursor(SELECT, batch_size=3) as cursor:
            for id, name in cursor:
                self.conn.execute("UPDATE dbpool_python SET name = $1 WHERE id = $2", name.upper(), id)
                self.assertEqual(self.conn.query("SELECT 1")[0][0], 1)
        self.assertEqual(self.conn.query(SELECT)[19].name, "NAME 19")
        self.assertFalse(self.in_transaction())

    def test_break_in_the_middle(self):
        for row in self.conn.open_cursor(SERIES, 1000, batch_size=10):
            if row.i == 15:
                break
        del row
        self.conn.execute(INSERT, 1, "after")
        self.assertFalse(self.in_transaction())
        with self.conn.open_cursor(SERIES, 1000, batch_size=10) as cursor:
            for row in cursor:
                break
        self.assertFalse(self.in_transaction())
        self.conn.execute(INSERT, 2, "after")
        self.conn.release()
        self.assertEqual(self.ids(), [1, 2])
        self.assertEqual(self.lent(), 0)

    def test_in_a_transaction(self):
        self.fill(5)
        with self.conn.transaction() as transaction:
            cursor = self.conn.open_cursor(SELECT, batch_size=2)
            self.assertEqual(len(cursor.fetch()), 2)
            transaction.rollback()
        if POSTGRES:
            self.assertError(Db.Error.QUERY, cursor.fetch)
        with self.conn.transaction():
            self.assertEqual(len(list(self.conn.open_cursor(SELECT, batch_size=2))), 5)
            self.assertTrue(self.in_transaction())

    def test_errors(self):
        error = self.assertError(Db.Error.QUERY, self.conn.open_cursor, "SELECT nothing FROM dbpool_python")
        self.assertEqual(error.info.position, 8)
        with self.assertRaises(GLib.Error):
            self.conn.open_cursor("SELECT 1", batch_size=0)
        with self.assertRaises(OverflowError):
            self.conn.open_cursor("SELECT 1", batch_size=-1)
        divide = "1 / (i - 5)" if POSTGRES else "abs(-9223372036854775807 - (i = 5))"
        cursor = self.conn.open_cursor(SERIES.replace("SELECT i FROM", f"SELECT {divide} FROM"), 9, batch_size=2)
        with self.assertRaises(GLib.Error) as caught:
            list(cursor)
        self.assertIsNotNone(caught.exception.info)
        self.assertTrue(cursor.is_done())
        self.assertEqual(self.conn.query("SELECT 1")[0][0], 1)
        self.assertFalse(self.in_transaction())

    def test_error_of_the_block_comes_through(self):
        with self.assertRaises(KeyError):
            with self.conn.open_cursor(SERIES, 100, batch_size=2) as cursor:
                cursor.fetch()
                with self.assertRaises(GLib.Error):
                    self.conn.query("SELEKT")
                raise KeyError
        self.assertEqual(self.conn.query("SELECT 1")[0][0], 1)
        with self.conn.open_cursor(SERIES, 100) as cursor:
            self.conn.release()
        self.assertError(Db.Error.RELEASED, cursor.fetch)

    def test_asynchronous(self):
        async def story():
            cursor = await self.conn.open_cursor_awaitable(SERIES, 100, batch_size=7)
            self.assertEqual([i async for i, in cursor], list(range(1, 101)))
            async with await self.conn.open_cursor_awaitable(SERIES, 100, batch_size=7) as cursor:
                self.assertEqual(len(await cursor.fetch_awaitable()), 7)
                async for row in cursor:
                    await self.conn.execute_awaitable(INSERT, row.i, "between")
                    if row.i == 20:
                        break
            self.assertFalse(self.in_transaction())
            with self.assertRaises(GLib.Error) as caught:
                await cursor.fetch_awaitable()
            self.assertTrue(caught.exception.matches(Db.error_quark(), Db.Error.QUERY))
            with self.assertRaises(GLib.Error) as caught:
                await self.conn.open_cursor_awaitable("SELECT nothing FROM dbpool_python")
            self.assertEqual(caught.exception.info.position, 8)
            await cursor.close_awaitable()

        asyncio.run(story())
        self.conn.release()
        self.assertEqual(self.ids(), list(range(8, 21)))


class TestCallbacks(SqlStory):
    """Every asynchronous call in C's shape."""

    def finish(self, begin, finish):
        loop = GLib.MainLoop()
        outcome = []

        def done(source, result, data):
            try:
                outcome.append(finish(result))
            except GLib.Error as error:
                outcome.append(error)
            loop.quit()

        begin(done, None)
        loop.run()
        self.assertEqual(len(outcome), 1)
        return outcome[0]

    def call(self, subject, name, *args):
        return self.finish(
            lambda done, data: getattr(subject, name + "_async")(*args, None, done, data),
            getattr(subject, name + "_finish"),
        )

    def batch(self):
        batch = Db.Batch.new()
        batch.add_params("UPDATE dbpool_python SET name = $1", Db.Params("x"))
        batch.add(SELECT, None)
        return batch

    def test_connection_and_pool(self):
        with self.pool.acquire() as conn:
            for n, subject in enumerate((conn, self.pool)):
                table = Db.Params()
                table.add_row(10 * n + 3, "three")
                table.add_row(10 * n + 4, "four")
                insert = GLib.Variant("(xs)", (10 * n + 1, "one"))
                self.assertEqual(self.call(subject, "execute", INSERT, insert), 1)
                self.assertEqual(
                    self.call(subject, "execute_params", INSERT, Db.Params(10 * n + 2, "two")), 1
                )
                self.assertEqual(self.call(subject, "execute_many", INSERT, table), 2)
                results = self.call(subject, "run_batch", self.batch(), Db.BatchFlags.NONE)
                self.assertEqual((len(results), results[0].get_rows_affected()), (2, 4 * (n + 1)))
                self.assertEqual(len(self.call(subject, "query", SELECT, None)), 4 * (n + 1))
                params = Db.Params(2)
                result = self.call(subject, "query_params", "SELECT $1 + 1", params)
                self.assertEqual(result[0][0], 3)
                transaction = self.call(
                    subject, "begin", Db.Isolation.DEFAULT, Db.TransactionFlags.NONE
                )
                self.assertTrue(self.call(transaction, "commit"))
                transaction = self.call(
                    subject, "begin", Db.Isolation.DEFAULT, Db.TransactionFlags.NONE
                )
                self.assertTrue(self.call(transaction, "rollback"))
        self.wait_until(lambda: self.lent() == 0)

    def test_blocking_of_the_pool(self):
        self.assertEqual(self.pool.execute_params(INSERT, Db.Params(1, "one"), None), 1)
        self.assertEqual(self.pool.query_params(SELECT, None, None)[0], (1, "one"))
        self.assertEqual(len(Db.Pool.run_batch(self.pool, self.batch())), 2)

    def test_connection_only(self):
        with self.pool.acquire() as conn:
            self.assertTrue(self.call(conn, "execute_script", "SELECT 1; SELECT 2"))
            self.assertEqual(self.call(conn, "describe", SELECT).get_n_columns(), 2)
            cursor = self.call(conn, "open_cursor", "SELECT 1 AS one", None, 10)
            self.assertEqual(list(self.call(cursor, "fetch")), [(1,)])
            self.assertEqual(list(self.call(cursor, "fetch")), [])
            cursor = self.call(conn, "open_cursor_params", "SELECT $1 + 1 AS two", Db.Params(1), 10)
            self.assertTrue(self.call(cursor, "close"))
            self.assertTrue(self.call(cursor, "fetch").matches(Db.error_quark(), Db.Error.QUERY))
        self.call(self.pool, "acquire_full", Db.AcquireFlags.READ_ONLY, -1, "tag").release()


class TestValues(SqlStory):
    def test_column_data(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("python3-numpy is not installed")
        result = self.pool.query(SERIES.replace("SELECT i FROM", "SELECT i, i / 2.0, 'x' FROM"), 1000)
        if POSTGRES:
            result = self.pool.query("SELECT i, i / 2.0::float8, 'x' FROM generate_series(1, 1000) AS i")
        whole = numpy.frombuffer(result.get_column_data(0).get_data(), dtype=numpy.int64)
        halves = numpy.frombuffer(result.get_column_data(1).get_data(), dtype=numpy.float64)
        self.assertEqual((len(whole), int(whole.sum())), (1000, 500500))
        self.assertEqual(float(halves.sum()), 250250)
        self.assertIsNone(result.get_column_data(2))
        # And in.
        rows = numpy.array([[1, 2], [3, 4]])
        insert = "INSERT INTO dbpool_python (id, name) VALUES ($1, CAST($2 AS text))"
        self.assertEqual(self.pool.execute_many(insert, [[row[0], str(row[1])] for row in rows]), 2)
        self.assertEqual(self.ids(), [1, 3])

    def test_list_model(self):
        self.fill(3)
        result = self.pool.query(SELECT)
        self.assertIsInstance(result, Gio.ListModel)
        rows = [result.get_item(i) for i in range(result.get_n_items())]
        self.assertEqual([row.get_position() for row in rows], [0, 1, 2])
        for row in rows:
            self.assertIs(row.get_result(), result)
            self.assertEqual(row.get_int64(0), row.get_position())
            self.assertEqual(row.get_double(0), row.get_position())
            self.assertEqual(row.get_boolean(0), row.get_position() > 0)
            self.assertEqual(row.get_text(1), f"name {row.get_position()}")
            self.assertEqual(row.get_bytes(1).get_data(), row.get_text(1).encode())
            self.assertFalse(row.is_null(1))
            self.assertEqual(row.dup_variant(0).unpack(), row.get_position())
            self.assertEqual(row.dup_variant(0).get_type_string(), "x")

    def test_cells(self):
        result = self.pool.query("SELECT 1 AS a, 2.5 AS b, 'three' AS c, NULL AS d")
        if POSTGRES:
            result = self.pool.query("SELECT 1 AS a, 2.5::float8 AS b, 'three' AS c, NULL AS d, '{1,2}'::int[] AS e")
            self.assertEqual(result.get_column_element_type(4), Db.ValueType.INT64)
        self.assertEqual([result.find_column(name) for name in ("c", "C", "z")], [2, -1, -1])
        self.assertEqual(result.get_column_name(1), "b")
        self.assertEqual(result.get_column_doubles(1), [2.5])
        self.assertTrue(result.is_null(0, 3))
        self.assertEqual(result.get_boolean(0, 0), True)
        self.assertEqual((result.get_int64(0, 0), result.get_double(0, 1)), (1, 2.5))
        self.assertEqual(result.get_bytes(0, 2).get_data(), b"three")
        self.assertEqual(result.dup_variant(0, 2).unpack(), "three")
        self.assertIsNone(result.get_text(0, 3))
        self.assertEqual(result.get_cell_type(0, 3), Db.ValueType.NULL)

    def test_params(self):
        params = Db.Params.new()
        params.add_null()
        params.add_boolean(True)
        params.add_int64(-1)
        params.add_double(0.5)
        params.add_text("text")
        params.add_bytes(GLib.Bytes.new(b"\0"))
        params.add_decimal("1.50")
        params.add_uuid("12345678-1234-5678-1234-567812345678")
        params.add_json('{"a": 1}')
        params.add_datetime(GLib.DateTime.new_utc(2026, 2, 28, 1, 2, 3))
        params.add_typed_text(Db.ValueType.DATE, "2026-02-28")
        self.assertEqual((params.get_n_rows(), params.get_n_values(0)), (1, 11))
        types = "text boolean bigint float8 text bytea numeric uuid jsonb timestamptz date".split()
        if POSTGRES:
            casts = ", ".join(f"${n}::{name}" for n, name in enumerate(types, 1))
            # A statement for each copy: what is in the first is still there.
            row = self.pool.query(f"SELECT {casts}", params.copy())[0]
            self.assertEqual(row[:6], (None, True, -1, 0.5, "text", b"\0"))
            self.assertEqual(row[6], Decimal("1.50"))
            self.assertEqual(str(row[7]), "12345678-1234-5678-1234-567812345678")
            self.assertEqual(row[9], datetime(2026, 2, 28, 1, 2, 3, tzinfo=timezone.utc))
        else:
            places = ", ".join(f"${n}" for n in range(1, 12))
            row = self.pool.query(f"SELECT {places}", params.copy())[0]
            self.assertEqual(row[:6], (None, 1, -1, 0.5, "text", b"\0"))
            self.assertEqual(row[10], "2026-02-28")
        del row
        if POSTGRES:
            array = Db.Params.new()
            array.open_array()
            array.add_int64(1)
            array.add_null()
            array.close_array()
            self.assertEqual(self.pool.query("SELECT $1::int[]", array)[0][0], [1, None])
        self.assertEqual(Db.Params.new_from_variant(GLib.Variant("(xs)", (1, "a"))).get_n_values(0), 2)
        with self.assertRaises(GLib.Error):
            Db.Params.new_from_variant(GLib.Variant("(a{ss})", ({},)))

    def test_last_insert_id(self):
        with self.pool.acquire() as conn:
            if POSTGRES:
                result = conn.query(INSERT + " RETURNING id", 7, "seven")
                self.assertEqual((result[0].id, result.get_last_insert_id()), (7, -1))
            else:
                conn.execute_script("CREATE TEMP TABLE counted (id INTEGER PRIMARY KEY, v)")
                ids = [conn.query("INSERT INTO counted (v) VALUES ($1)", v).get_last_insert_id() for v in "ab"]
                self.assertEqual(ids, [1, 2])
            self.assertEqual(conn.query("SELECT 1").get_last_insert_id(), -1)

    def test_quoting(self):
        with self.pool.acquire() as conn:
            for name in ('we"ird', "sp ace", "grüße", "Select", "--", "'"):
                quoted = conn.quote_identifier(name)
                row = conn.query(f"SELECT 1 AS {quoted}")[0]
                self.assertEqual(row._fields, (name,))
            for text in ("it's", "back\\slash", "grüße", "", "'; DROP TABLE dbpool_python; --", None):
                self.assertEqual(conn.query(f"SELECT {conn.quote_literal(text)}")[0][0], text)
            with self.assertRaises(UnicodeError):
                conn.quote_literal("\ud800")
            with self.assertRaises(TypeError):
                conn.quote_identifier(None)

    def test_text_in_sql(self):
        for wrong in (7, None, b"SELECT 1"):
            with self.subTest(wrong=wrong), self.assertRaises(TypeError):
                self.pool.query(wrong)
        self.assertError(Db.Error.QUERY, self.pool.query, "SELECT 1; SELECT 2")
        with self.pool.acquire() as conn:
            code = Db.Error.NOT_SUPPORTED if POSTGRES else Db.Error.QUERY
            self.assertError(code, conn.query, "COPY dbpool_python TO STDOUT")
            self.assertEqual(conn.query("SELECT 1")[0][0], 1)

    def test_script(self):
        with self.pool.acquire() as conn:
            script = "INSERT INTO dbpool_python VALUES (1, 'a;b'); INSERT INTO dbpool_python VALUES (2, '--')"
            self.assertTrue(conn.execute_script(script))
            error = self.assertError(Db.Error.CONSTRAINT, conn.execute_script, f"SELECT 1; {script}")
            self.assertEqual(error.info.constraint_kind, Db.ConstraintKind.UNIQUE)
        self.assertEqual(self.ids(), [1, 2])


class TestAwaitables(SqlStory):
    def test_story(self):
        async def story():
            self.assertEqual(await self.pool.execute_many_awaitable(INSERT, [(1, "one"), (2, "two")]), 2)
            results = await self.pool.run_batch_awaitable([SELECT, (INSERT, 1, "again")], independent=True)
            self.assertEqual((len(results), results.get_n_failed()), (2, 1))
            async with self.pool.connection() as conn:
                self.assertEqual(await conn.execute_many_awaitable(INSERT, iter([(3, "three")])), 1)
                with self.assertRaises(GLib.Error) as caught:
                    await conn.execute_many_awaitable(INSERT, [(4, "four"), (3, "again")])
                self.assertEqual(caught.exception.info.constraint_kind, Db.ConstraintKind.UNIQUE)
                with self.assertRaises(GLib.Error) as caught:
                    await conn.run_batch_awaitable([(INSERT, 4, "four"), "SELEKT"])
                self.assertEqual(caught.exception.info.position, 1)
                described = await conn.describe_awaitable(SELECT)
                self.assertEqual([name for name, *_ in described.columns], ["id", "name"])
                for call in (conn.execute_many_awaitable(INSERT, ["ab"]), conn.run_batch_awaitable([7])):
                    with self.assertRaises(TypeError):
                        await call

        asyncio.run(story())
        self.assertEqual(self.ids(), [1, 2, 3])
        self.assertEqual(self.lent(), 0)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
