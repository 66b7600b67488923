// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// What makes dbpool's typelib feel like JavaScript. GJS loads this file by itself when a program imports
// gi://Db. It makes the asynchronous pairs return promises, adds parameters given as plain arguments,
// rows as objects, and helpers that give back what they borrowed: GJS collects garbage late, so a
// connection that is only dropped stays out of its pool for a long time. Loans are tagged with the
// place that asked for them, and those that only the garbage collector ended are warned of.
//
// docs/javascript.md is the guide.

/* exported _init */

const {Gio, GLib} = imports.gi;

const PAIRS = {
    Connection: ['begin', 'execute', 'execute_params', 'execute_script', 'query', 'query_params'],
    Pool: ['acquire', 'acquire_full', 'close', 'execute', 'query', 'reconfigure', 'warm_up'],
    PoolFactory: ['create_pool', 'create_postgres_pool', 'create_sqlite_pool'],
    Transaction: ['commit', 'rollback'],
};

function addNumber(params, value) {
    if (Number.isSafeInteger(value))
        params.add_int64(value);
    else
        params.add_double(value);
}

function addBigInt(params, value, position) {
    if (BigInt.asIntN(64, value) !== value)
        throw new RangeError(`parameter ${position} is ${value}: whole numbers have up to 64 bits`);
    params.add_int64(value);
}

function addString(params, value, position) {
    if (value.includes('\0')) {
        throw new TypeError(`parameter ${position} is text with a NUL character, ` +
            'which no database keeps; pass a Uint8Array');
    }
    params.add_text(value);
}

function addObject(Db, params, value, position) {
    if (value instanceof Uint8Array)
        params.add_bytes(new GLib.Bytes(value));
    else if (value instanceof GLib.Bytes)
        params.add_bytes(value);
    else if (value instanceof Date)
        params.add_typed_text(Db.ValueType.TIMESTAMP_TZ, value.toISOString());
    else
        throw new TypeError(`parameter ${position} is an object that is no SQL value`);
}

function addValue(Db, params, value, position) {
    switch (typeof value) {
    case 'number':
        return addNumber(params, value);
    case 'bigint':
        return addBigInt(params, value, position);
    case 'string':
        return addString(params, value, position);
    case 'boolean':
        return params.add_boolean(value);
    case 'object':
        if (value === null)
            return params.add_null();
        return addObject(Db, params, value, position);
    default:
        throw new TypeError(`parameter ${position} is ${typeof value}, which is no SQL value`);
    }
}

// A number where it is exact, else a BigInt: the typelib's own int64 would be rounded.
function getInteger(result, row, column) {
    const value = result.get_double(row, column);
    return Number.isSafeInteger(value) ? value : BigInt(result.get_text(row, column));
}

function getValue(Db, result, row, column) {
    switch (result.get_cell_type(row, column)) {
    case Db.ValueType.NULL:
        return null;
    case Db.ValueType.BOOLEAN:
        return result.get_boolean(row, column);
    case Db.ValueType.INT64:
        return getInteger(result, row, column);
    case Db.ValueType.DOUBLE:
        return result.get_double(row, column);
    case Db.ValueType.BYTES:
        return result.get_bytes(row, column).toArray();
    default:
        return result.get_text(row, column);
    }
}

function* iterate(Db, result, makeRow) {
    const nRows = result.get_n_rows();
    const names = result.get_column_names();

    for (let row = 0; row < nRows; row++)
        yield makeRow(names, names.map((_, column) => getValue(Db, result, row, column)));
}

function* iterateList() {
    for (let i = 0; i < this.get_n_items(); i++)
        yield this.get_item(i);
}

// Of columns with the same name, the first.
function makeObject(names, values) {
    const row = {};
    for (let column = names.length - 1; column >= 0; column--)
        row[names[column]] = values[column];
    return row;
}

function overrideParams(Db) {
    // Db.Params.of(1, 'two', null): the parameters of one row.
    Db.Params.of = function (...values) {
        const params = Db.Params.new();
        values.forEach((value, i) => addValue(Db, params, value, i + 1));
        return params;
    };
}

function overrideResult(Db) {
    // for (const {id, name} of result)
    Db.Result.prototype[Symbol.iterator] = function () {
        return iterate(Db, this, makeObject);
    };

    // for (const [id, name] of result.arrays())
    Db.Result.prototype.arrays = function () {
        return iterate(Db, this, (names, values) => values);
    };
}

// Who borrowed what. GJS 1.74 runs no callback when an object was collected, so this is found out when
// the pool lends the same session again while the loan before has not been released here.

const loans = new WeakMap(); // of a pool: a Map from the number of a session to the tag of its loan
const tagsOf = new WeakMap(); // of a connection on loan: the Map of its pool
const warned = new Set(); // tags, and the names of their pools

const OWN_FILE = new Error().fileName;

const MAX_PLACES = 1000;
const places = new Map(); // of texts of stacks, because reading one takes longer than making it

