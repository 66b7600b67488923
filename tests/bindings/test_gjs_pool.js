// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// Running a pool from JavaScript, on a SQLite file: promises, control, signals, garbage. Prints TAP.

import Db from 'gi://Db?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const PATIENCE = 30; // seconds, for what takes milliseconds on a machine that is not busy

const folder = GLib.Dir.make_tmp('dbpool-gjs-XXXXXX');
const uri = `sqlite:${folder}/test.db`;
const loop = GLib.MainLoop.new(null, false);
let n = 0;
let failed = false;

function check(what, good) {
    print(`${good ? 'ok' : 'not ok'} ${++n} ${what}`);
    failed ||= !good;
}

function sleep(milliseconds) {
    return new Promise(resolve => GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
        resolve();
        return GLib.SOURCE_REMOVE;
    }));
}

async function waitUntil(what, condition) {
    const deadline = GLib.get_monotonic_time() + PATIENCE * GLib.USEC_PER_SEC;
    while (!condition()) {
        if (GLib.get_monotonic_time() > deadline)
            throw new Error(`${what}: not within ${PATIENCE} s`);
        await sleep(2);
    }
}

function first(result) {
    return [...result][0];
}

function makePool(settings = {}) {
    const manager = new Db.PoolFactory().create_manager(uri, null);
    return Db.Pool.new(manager, new Db.PoolConfig({max_connections: 3, ...settings}));
}

async function close(pool) {
    check(`${pool.name} closes`, await pool.close_async(PATIENCE * GLib.USEC_PER_SEC, null));
}

async function promises() {
    const pool = makePool();
    const cancellable = new Gio.Cancellable();
    const held = [];
    for (let i = 0; i < 3; i++)
        held.push(await pool.acquire_async(null));
    const waiting = [];
    for (let i = 0; i < 50; i++) {
        waiting.push(pool.withConnection(async conn => first(await conn.queryArgs('SELECT $1 AS i', i)).i,
            i === 7 ? cancellable : null));
    }
    cancellable.cancel();
    held.forEach(conn => conn.release());
    const late = [];
    const results = await Promise.allSettled(waiting.map(async (promise, i) => {
        const value = await promise;
        if (i === 49) {
            // Those that wait when the pool is closed.
            const last = await Promise.all([1, 2, 3].map(() => pool.acquire_async(null)));
            late.push(pool.acquire_async(null).catch(e => e));
            const closed = pool.close_async(PATIENCE * GLib.USEC_PER_SEC, null);
            last.forEach(conn => conn.release());
            await closed;
        }
        return value;
    }));
    const good = results.filter(({status}) => status === 'fulfilled');
    check('49 of 50 resolve', good.length === 49);
    check('each to its own', results.every(({value}, i) => i === 7 || value === i));
    check('the cancelled one is rejected', results[7].reason.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED));
    const reason = await late[0];
    check('so is who waits for a pool that closes', reason.matches(Db.Error, Db.Error.CLOSED));
    check('with the domain of dbpool', reason.domain === Db.error_quark() &&
        GLib.quark_to_string(reason.domain) === 'db-error-quark');
    check('all came back', pool.get_stats().get_lent() === 0);
}

