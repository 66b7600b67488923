// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// Values there and back in JavaScript: test_types.js sqlite | postgres. Prints TAP.

import Db from 'gi://Db?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const postgres = ARGV[0] === 'postgres';
const folder = GLib.Dir.make_tmp('dbpool-gjs-types-XXXXXX');
const uri = postgres ? GLib.getenv('DBPOOL_TEST_POSTGRES_URI') : `sqlite:${folder}/test.db`;
const loop = GLib.MainLoop.new(null, false);
let n = 0;
let nTables = 0;
let failed = false;

function check(what, good) {
    print(`${good ? 'ok' : 'not ok'} ${++n} ${what}`);
    failed ||= !good;
}

const range = (length, value = i => i) => Array.from({length}, (_, i) => value(i));

const samples = {
    bigint: [0, 1, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n,
        -(2n ** 63n), null],
    'double precision': [0, 0.1, -1.5, 1e308, -1e308, 5e-324, Number.MAX_VALUE, 2 ** 53, 1 / 3, null],
    text: ['', ' ', 'NULL', 'grüße 🐘', '\'"\\%$1?{}', 'a\nb', 'x'.repeat(2 ** 20), null],
    [postgres ? 'bytea' : 'blob']: [new Uint8Array(0), new Uint8Array([0]), Uint8Array.from(range(256)), null],
};

const postgresSamples = {
    boolean: [true, false, null],
    'double precision': [-0, Infinity, -Infinity, NaN],
    numeric: ['-0.10', '12345678901234567890.123', null],
    date: ['0001-01-01', '9999-12-31', '2024-02-29'],
    timestamp: ['0001-01-01 00:00:00', '9999-12-31 23:59:59.999999', '2024-02-29 01:02:03.000004'],
    uuid: ['12345678-1234-5678-1234-567812345678'],
    jsonb: ['{"a": [1, null]}'],
    'bigint[]': [[], [1, null], [2n ** 63n - 1n, -(2n ** 53n) - 1n], [[1, 2], [3, null]], [[[1]], [[2]]], null],
    'boolean[]': [[true, false, null]],
    'double precision[]': [[0.1, 1e308, 5e-324, Infinity, null]],
    'numeric[]': [['1.10', null]],
    'text[]': [[], [''], ['NULL', null, 'null'], ['a "b"', '\\', '{,}', ' x ', 'grüße 🐘', '\n'],
        [['a', 'b,c'], ['"', null]]],
    'bytea[]': [[new Uint8Array(0), new Uint8Array([0, 255]), null]],
};

function same(a, b) {
    if (Array.isArray(a) || a instanceof Uint8Array) {
        return b !== null && a.constructor === b.constructor && a.length === b.length &&
            Array.from(a).every((value, i) => same(value, b[i]));
    }
    return Object.is(a, b);
}

async function thereAndBack(conn, type, values) {
    const table = `types_${++nTables}`;
    await conn.execute_script_async(`CREATE TEMPORARY TABLE ${table} (i integer, v ${type})`, null);
    for (let i = 0; i < values.length; i++)
        await conn.executeArgs(`INSERT INTO ${table} VALUES ($1, $2)`, i, values[i]);
    let good = true;
    for (let i = 0; i < values.length; i++) {
        const [{v}] = await conn.queryArgs(`SELECT v FROM ${table} WHERE i = $1`, i);
        if (!same(v, values[i])) {
            print(`# ${type}: ${values[i]} became ${v}`);
            good = false;
        }
    }
    check(`${type}, as cells`, good);

    const series = 'WITH RECURSIVE n (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 20)';
    const rows = [...await conn.queryArgs(`${series} SELECT i, v FROM ${table}, n ORDER BY k, i`)];
    check(`${type}, as a column`, rows.length === 20 * values.length &&
        rows.every(({i, v}) => same(v, values[i])));
}

async function everyType(conn) {
    for (const [type, values] of Object.entries(samples))
        await thereAndBack(conn, type, values);
    if (postgres) {
        for (const [type, values] of Object.entries(postgresSamples))
            await thereAndBack(conn, type, values);
    }
}

async function others(conn) {
    await conn.execute_script_async(
        `CREATE TEMPORARY TABLE others (i integer, v ${postgres ? 'numeric' : 'text'}, ` +
        `t ${postgres ? 'timestamptz' : 'text'}, j ${postgres ? 'jsonb' : 'text'})`, null);
    await conn.executeArgs('INSERT INTO others VALUES (1, $1, $2, $3)', 2n ** 100n,
        new Date(Date.UTC(2024, 1, 29, 1, 2, 3, 4)), {a: [1, null, 'ü']});
    const result = await conn.queryArgs('SELECT v, t, j FROM others');
    const [{v, t, j}] = result;
    check('a BigInt beyond 64 bits', BigInt(v) === 2n ** 100n);
    check('a Date is a point in time', new Date(t.replace(/\+00$/, 'Z')).getTime() ===
        Date.UTC(2024, 1, 29, 1, 2, 3, 4));
    check('an object is JSON', JSON.parse(j).a[2] === 'ü');
    check('every cell has an exact text', result.get_text(0, 0) === (2n ** 100n).toString());
    check('a GLib.Bytes', same((await conn.queryArgs(`SELECT $1${postgres ? '::bytea' : ''} AS b`,
        new GLib.Bytes(new Uint8Array([1, 2]))))[Symbol.iterator]().next().value.b, new Uint8Array([1, 2])));
}

async function refused(conn) {
    for (const value of [undefined, Symbol('s'), () => 1, 'a\0b', 'a\ud800b', new Map(), [1, [undefined]]]) {
        let error = null;
        try {
            await conn.queryArgs('SELECT $1', value);
        } catch (e) {
            error = e;
        }
        check(`refused: ${typeof value}`, error instanceof TypeError);
    }
    if (!postgres) {
        let error = null;
        await conn.queryArgs('SELECT $1', [1]).catch(e => (error = e));
        check('refused: an array', error instanceof GLib.Error);
    }
    const [[one]] = (await conn.queryArgs('SELECT 1')).arrays();
    check('the connection is usable', one === 1);
}

async function onlyInPostgres(conn) {
    const [row] = await conn.queryArgs('SELECT \'[2:3]={7,8}\'::int[] AS a, ' +
        '\'[0:0][5:6]={{a,"b c"}}\'::text[] AS b, ARRAY[\'infinity\'::date, NULL] AS c, 5 = ANY ($1::int[]) AS d', [5]);
    check('arrays with bounds', same(row.a, [7, 8]) && same(row.b, [['a', 'b c']]));
    check('arrays of dates', same(row.c, ['infinity', null]));
    check('an array as a parameter', row.d === true);
}

async function story() {
    const pool = await new Db.PoolFactory().create_pool_async(uri, null, null);
    await pool.withConnection(async conn => {
        await everyType(conn);
        await others(conn);
        await refused(conn);
        if (postgres)
            await onlyInPostgres(conn);
    });
    await pool.close_async(GLib.USEC_PER_SEC, null);
}

story().catch(e => {
    printerr(e, e.stack);
    failed = true;
}).finally(() => loop.quit());
loop.run();

const list = Gio.File.new_for_path(folder).enumerate_children('standard::name', 0, null);
for (let info = list.next_file(null); info; info = list.next_file(null))
    list.get_child(info).delete(null);
GLib.rmdir(folder);
print(`1..${n}`);
System.exit(failed ? 1 : 0);
