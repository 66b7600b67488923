# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Values there and back, and which type they have: test_types.py sqlite | postgres. Prints TAP."""

import json
import math
import struct
import sys
import unittest
from collections import namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, GLib
from story import BACKEND, Story, main

POSTGRES = BACKEND == "postgres"
MANY = 20  # rows: enough for whole columns to be read

SAMPLES = {
    "bigint": [0, 1, -1, 2**31, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), None],
    "double precision": [
        0.0, 0.1, -1.5, 1e308, -1e308, 5e-324, sys.float_info.max, sys.float_info.min, 2.0**53, 1 / 3, None,
    ],
    "text": ["", " ", "NULL", "grüße 🐘", "'\"\\%$1?{}", "a\nb\tc", "\u200b\U0010ffff", "x" * 2**20, None],
    "bytea" if POSTGRES else "blob": [b"", b"\0", bytes(range(256)), b"\\x00", b"y" * 2**20, None],
}

# What only PostgreSQL has a type for.
POSTGRES_SAMPLES = {
    "boolean": [True, False, None],
    "double precision": [math.inf, -math.inf, -0.0],  # SQLite stores -0.0 as the integer 0
    "numeric": [
        Decimal("0"), Decimal("-0.10"), Decimal("12345678901234567890.123456789"), Decimal(2**63), Decimal("1E-20"),
        None,
    ],
    "date": [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29), date(1900, 2, 28), None],
    "time": [time(0), time(23, 59, 59, 999999), time(1, 2, 3), None],
    "time with time zone": [time(1, 2, 3, 4, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), None],
    "timestamp": [
        datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime(1969, 12, 31, 23, 59, 59), None,
    ],
    "timestamp with time zone": [
        datetime(1, 1, 1, tzinfo=timezone.utc), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
        datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=5, minutes=45))), None,
    ],
    "uuid": [UUID(int=0), UUID(int=2**128 - 1), UUID("12345678-1234-5678-1234-567812345678"), None],
    "json": ["null", '{"a": [1, 2.50, "\\u00fc"]}', "[]", None],
    "bigint[]": [[], [1], [2**63 - 1, None, -(2**63)], [[1, 2], [3, None]], [[[1]], [[2]]], None],
    "integer[]": [[1, None, -(2**31)]],
    "smallint[]": [[1, 2]],
    "boolean[]": [[True, False, None]],
    "double precision[]": [[0.1, -0.0, 1e308, 5e-324, math.inf, None]],
    "real[]": [[0.5, -1.5]],
    "numeric[]": [[Decimal("1.10"), None], [Decimal("12345678901234567890.5")]],
    "text[]": [
        [], [""], ["NULL", None, "null"], ['a "b"', "\\", "{,}", "a,b", " x ", "grüße 🐘", "\n"],
        [["a", "b,c"], ['"', None]], ["x" * 10000],
    ],
    "varchar(20)[]": [["a b", None]],
    "bytea[]": [[b"", b"\0\xff", None, b"\\"], [[b"a"], [b"b"]]],
    "date[]": [[date(1, 1, 1), None, date(9999, 12, 31)]],
    "time[]": [[time(1, 2, 3, 4)]],
    "timestamp[]": [[datetime(1, 1, 1), datetime(2024, 2, 29, 1, 2, 3, 4), None]],
    "timestamp with time zone[]": [[datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=timezone.utc), None]],
    "uuid[]": [[UUID(int=1), None]],
    "json[]": [['{"a": "b\\"c"}', None]],
}

# What SQLite's columns are declared as decides, as long as their cells are stored as text or as 0 and 1.
SQLITE_SAMPLES = {
    name: POSTGRES_SAMPLES[name]
    for name in ("boolean", "date", "time", "timestamp", "timestamp with time zone", "uuid", "json")
}