async function control() {
    const pool = makePool();
    check('warm_up', await pool.warm_up_async(2, null) === 2);
    pool.resize(1, 4);
    check('resize', pool.get_config().max_connections === 4 && pool.config.min_connections === 1);
    const ids = await pool.withConnection(conn => [conn.get_id(), conn.evict()]);
    await pool.withConnection(conn => check('evict', conn.get_id() !== ids[0]));
    pool.suspend();
    check('suspend', pool.is_suspended());
    try {
        pool.try_acquire();
    } catch (e) {
        check('a suspended pool says so', e.matches(Db.Error, Db.Error.SUSPENDED));
    }
    const waiting = pool.queryArgs('SELECT 7 AS seven');
    pool.resume();
    check('resume', first(await waiting).seven === 7);
    const nowhere = new Db.PoolFactory().create_manager('sqlite:/nonexistent/x.db', null);
    const refused = await pool.reconfigure_async(nowhere, null).catch(e => e);
    check('reconfigure refuses', refused.matches(Db.Error, Db.Error.CONFIGURATION));
    const manager = new Db.PoolFactory().create_manager(uri, null);
    check('reconfigure', await pool.reconfigure_async(manager, null) && pool.get_manager() === manager);
    await pool.withConnection(async conn => {
        check('detach', conn.detach() && pool.get_stats().get_detached() === 1);
        check('a detached one works', first(await conn.queryArgs('SELECT 1 AS one')).one === 1);
    });
    let thrown = null;
    try {
        pool.set_hook(Db.Hook.AFTER_CONNECT, () => true);
    } catch (e) {
        thrown = e;
    }
    check('hooks are refused, not a crash', /threads/.test(thrown?.message));
    const session = pool.open_session(null);
    check('a dedicated session', session instanceof Db.Session && pool.get_stats().get_dedicated() === 1);
    pool.close_session(session);
    const quota = Db.Pool.new(pool, new Db.PoolConfig({max_connections: 1}));
    check('a quota', first(await quota.queryArgs('SELECT 3 AS three')).three === 3);
    await close(quota);
    check('no error of opening', pool.dup_open_error() === null);
    await close(pool);
}

async function signals() {
    const pool = makePool({leak_threshold: 20000, max_connections: 1});
    const heard = new Map();
    for (const name of ['connection-created', 'connection-acquired', 'connection-returned', 'connection-dropped',
        'acquire-failed', 'leak-suspected'])
        pool.connect(name, (_pool, ...args) => heard.set(name, args));
    // Dbpool's own thread waits, and opens, and says so.
    check('nothing before the loop runs', heard.size === 0);
    const conn = await pool.acquire_full_async(Db.AcquireFlags.NONE, -1, 'report', null);
    await pool.acquire_full_async(Db.AcquireFlags.NONE, 10000, null, null).catch(e => e);
    await waitUntil('the leak', () => heard.has('leak-suspected'));
    conn.evict();
    conn.release();
    await waitUntil('all signals', () => heard.size === 6);
    check('times', heard.get('connection-returned')[0] >= 20000 && heard.get('connection-created')[0] > 0);
    check('reasons', heard.get('connection-dropped')[0] === Db.DropReason.EVICTED);
    check('errors', heard.get('acquire-failed')[0].matches(Db.Error, Db.Error.TIMEOUT));
    check('holders', heard.get('leak-suspected')[0].startsWith('report'));
    check('how long', heard.get('leak-suspected')[1] >= 20000);
    await close(pool);
}

async function connections() {
    const pool = makePool();
    const model = pool.connections;
    check('an empty list', model.get_n_items() === 0 && [...model].length === 0);
    await pool.withConnection(async conn => {
        await conn.queryArgs('SELECT 1');
        await waitUntil('the list', () => model.get_item(0)?.tag);
        const [info] = pool.connections;
        check('an item', info.id === conn.get_id() && info.uses === 1 && info.state === Db.ConnectionState.LENT);
        check('tagged with its place', /^test_gjs_pool\.js:\d+$/.test(info.tag));
        check('in the dump', pool.dump().includes(info.tag));
    });
    await waitUntil('the return', () => model.get_item(0).state === Db.ConnectionState.IDLE);
    check('its last statement', model.get_item(0).statement === 'SELECT ?');
    check('the same list', pool.connections === model);
    await close(pool);
}