function findPlace(stack) {
    for (const frame of stack.split('\n')) {
        const [, file, line] = /@(.+?):(\d+):\d+$/.exec(frame) ?? [];
        if (file && file !== OWN_FILE && !file.startsWith('resource:///org/gnome/gjs/'))
            return `${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
    }
    return null;
}

// The place in the program that called, like C's G_STRLOC: 'app.js:42'. That costs some ten microseconds,
// where an acquire costs a hundred.
function getCaller() {
    const {stack} = new Error();
    let place = places.get(stack);
    if (place === undefined) {
        if (places.size >= MAX_PLACES)
            places.clear();
        places.set(stack, place = findPlace(stack));
    }
    return place;
}

function warnOfCollected(pool, tag) {
    const key = `${pool.name}\n${tag}`;
    if (warned.has(key))
        return;
    warned.add(key);
    console.warn(`pool ${pool.name}: a connection that ${tag ?? 'somebody'} acquired was not released; ` +
        'the garbage collector gave it back. Use withConnection(), or release() in a finally block');
}

function noteLoan(pool, connection, tag) {
    let tags = loans.get(pool);
    if (!tags)
        loans.set(pool, tags = new Map());
    const id = connection.get_id();
    if (tags.has(id))
        warnOfCollected(pool, tags.get(id));
    tags.set(id, tag);
    tagsOf.set(connection, tags);
    return connection;
}

function noteRelease(connection) {
    tagsOf.get(connection)?.delete(connection.get_id());
    tagsOf.delete(connection);
}

function overrideLoans(Db) {
    const pool = Db.Pool.prototype;
    const {acquire_full, acquire_full_async, try_acquire} = pool;
    const {release} = Db.Connection.prototype;

    function acquireNow(self, flags, timeout, tag, cancellable) {
        return noteLoan(self, acquire_full.call(self, flags, timeout, tag, cancellable), tag);
    }

    function acquireLater(self, flags, timeout, tag, cancellable, callback) {
        if (callback)
            return acquire_full_async.call(self, flags, timeout, tag, cancellable, callback);
        return acquire_full_async.call(self, flags, timeout, tag, cancellable)
            .then(connection => noteLoan(self, connection, tag));
    }

    pool.acquire_full = function (flags, timeout, tag, cancellable = null) {
        return acquireNow(this, flags, timeout, tag ?? getCaller(), cancellable);
    };

    pool.acquire = function (cancellable = null) {
        return acquireNow(this, Db.AcquireFlags.NONE, -1, getCaller(), cancellable);
    };

    pool.try_acquire = function () {
        return noteLoan(this, try_acquire.call(this), getCaller());
    };

    pool.acquire_full_async = function (flags, timeout, tag, cancellable = null, callback = null) {
        return acquireLater(this, flags, timeout, tag ?? getCaller(), cancellable, callback);
    };

    pool.acquire_async = function (cancellable = null, callback = null) {
        return acquireLater(this, Db.AcquireFlags.NONE, -1, getCaller(), cancellable, callback);
    };

    Db.Connection.prototype.release = function () {
        noteRelease(this);
        release.call(this);
    };
}

function overrideConnection(Db) {
    // await conn.queryArgs('SELECT … WHERE id = $1', 7)
    Db.Connection.prototype.queryArgs = function (sql, ...values) {
        return this.query_params_async(sql, Db.Params.of(...values), null);
    };

    Db.Connection.prototype.executeArgs = function (sql, ...values) {
        return this.execute_params_async(sql, Db.Params.of(...values), null);
    };

    // Commits when the function returns, rolls back when it throws.
    Db.Connection.prototype.withTransaction = async function (func,
        isolation = Db.Isolation.DEFAULT, flags = Db.TransactionFlags.NONE) {
        const transaction = await this.begin_async(isolation, flags, null);
        let value;
        try {
            value = await func(transaction);
        } catch (error) {
            if (transaction.is_open()) {
                // The pool rolls back what is returned in a transaction; the first error counts.
                await transaction.rollback_async(null).catch(() => {});
            }
            throw error;
        }
        if (transaction.is_open())
            await transaction.commit_async(null);
        return value;
    };
}

function overridePool(Db) {
    // Borrows a connection for the time of the function, and gives it back whatever happens.
    Db.Pool.prototype.withConnection = async function (func, cancellable = null) {
        const connection = await this.acquire_async(cancellable);
        try {
            return await func(connection);
        } finally {
            connection.release();
        }
    };

    // for (const info of pool.connections)
    const {get_connections} = Db.Pool.prototype;
    Db.Pool.prototype.get_connections = function () {
        const list = get_connections.call(this);
        list[Symbol.iterator] ??= iterateList;
        return list;
    };
    Object.defineProperty(Db.Pool.prototype, 'connections', {
        configurable: true,
        enumerable: true,
        get() {
            return this.get_connections();
        },
    });

    // They run on dbpool's threads, and GJS has one.
    Db.Pool.prototype.set_hook = function () {
        throw new Error('hooks run on other threads, which JavaScript has not: ' +
            'prepare the connection after acquire, or write the hook in C');
    };

    Db.Pool.prototype.queryArgs = function (sql, ...values) {
        return this.withConnection(connection => connection.queryArgs(sql, ...values));
    };

    Db.Pool.prototype.executeArgs = function (sql, ...values) {
        return this.withConnection(connection => connection.executeArgs(sql, ...values));
    };
}

function _init() {
    const Db = this;

    for (const [name, methods] of Object.entries(PAIRS)) {
        for (const method of methods)
            Gio._promisify(Db[name].prototype, `${method}_async`, `${method}_finish`);
    }
    overrideParams(Db);
    overrideResult(Db);
    overrideConnection(Db);
    overrideLoans(Db);
    overridePool(Db);
}