def same(value, other):
    """Equal, of the same type and, for floats, the same bits; in lists too."""
    if type(value) is not type(other):
        return False
    if isinstance(value, list):
        return len(value) == len(other) and all(map(same, value, other))
    if isinstance(value, float):
        return struct.pack("d", value) == struct.pack("d", other)
    if isinstance(value, Decimal):
        return value.compare_total(other) == 0
    return value == other


class TestRoundTrips(Story):
    def setUp(self):
        super().setUp()
        self.conn = self.pool.acquire()
        self.tables = 0

    def tearDown(self):
        self.conn.release()
        super().tearDown()

    def table(self, sql_type):
        self.tables += 1
        name = f"dbpool_types_{self.tables}"
        self.conn.execute(f"CREATE TEMPORARY TABLE {name} (i integer, v {sql_type})")
        return name

    def there_and_back(self, sql_type, values):
        """One row each, read cell by cell; then many rows, read as a column."""
        table = self.table(sql_type)
        for i, value in enumerate(values):
            self.conn.execute(f"INSERT INTO {table} VALUES ($1, $2)", i, value)
        for i, value in enumerate(values):
            back = self.conn.query(f"SELECT v FROM {table} WHERE i = $1", i)[0].v
            self.assertTrue(same(back, value), f"{sql_type}: {value!r:.100} became {back!r:.100}")
        series = f"WITH RECURSIVE n (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < {MANY})"
        rows = self.conn.query(f"{series} SELECT i, v FROM {table}, n ORDER BY k, i")
        self.assertEqual(len(rows), MANY * len(values))
        for row in rows:
            self.assertTrue(same(row.v, values[row.i]), f"{sql_type}: {values[row.i]!r:.100}, as a column")

    def test_every_type(self):
        for sql_type, values in SAMPLES.items():
            with self.subTest(type=sql_type):
                self.there_and_back(sql_type, values)

    def test_types_of_the_database(self):
        for sql_type, values in (POSTGRES_SAMPLES if POSTGRES else SQLITE_SAMPLES).items():
            with self.subTest(type=sql_type):
                self.there_and_back(sql_type, values)

    def test_large_integers(self):
        table = self.table("numeric" if POSTGRES else "text")
        value = 2**200 + 1
        self.conn.execute(f"INSERT INTO {table} VALUES (0, $1), (1, $2)", value, -value)
        back = [v for v, in self.conn.query(f"SELECT v FROM {table} ORDER BY i")]
        self.assertEqual([int(v) for v in back], [value, -value])

    @unittest.skipUnless(POSTGRES, "SQLite keeps no NaN")
    def test_nan(self):
        row = self.conn.query("SELECT $1::float8 AS f, $2::float8[] AS a, $3::numeric AS n", math.nan, [math.nan],
                              Decimal("NaN"))[0]
        self.assertTrue(math.isnan(row.f) and math.isnan(row.a[0]) and row.n.is_nan())

    def test_json(self):
        value = {"a": [1, None, "grüße"], "b": {"c": 1.5}}
        sql_type = "jsonb" if POSTGRES else "text"
        table = self.table(sql_type)
        self.conn.execute(f"INSERT INTO {table} VALUES (0, $1)", value)
        back = self.conn.query(f"SELECT v FROM {table}")[0].v
        self.assertIs(type(back), str)
        self.assertEqual(json.loads(back), value)

    def test_numbers_in_numeric(self):
        # A float arrives as Python shows it, not with the digits of its binary form.
        table = self.table("numeric" if POSTGRES else "text")
        self.conn.execute(f"INSERT INTO {table} VALUES (0, $1)", 0.1)
        self.assertEqual(Decimal(self.conn.query(f"SELECT v FROM {table}")[0].v), Decimal("0.1"))

    @unittest.skipUnless(POSTGRES, "SQLite has no arrays")
    def test_arrays(self):
        pair = namedtuple("Pair", "a b")
        row = self.conn.query(
            "SELECT $1::int[] AS a, $2::int[] AS b, 5 = ANY ($3::int[]) AS c, '[2:3]={7,8}'::int[] AS d,"
            " '[0:0][5:6]={{a,\"b c\"}}'::text[] AS e, ARRAY['infinity'::date, NULL] AS f, $4::int[] AS g",
            (1, 2), ((1,), (2,)), [4, 5], pair(8, 9),
        )[0]
        self.assertEqual(row, ([1, 2], [[1], [2]], True, [7, 8], [["a", "b c"]], ["infinity", None], [8, 9]))
        result = self.conn.query("SELECT ARRAY[1.5::numeric] AS a, 1 AS b")
        self.assertEqual(result.get_column_type(0), Db.ValueType.ARRAY)
        self.assertEqual(result.get_column_element_type(0), Db.ValueType.DECIMAL)
        self.assertEqual(result.get_column_element_type(1), Db.ValueType.NULL)
        self.assertEqual(result.get_text(0, 0), "{1.5}")
        self.assertEqual(result.dup_variant(0, 0).unpack(), ["1.5"])
        with self.assertRaises(GLib.Error):
            self.conn.query("SELECT $1::int[]", [[1], [2, 3]])
        self.assertEqual(self.conn.query("SELECT 1")[0][0], 1)

    @unittest.skipUnless(POSTGRES, "PostgreSQL's setting")
    def test_other_form_of_bytes(self):
        self.conn.execute("SET bytea_output = 'escape'")
        back = self.conn.query("SELECT $1::bytea AS b", bytes(range(256)))[0].b
        self.assertEqual(back, bytes(range(256)))
        variant = self.conn.query("SELECT ARRAY[$1::bytea] AS b", bytes(range(256))).dup_variant(0, 0)
        self.assertEqual(bytes(variant.unpack()[0]), bytes(range(256)))

    @unittest.skipIf(POSTGRES, "SQLite has no arrays")
    def test_arrays_are_refused(self):
        with self.assertRaises(GLib.Error):
            self.conn.query("SELECT $1", [1, 2])
        self.assertEqual(self.conn.query("SELECT 1")[0][0], 1)

    def test_refused(self):
        for value, error in (
            (object(), TypeError),
            ([1, object()], TypeError),
            ([1, ["a\0b"]], ValueError),
            (["\ud800"], UnicodeError),
            ({"a": object()}, TypeError),
            ({1, 2}, TypeError),
        ):
            with self.subTest(value=value), self.assertRaises(error):
                self.conn.query("SELECT $1", value)
        self.assertEqual(self.conn.query("SELECT 1")[0][0], 1)

    def test_variants(self):
        result = self.conn.query("SELECT 1, 'a', 1.5, NULL, $1", b"\0") if not POSTGRES else self.conn.query(
            "SELECT 1, 'a', 1.5::float8, NULL, $1::bytea", b"\0")
        values = [result.dup_variant(0, column) for column in range(5)]
        self.assertEqual([v and v.get_type_string() for v in values], ["x", "s", "d", None, "ay"])
        self.assertEqual(result.get_item(0).dup_variant(1).get_string(), "a")
        row = self.conn.query(
            "SELECT $1, $2" if not POSTGRES else "SELECT $1::int8, $2::text",
            GLib.Variant("(xms)", (2**63 - 1, None)),
        )[0]
        self.assertEqual(row, (2**63 - 1, None))

    def test_column_data(self):
        sql = " UNION ALL ".join(["SELECT 2, 0.5", "SELECT NULL, NULL", "SELECT -1, 1e300"])
        if POSTGRES:
            sql = f"SELECT a, b::float8 FROM ({sql}) AS s (a, b)"
        result = self.conn.query(sql)
        integers = result.get_column_data(0)
        doubles = result.get_column_data(1)
        self.assertIsNone(self.conn.query("SELECT 'text'").get_column_data(0))
        del result
        self.assertEqual(struct.unpack("3q", integers.get_data()), (2, 0, -1))
        self.assertEqual(struct.unpack("3d", doubles.get_data()), (0.5, 0.0, 1e300))


if __name__ == "__main__":
    sys.exit(main(sys.modules["__main__"]))
