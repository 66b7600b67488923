// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// The SQL layer from JavaScript: test_gjs_sql.js sqlite | postgres. Prints TAP.

import Db from 'gi://Db?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const PATIENCE = 30; // seconds, for what takes milliseconds on a machine that is not busy

const postgres = ARGV[0] === 'postgres';
const folder = GLib.Dir.make_tmp('dbpool-gjs-sql-XXXXXX');
const uri = postgres ? GLib.getenv('DBPOOL_TEST_POSTGRES_URI') : `sqlite:${folder}/test.db`;
const loop = GLib.MainLoop.new(null, false);
let pool = null;
let n = 0;
let failed = false;

const INSERT = 'INSERT INTO gjs_sql VALUES ($1, $2)';
const SELECT = 'SELECT id, name FROM gjs_sql ORDER BY id';
const ENDLESS = postgres ? 'SELECT pg_sleep(600) AS endless'
    : 'WITH RECURSIVE endless(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM endless) SELECT count(*) FROM endless';
const SERIES = postgres ? 'SELECT i FROM generate_series(1, CAST($1 AS int)) AS i'
    : 'WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $1) SELECT i FROM s';

function check(what, good) {
    print(`${good ? 'ok' : 'not ok'} ${++n} ${what}`);
    failed ||= !good;
}

// What a promise is rejected with, or what a function throws, at once or later; else null.
async function thrown(call) {
    try {
        await (typeof call === 'function' ? call() : call);
        return null;
    } catch (e) {
        return e;
    }
}

function is(error, code) {
    return error instanceof GLib.Error && error.matches(Db.Error, code);
}

async function waitUntil(what, condition) {
    const deadline = GLib.get_monotonic_time() + PATIENCE * GLib.USEC_PER_SEC;
    while (!condition()) {
        if (GLib.get_monotonic_time() > deadline)
            throw new Error(`${what}: not within ${PATIENCE} s`);
        await new Promise(resolve => GLib.timeout_add(GLib.PRIORITY_DEFAULT, 1, () => {
            resolve();
            return GLib.SOURCE_REMOVE;
        }));
    }
}

async function ids() {
    return [...(await pool.queryArgs('SELECT id FROM gjs_sql ORDER BY id')).arrays()].join();
}

async function empty() {
    await pool.executeArgs('DELETE FROM gjs_sql');
}

async function manyRows() {
    check('executeMany of the pool', await pool.executeMany(INSERT, [[1, 'one'], [2, null]]) === 2);
    await pool.withConnection(async conn => {
        check('executeMany', await conn.executeMany(INSERT, new Set([[3, 'three'], [4n, 'four']])) === 2);
        check('no rows', await conn.executeMany(INSERT, []) === 0);
        const error = await thrown(conn.executeMany(INSERT, [[5, 'five'], [4, 'again']]));
        check('a row that fails', is(error, Db.Error.CONSTRAINT) && error.message.includes('row 2') &&
            error.info.get_constraint_kind() === Db.ConstraintKind.UNIQUE);
    });
    check('all or nothing', await ids() === '1,2,3,4');
    for (const rows of ['ab', [7], ['ab'], [new Set([1, 2])], [{id: 1}]]) {
        const {message} = await thrown(() => pool.executeMany(INSERT, rows));
        check(`no row: ${JSON.stringify(rows)}`, /row 1 has to be/.test(message));
    }
    check('no rows at all', await thrown(() => pool.executeMany(INSERT, 7)) instanceof TypeError);
    const {message} = await thrown(() => pool.executeMany(INSERT, [[1, undefined]]));
    check('no value', /parameter 2 is undefined/.test(message));
    await empty();
}

