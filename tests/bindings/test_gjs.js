// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// The JavaScript story on a SQLite file. Prints TAP.

import Db from 'gi://Db?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const folder = GLib.Dir.make_tmp('dbpool-gjs-XXXXXX');
const loop = GLib.MainLoop.new(null, false);
let pool = null;
let n = 0;
let failed = false;

function check(what, good) {
    print(`${good ? 'ok' : 'not ok'} ${++n} ${what}`);
    failed ||= !good;
}

async function code(promise) {
    try {
        await promise;
        return null;
    } catch (e) {
        return e instanceof GLib.Error && e.domain === Db.error_quark() ? e.code : e;
    }
}

function lent() {
    return pool.get_stats().get_lent();
}

async function openAndQuery() {
    const config = new Db.PoolConfig({max_connections: 2});
    const factory = new Db.PoolFactory();
    pool = await factory.create_pool_async(`sqlite:${folder}/test.db`, config, null);
    check('a pool is created', pool instanceof Db.Pool);

    const changed = await pool.withConnection(async conn => {
        await conn.execute_script_async('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, v)', null);
        const insert = 'INSERT INTO t VALUES ($1, $2, $3)';
        await conn.executeArgs(insert, 1, 'one', 1.5);
        await conn.executeArgs(insert, 2, null, true);
        await conn.executeArgs(insert, 3n, 'three', new Uint8Array([0, 255]));
        return conn.executeArgs(insert, 9007199254740993n, 'large', 2 ** 53);
    });
    check('rows are changed', changed === 1);
    check('withConnection gives back', lent() === 0);
}

async function readRows() {
    const result = await pool.queryArgs('SELECT id, name, v FROM t ORDER BY id');
    const rows = [...result];
    check('a result is a list model', result.get_n_items() === 4);
    check('rows are objects', rows[0].id === 1 && rows[0].name === 'one' && rows[0].v === 1.5);
    check('NULL is null', rows[1].name === null);
    check('bytes', rows[2].v instanceof Uint8Array && rows[2].v[1] === 255);
    check('a number beyond 53 bits is exact', rows[3].id === 9007199254740993n);
    const [[id, name]] = [...result.arrays()];
    check('rows are arrays', id === 1 && name === 'one');
    check('rows keep their identity', result.get_item(1) === result.get_item(1));
    check('get_text is exact', result.get_text(3, 0) === '9007199254740993');
}

async function failures() {
    check('SQL error', await code(pool.queryArgs('SELEKT 1')) === Db.Error.QUERY);
    try {
        await pool.queryArgs('SELEKT 1');
    } catch (e) {
        check('e.matches', e.matches(Db.Error, Db.Error.QUERY));
    }
    check('undefined is refused',
        await code(pool.queryArgs('SELECT $1', undefined)) instanceof TypeError);
    check('an array is refused by SQLite',
        await code(pool.queryArgs('SELECT $1', [1])) === Db.Error.TYPE);
    check('a failed function gives back', lent() === 0);

    const conn = await pool.acquire_async(null);
    conn.release();
    check('released', await code(conn.queryArgs('SELECT 1')) === Db.Error.RELEASED);
    let blocking = null;
    try {
        conn.query('SELECT 1', null, null);
    } catch (e) {
        blocking = e;
    }
    check('released, blocking', blocking?.matches(Db.Error, Db.Error.RELEASED));
}

async function transactions() {
    await pool.withConnection(async conn => {
        await conn.withTransaction(() => conn.executeArgs('DELETE FROM t WHERE id = $1', 1));
        const thrown = await code(conn.withTransaction(async () => {
            await conn.executeArgs('DELETE FROM t');
            throw new EvalError('undo');
        }));
        check('the error of the function comes through', thrown instanceof EvalError);
        const [[count]] = (await conn.queryArgs('SELECT count(*) FROM t')).arrays();
        check('committed and rolled back', count === 3);
        const tuple = new GLib.Variant('(xms)', [2, null]);
        const result = conn.query('SELECT id FROM t WHERE id = $1 AND $2 IS NULL', tuple, null);
        check('a GVariant tuple', result.get_n_rows() === 1);
    });
}

async function story() {
    await openAndQuery();
    await readRows();
    await failures();
    await transactions();
    check('nothing is lent', lent() === 0);
    check('closed', await pool.close_async(GLib.USEC_PER_SEC, null));
    check('a closed pool says so', await code(pool.queryArgs('SELECT 1')) === Db.Error.CLOSED);
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