// Runs a program, and gives its status and what it printed.
function run(text) {
    const path = `${folder}/program.js`;
    const prologue = "import Db from 'gi://Db?version=1.0'; import GLib from 'gi://GLib'; " +
        `import System from 'system'; const pool = new Db.PoolFactory().create_pool('${uri}', null, null);\n`;
    GLib.file_set_contents(path, prologue + text);
    const [, out, err, status] = GLib.spawn_sync(null, ['gjs', '-m', path], null,
        GLib.SpawnFlags.SEARCH_PATH, null);
    return [status, new TextDecoder().decode(out) + new TextDecoder().decode(err)];
}

const GARBAGE = `
    const config = new Db.PoolConfig({max_connections: 1, name: 'small'});
    const small = Db.Pool.new(pool.get_manager(), config);

    function pause() {
        return new Promise(resolve => GLib.timeout_add(0, 2, () => resolve() && false));
    }
    async function lose(tag) {
        const conn = await small.acquire_full_async(Db.AcquireFlags.NONE, -1, tag, null);
        conn.query('SELECT 1', null, null);
    }
    async function loseInPlace() {
        const conn = await small.acquire_async(null);
        conn.query('SELECT 1', null, null);
    }
    async function collected() {
        while (small.get_stats().get_lent() > 0) {
            System.gc();
            await pause();
        }
    }

    for (let i = 0; i < 3; i++) {
        await lose('careless');
        await collected();
    }
    for (let i = 0; i < 2; i++) {
        await loseInPlace();
        await collected();
    }
    (() => small.acquire(null))();
    await collected();
    for (let i = 0; i < 3; i++) {
        const conn = await small.acquire_async(null);
        conn.release();
        conn.release();
    }
    const held = await new Promise(resolve => small.acquire_async(null, (_pool, result) => resolve(result)))
        .then(result => small.acquire_finish(result));
    held.release();
    const finalized = small.get_stats().get_finalized();
    if (finalized !== 6)
        throw new Error('finalized ' + finalized);
`;

// What was collected is back, and is warned of, once for each tag.
function garbage() {
    const [status, words] = run(GARBAGE);
    const warnings = words.split('\n').filter(line => line);
    check('collected connections come back', status === 0);
    check('a warning for each place', warnings.length === 3 &&
        warnings.every(line => line.includes('pool small') && line.includes('was not released')));
    check('with the tag', warnings[0]?.includes('that careless acquired'));
    const [inPlace, blocking] = ['await small.acquire_async(null);', 'small.acquire(null)']
        .map(call => GARBAGE.split('\n').findIndex(line => line.includes(call)) + 2);
    check('or the place', warnings[1]?.includes(`that program.js:${inPlace} acquired`));
    check('of a blocking one, too', warnings[2]?.includes(`that program.js:${blocking} acquired`));
    if (failed)
        print(words.replace(/^/gm, '# '));
}

function isSilent(text) {
    const [status, words] = run(text);
    if (status !== 0 || words)
        print(`# status ${status}: ${words}`);
    return status === 0 && !words;
}

function exits() {
    check('exits with everything open', isSilent('const conn = pool.acquire(null);'));
    check('exits in a transaction', isSilent('const conn = pool.acquire(null); ' +
        'const t = conn.begin(Db.Isolation.DEFAULT, Db.TransactionFlags.NONE, null);'));
    check('exits after a collection', isSilent('pool.acquire(null); System.gc();'));
    check('exits in a cycle', isSilent('const a = {conn: pool.acquire(null), pool}; a.a = a; System.gc();'));
    check('exits while somebody waits', isSilent('const loop = GLib.MainLoop.new(null, false); const all = []; ' +
        'for (let i = 0; i < 9; i++) pool.acquire_async(null).then(conn => all.push(conn)).catch(() => {}); ' +
        'GLib.timeout_add(0, 50, () => loop.quit()); loop.run();'));
    check('exits with signals under way', isSilent("pool.connect('connection-returned', () => print('never')); " +
        'const model = pool.connections; pool.acquire(null).release();'));
}

async function story() {
    await promises();
    await control();
    await signals();
    await connections();
    garbage();
    exits();
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