async function batches() {
    const results = await pool.runBatch([[INSERT, 1, 'one'], SELECT, ['SELECT 7 AS seven']]);
    check('runBatch', results.get_n_statements() === 3 && results.get_n_failed() === 0);
    const [first, second] = results;
    check('its results', first.get_rows_affected() === 1 && [...second][0].name === 'one');
    const error = await thrown(pool.runBatch([[INSERT, 2, 'two'], [INSERT, 2, 'again']]));
    check('a statement that fails', is(error, Db.Error.CONSTRAINT) && error.message.includes('statement 2') &&
        error.info.get_constraint_kind() === Db.ConstraintKind.UNIQUE && await ids() === '1');
    const independent = await pool.withConnection(conn =>
        conn.runBatch([[INSERT, 1, 'again'], [INSERT, 3, 'three']], Db.BatchFlags.INDEPENDENT));
    check('independent', independent.get_n_failed() === 1 && await ids() === '1,3');
    check('its error', is(await thrown(() => independent.get_result(0)), Db.Error.CONSTRAINT));
    check('its errors', [...independent][0] instanceof GLib.Error && [...independent][1] instanceof Db.Result);
    for (const wrong of [[7], [[7, 'x']], [null], [[]]]) {
        const {message} = await thrown(() => pool.runBatch(wrong));
        check(`no statement: ${JSON.stringify(wrong)}`, /statement 1 of/.test(message));
    }
    check('no array', /not one text/.test((await thrown(() => pool.runBatch('SELECT 1'))).message));
    const batch = Db.Batch.new();
    batch.add(INSERT, new GLib.Variant('(xms)', [4, null]));
    batch.add_params(INSERT, Db.Params.of(5, 'five'));
    check('a Db.Batch', batch.get_n_statements() === 2 &&
        (await pool.run_batch_async(batch, Db.BatchFlags.NONE, null)).get_n_failed() === 0);
    await empty();
}

async function descriptions() {
    await pool.withConnection(async conn => {
        const described = await conn.describe_async('SELECT id, name FROM gjs_sql WHERE id = $1', null);
        check('describe', described.get_n_params() === 1 && described.get_n_columns() === 2);
        check('columns', described.get_column_name(1) === 'name' && described.get_column_type_name(0) === 'bigint' &&
            described.get_column_type(1) === Db.ValueType.TEXT);
        check('parameters', described.get_param_type(0) === (postgres ? Db.ValueType.INT64 : Db.ValueType.NULL) &&
            described.get_param_type_name(0) === (postgres ? 'bigint' : null));
        check('quoting', conn.quote_identifier('a"b') === '"a""b"' &&
            conn.query(`SELECT ${conn.quote_literal("it's")}`, null, null).get_text(0, 0) === 'it\'s');
    });
}

async function cursors() {
    await pool.withConnection(async conn => {
        const inTransaction = () => conn.get_session().get_state() === Db.SessionState.IN_TRANSACTION;
        let sum = 0;
        for await (const {i} of conn.rows(SERIES, 2500))
            sum += i;
        check('rows', sum === 2500 * 2501 / 2);
        for await (const {i} of conn.rows(SERIES, 2500)) {
            await conn.executeArgs(INSERT, i, 'between');
            if (i === 3)
                break;
        }
        check('break', !inTransaction() && await ids() === '1,2,3');
        const cursor = await conn.open_cursor_params_async(SERIES, Db.Params.of(10), 4, null);
        check('batch size', cursor.get_batch_size() === 4 && cursor.get_connection() === conn);
        check('fetch', (await cursor.fetch_async(null)).get_n_rows() === 4 && !cursor.is_done());
        const rest = [];
        for await (const {i} of cursor)
            rest.push(i);
        check('the rest', rest.join() === '5,6,7,8,9,10' && cursor.is_done());
        const other = await conn.open_cursor_async(SELECT, null, 1, null);
        check('close', await other.close_async(null) && is(await thrown(other.fetch_async(null)), Db.Error.QUERY));
        const error = await thrown(async () => {
            for await (const row of conn.rows('SELECT nothing FROM gjs_sql'))
                check('no row', !row);
        });
        check('a statement that fails', is(error, Db.Error.QUERY) && error.info.get_position() === 8);
        check('usable', (await conn.queryArgs('SELECT 1')).get_n_rows() === 1 && !inTransaction());
    });
    await empty();
}

async function transactions() {
    await pool.withConnection(async conn => {
        await conn.withTransaction(async () => {
            await conn.executeArgs(INSERT, 1, 'kept');
            const error = await thrown(conn.withTransaction(async () => {
                await conn.executeArgs(INSERT, 2, 'undone');
                throw new EvalError('undo');
            }));
            check('a savepoint', error instanceof EvalError);
        });
        await conn.execute_script_async('DROP TABLE IF EXISTS gjs_child; CREATE TABLE gjs_child (parent bigint ' +
            'REFERENCES gjs_sql (id) DEFERRABLE INITIALLY DEFERRED)', null);
        let transaction = null;
        const error = await thrown(conn.withTransaction(t => {
            transaction = t;
            return conn.executeArgs('INSERT INTO gjs_child VALUES (99)');
        }));
        check('a commit that fails', is(error, Db.Error.CONSTRAINT) && !transaction.is_open() &&
            error.info.get_constraint_kind() === Db.ConstraintKind.FOREIGN_KEY);
        await conn.executeArgs('DROP TABLE gjs_child');
    });
    const transaction = await pool.begin_async(Db.Isolation.SERIALIZABLE, Db.TransactionFlags.NONE, null);
    await transaction.get_connection().executeArgs(INSERT, 3, 'three');
    check('begin of the pool', await transaction.commit_async(null) && transaction.get_connection().is_released());
    check('what was committed', await ids() === '1,3');
    await empty();
}

// Another session writes what this one has read.
async function lose(conn, attempt) {
    await conn.queryArgs('SELECT count(*) FROM gjs_sql');
    if (attempt.calls++ < attempt.losses) {
        await pool.withConnection(other => other.withTransaction(async () => {
            await other.queryArgs('SELECT count(*) FROM gjs_sql');
            await other.executeArgs('UPDATE gjs_sql SET name = $1 WHERE id = 2', `won ${attempt.calls}`);
        }, Db.Isolation.SERIALIZABLE));
    }
    await conn.executeArgs('UPDATE gjs_sql SET name = $1 WHERE id = 1', 'done');
    return attempt.calls;
}

async function transact() {
    const flags = postgres ? Db.TransactionFlags.NONE : Db.TransactionFlags.DEFERRED;
    const run = attempt => pool.transact(conn => lose(conn, attempt), Db.Isolation.SERIALIZABLE, flags);
    await pool.executeMany(INSERT, [[1, 'one'], [2, 'two']]);
    check('transact', await pool.transact(conn => conn.executeArgs(INSERT, 3, 'three')) === 1);
    check('it retries', await run({calls: 0, losses: 2}) === 3);
    const {random} = Math;
    Math.random = () => 0;
    const attempt = {calls: 0, losses: Infinity};
    const error = await thrown(run(attempt));
    Math.random = random;
    check('not for ever', is(error, Db.Error.SERIALIZATION) && attempt.calls === 10);
    check('is_transient', Db.Error.is_transient(error));
    check('get_sqlstate', Db.Error.get_sqlstate(error) === (postgres ? '40001' : null));
    let calls = 0;
    const undo = await thrown(pool.transact(async conn => {
        calls++;
        await conn.executeArgs('DELETE FROM gjs_sql');
        throw new EvalError('undo');
    }));
    check('it rolls back', undo instanceof EvalError && calls === 1 && await ids() === '1,2,3');
    check('nothing is lent', pool.get_stats().get_lent() === 0);
    await empty();
}

async function errors() {
    await pool.executeArgs(INSERT, 1, 'one');
    const error = await thrown(pool.executeArgs(INSERT, 1, 'again'));
    const {info} = error;
    check('get_constraint_kind', Db.Error.get_constraint_kind(error) === Db.ConstraintKind.UNIQUE &&
        info.get_constraint_kind() === Db.ConstraintKind.UNIQUE);
    check('not transient', !Db.Error.is_transient(error));
    check('the message', error.message.includes(info.get_message()));
    if (postgres) {
        check('names', info.get_sqlstate() === '23505' && info.get_table() === 'gjs_sql' &&
            info.get_schema() === 'public' && info.get_constraint() === 'gjs_sql_pkey' &&
            info.get_severity() === 'ERROR');
        check('the detail', info.get_detail() === 'Key (id)=(1) already exists.' &&
            !error.message.includes('Key (id)'));
        const others = [info.get_hint(), info.get_context(), info.get_column(), info.get_data_type()];
        check('nothing else', others.every(text => text === null));
    } else {
        check('names', info.get_sqlite_code() === 1555 && info.get_column() === 'id' && info.get_sqlstate() === null);
    }
    check('the position', (await thrown(pool.queryArgs('SELECT id, größe FROM gjs_sql'))).info.get_position() === 12);
    await pool.withConnection(async conn => {
        check('none', conn.get_last_error_info() === null);
        const foreign = await thrown(conn.queryArgs('SELECT 1; SELECT 2'));
        check('none of the database', is(foreign, Db.Error.QUERY));
        conn.release();
        check('none of a released one', (await thrown(conn.queryArgs('SELECT 1'))).info === null);
    });
    await empty();
}

async function cancellation() {
    await pool.withConnection(async conn => {
        const calls = [
            c => conn.query_async(ENDLESS, null, c),
            c => conn.execute_async(ENDLESS, null, c),
            c => conn.query_params_async(ENDLESS, null, c),
            c => conn.execute_params_async(ENDLESS, null, c),
            c => conn.execute_script_async(ENDLESS, c),
            c => pool.query_params_async(ENDLESS, null, c),
            c => pool.execute_async(ENDLESS, null, c),
        ];
        for (const call of calls) {
            const cancellable = new Gio.Cancellable();
            const promise = thrown(call(cancellable));
            await waitUntil('the statement', () => pool.dump().includes('endless'));
            cancellable.cancel();
            const error = await promise;
            check(`cancelled: ${call}`, error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED));
            await waitUntil('the other one', () => pool.get_stats().get_lent() === 1);
            await pool.queryArgs('SELECT 1');
            check('usable', (await conn.queryArgs('SELECT 1 AS one')).get_n_rows() === 1);
        }
    });
    const config = new Db.PoolConfig({max_connections: 1, statement_timeout: 30000});
    const impatient = await new Db.PoolFactory().create_pool_async(uri, config, null);
    const start = GLib.get_monotonic_time();
    check('statement-timeout', is(await thrown(impatient.queryArgs(ENDLESS)), Db.Error.TIMEOUT));
    check('not before', GLib.get_monotonic_time() - start >= 30000);
    check('usable', (await impatient.queryArgs('SELECT 1')).get_n_rows() === 1);
    await impatient.close_async(PATIENCE * GLib.USEC_PER_SEC, null);
}

async function calls() {
    const rows = Db.Params.new();
    for (const id of [3, 4]) {
        rows.add_int64(id);
        rows.add_null();
        rows.next_row();
    }
    check('execute', await pool.execute_async(INSERT, new GLib.Variant('(xs)', [1, 'one']), null) === 1);
    check('execute_params', await pool.execute_params_async(INSERT, Db.Params.of(2, 'two'), null) === 1);
    check('execute_many', await pool.execute_many_async(INSERT, rows, null) === 2);
    check('query', (await pool.query_async(SELECT, null, null)).get_n_rows() === 4);
    check('blocking', pool.query_params(SELECT, null, null).get_n_rows() === 4 &&
        pool.execute_params('DELETE FROM gjs_sql WHERE id = $1', Db.Params.of(1), null) === 1);
    const result = await pool.queryArgs(SELECT);
    check('a list model', result instanceof Gio.ListModel && result.get_item_type() === Db.Row.$gtype);
    const row = result.get_item(0);
    check('a row', row.get_result() === result && row.get_position() === 0 && row.get_int64(0) === 2 &&
        row.get_text(1) === 'two' && !row.is_null(1) && row.dup_variant(1).unpack() === 'two' &&
        row.get_bytes(1).get_size() === 3 && row.get_double(0) === 2 && row.get_boolean(0));
    check('cells', result.find_column('name') === 1 && result.get_column_nulls(1).join() === '1,2' &&
        result.dup_variant(1, 1) === null && result.get_column_data(0).get_size() === 24 &&
        result.get_column_data(1) === null);
    await pool.withConnection(async conn => {
        if (postgres) {
            check('RETURNING', (await conn.queryArgs(`${INSERT} RETURNING id`, 7, null)).get_int64(0, 0) === 7);
            return;
        }
        await conn.execute_script_async('CREATE TEMP TABLE counted (id INTEGER PRIMARY KEY, v)', null);
        await conn.queryArgs('INSERT INTO counted (v) VALUES (1)');
        const inserted = await conn.queryArgs('INSERT INTO counted (v) VALUES (2)');
        check('last insert id', inserted.get_last_insert_id() === 2);
    });
    await empty();
}

async function story() {
    const config = new Db.PoolConfig({max_connections: 3});
    pool = await new Db.PoolFactory().create_pool_async(uri, config, null);
    await pool.executeArgs('DROP TABLE IF EXISTS gjs_sql');
    await pool.executeArgs('CREATE TABLE gjs_sql (id bigint PRIMARY KEY, name text)');
    const parts = {manyRows, batches, descriptions, cursors, transactions, transact, errors, cancellation, calls};
    for (const [name, part] of Object.entries(parts)) {
        print(`# ${name}`);
        await part();
    }
    await pool.executeArgs('DROP TABLE gjs_sql');
    check('closed', await pool.close_async(PATIENCE * GLib.USEC_PER_SEC, null));
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
