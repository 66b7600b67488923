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
    Connection: ['begin', 'describe', 'execute', 'execute_many', 'execute_params', 'execute_script',
        'open_cursor', 'open_cursor_params', 'query', 'query_params', 'run_batch'],
    Cursor: ['close', 'fetch'],
    HealthChecker: ['check'],
    Pool: ['acquire', 'acquire_full', 'begin', 'close', 'execute', 'execute_many', 'execute_params', 'query',
        'query_params', 'reconfigure', 'run_batch', 'warm_up'],
    PoolFactory: ['create_pool', 'create_postgres_pool', 'create_sqlite_pool'],
    Transaction: ['commit', 'rollback'],
};

const CURSOR_BATCH = 1000; // rows

function addNumber(params, value) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0))
        params.add_int64(value);
    else
        params.add_double(value);
}

function addBigInt(params, value) {
    if (BigInt.asIntN(64, value) === value)
        params.add_int64(value);
    else
        params.add_decimal(value.toString());
}

function addString(params, value, position) {
    if (value.includes('\0')) {
        throw new TypeError(`parameter ${position} is text with a NUL character, ` +
            'which no database keeps; pass a Uint8Array');
    }
    if (/\p{Surrogate}/u.test(value))
        throw new TypeError(`parameter ${position} is text with half a surrogate pair, which is no Unicode`);
    params.add_text(value);
}

function addArray(Db, params, values, position) {
    params.open_array();
    try {
        for (const value of values)
            addValue(Db, params, value, position);
    } finally {
        params.close_array();
    }
}

function addObject(Db, params, value, position) {
    if (value instanceof Uint8Array)
        params.add_bytes(new GLib.Bytes(value));
    else if (value instanceof GLib.Bytes)
        params.add_bytes(value);
    else if (value instanceof Date)
        params.add_typed_text(Db.ValueType.TIMESTAMP_TZ, value.toISOString());
    else if (Array.isArray(value))
        addArray(Db, params, value, position);
    else if ([Object.prototype, null].includes(Object.getPrototypeOf(value)))
        params.add_json(JSON.stringify(value));
    else
        throw new TypeError(`parameter ${position} is an object that is no SQL value`);
}

function addValue(Db, params, value, position) {
    switch (typeof value) {
    case 'number':
        return addNumber(params, value);
    case 'bigint':
        return addBigInt(params, value);
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
function parseInteger(text) {
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : BigInt(text);
}

function getInteger(result, row, column) {
    const value = result.get_double(row, column);
    return Number.isSafeInteger(value) ? value : BigInt(result.get_text(row, column));
}

function parseBytes(text) {
    if (!/^\\x([0-9a-f]{2})*$/.test(text))
        throw new SyntaxError('the session\'s bytea_output is not hex');
    const bytes = new Uint8Array(text.length / 2 - 1);
    for (let i = 0; i < bytes.length; i++)
        bytes[i] = parseInt(text.slice(2 * i + 2, 2 * i + 4), 16);
    return bytes;
}

function getElementParser(Db, type) {
    switch (type) {
    case Db.ValueType.BOOLEAN:
        return text => text === 't';
    case Db.ValueType.INT64:
        return parseInteger;
    case Db.ValueType.DOUBLE:
        return Number;
    case Db.ValueType.BYTES:
        return parseBytes;
    default:
        return text => text;
    }
}

const ARRAY_TOKENS = /"((?:[^"\\]|\\.)*)"|([{},])|([^{},"\\]+)/sy;

// Arrays come as PostgreSQL writes them: {1,NULL,"a \"b\""}, with bounds in front if they are unusual.
// The outermost array is the only element of the one that is returned.
function parseTokens(text, parse) {
    const open = [[]];
    ARRAY_TOKENS.lastIndex = text.startsWith('[') ? text.indexOf('={') + 1 : 0;
    while (ARRAY_TOKENS.lastIndex < text.length) {
        const [token, quoted, sign, plain] = ARRAY_TOKENS.exec(text);
        const array = open[open.length - 1];
        if (sign === '{') {
            array.push([]);
            open.push(array[array.length - 1]);
        } else if (sign === '}') {
            open.pop();
        } else if (token === 'NULL') {
            array.push(null);
        } else if (token !== ',') {
            array.push(parse(plain ?? quoted.replace(/\\(.)/gs, '$1')));
        }
    }
    return open.length === 1 ? open[0][0] : text;
}

function parseArray(text, parse) {
    try {
        return parseTokens(text, parse);
    } catch (error) {
        return text; // it is no array
    }
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
    case Db.ValueType.ARRAY:
        return parseArray(result.get_text(row, column),
            getElementParser(Db, result.get_column_element_type(column)));
    default:
        return result.get_text(row, column);
    }
}

function getNumbers(Db, result, column, type) {
    const values = result.get_column_doubles(column);
    if (type === Db.ValueType.BOOLEAN)
        return values.map(value => value !== 0);
    if (type === Db.ValueType.INT64) {
        for (let row = 0; row < values.length; row++) {
            if (!Number.isSafeInteger(values[row]))
                values[row] = BigInt(result.get_text(row, column));
        }
    }
    return values;
}

// A whole column, which is faster than cell by cell where there are many.
function getColumn(Db, result, column) {
    const {ARRAY, BOOLEAN, BYTES, DOUBLE, INT64, MIXED} = Db.ValueType;
    const type = result.get_column_type(column);
    if (type === BYTES || type === MIXED || type === ARRAY) {
        return Array.from({length: result.get_n_rows()},
            (_, row) => getValue(Db, result, row, column));
    }
    const values = [BOOLEAN, DOUBLE, INT64].includes(type)
        ? getNumbers(Db, result, column, type) : result.get_column_texts(column);
    for (const row of result.get_column_nulls(column))
        values[row] = null;
    return values;
}

const COLUMNS_FROM = 8; // rows; below, single cells are as fast as whole columns

function* iterate(Db, result, makeRow) {
    const nRows = result.get_n_rows();
    const names = result.get_column_names();

    if (nRows < COLUMNS_FROM) {
        for (let row = 0; row < nRows; row++)
            yield makeRow(names, names.map((_, column) => getValue(Db, result, row, column)));
        return;
    }
    const columns = names.map((_, column) => getColumn(Db, result, column));
    for (let row = 0; row < nRows; row++)
        yield makeRow(names, columns.map(column => column[row]));
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

// What the database said beyond the text travels with the error, as its info (a Db.ErrorInfo).
async function informed(connection, promise) {
    try {
        return await promise;
    } catch (error) {
        const info = connection.get_last_error_info();
        // Of several calls that wait their turn on a connection, the last error is not that of each.
        error.info = info && error.message.includes(info.get_message() ?? '') ? info : null;
        throw error;
    }
}

function makeRows(Db, rows) {
    const params = Db.Params.new();
    let n = 0;
    for (const row of rows) {
        n++;
        if (!Array.isArray(row))
            throw new TypeError(`row ${n} has to be an array of values`);
        row.forEach((value, i) => addValue(Db, params, value, i + 1));
        params.next_row();
    }
    return params;
}

// Each statement is a text, or an array of a text and its values.
function makeBatch(Db, statements) {
    if (typeof statements === 'string')
        throw new TypeError('a batch is an array of statements, not one text');
    const batch = Db.Batch.new();
    let n = 0;
    for (const statement of statements) {
        const [sql, ...values] = Array.isArray(statement) ? statement : [statement];
        n++;
        if (typeof sql !== 'string')
            throw new TypeError(`statement ${n} of the batch has to be a text, or an array of a text and its values`);
        batch.add_params(sql, Db.Params.of(...values));
    }
    return batch;
}

async function* iterateCursor() {
    let rows;
    do {
        rows = await informed(this.get_connection(), this.fetch_async(null));
        yield* rows;
    } while (rows.get_n_rows() > 0);
}

function* iterateResults() {
    for (let i = 0; i < this.get_n_statements(); i++) {
        let outcome;
        try {
            outcome = this.get_result(i);
        } catch (error) {
            outcome = error;
        }
        yield outcome;
    }
}

function overrideConnection(Db) {
    // await conn.queryArgs('SELECT … WHERE id = $1', 7)
    Db.Connection.prototype.queryArgs = function (sql, ...values) {
        return informed(this, this.query_params_async(sql, Db.Params.of(...values), null));
    };

    Db.Connection.prototype.executeArgs = function (sql, ...values) {
        return informed(this, this.execute_params_async(sql, Db.Params.of(...values), null));
    };

    // await conn.executeMany('INSERT … VALUES ($1, $2)', [[1, 'one'], [2, 'two']])
    Db.Connection.prototype.executeMany = function (sql, rows) {
        return informed(this, this.execute_many_async(sql, makeRows(Db, rows), null));
    };

    // The results of different statements: [['INSERT … VALUES ($1)', 7], 'SELECT …']
    Db.Connection.prototype.runBatch = function (statements, flags = Db.BatchFlags.NONE) {
        return informed(this, this.run_batch_async(makeBatch(Db, statements), flags, null));
    };

    // for await (const {id, name} of conn.rows('SELECT …', …)), some rows at a time
    Db.Connection.prototype.rows = async function* (sql, ...values) {
        const cursor = await informed(this,
            this.open_cursor_params_async(sql, Db.Params.of(...values), CURSOR_BATCH, null));
        try {
            yield* cursor;
        } finally {
            if (!this.is_released())
                await cursor.close_async(null);
        }
    };

    // for await (const row of cursor)
    Db.Cursor.prototype[Symbol.asyncIterator] = iterateCursor;

    // for (const result of results): of a statement that failed, the error
    Db.BatchResult.prototype[Symbol.iterator] = iterateResults;

    // Commits when the function returns, rolls back when it throws.
    Db.Connection.prototype.withTransaction = async function (func,
        isolation = Db.Isolation.DEFAULT, flags = Db.TransactionFlags.NONE) {
        const transaction = await informed(this, this.begin_async(isolation, flags, null));
        try {
            const value = await func(transaction);
            if (transaction.is_open())
                await informed(this, transaction.commit_async(null));
            return value;
        } catch (error) {
            // Also of a commit: SQLite keeps open what a constraint or a lock keeps from committing.
            if (transaction.is_open()) {
                // The pool rolls back what is returned in a transaction; the first error counts.
                await transaction.rollback_async(null).catch(() => {});
            }
            throw error;
        }
    };
}

// As db_pool_transact() does.
const MAX_ATTEMPTS = 10;
const FIRST_PAUSE = 10; // milliseconds
const LAST_PAUSE = 500;

function sleep(milliseconds) {
    return new Promise(resolve => {
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
            resolve();
            return GLib.SOURCE_REMOVE;
        });
    });
}

function mayRetry(Db, error, attempt) {
    return error instanceof GLib.Error && error.matches(Db.Error, Db.Error.SERIALIZATION) &&
        attempt < MAX_ATTEMPTS;
}

function overrideTransact(Db) {
    // Calls func(connection) in a transaction, commits, and gives what it returned. A transaction that
    // loses against another one is tried again, so the function has to do everything anew.
    Db.Pool.prototype.transact = async function (func,
        isolation = Db.Isolation.DEFAULT, flags = Db.TransactionFlags.NONE) {
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.withConnection(connection =>
                    connection.withTransaction(() => func(connection), isolation, flags));
            } catch (error) {
                if (!mayRetry(Db, error, attempt))
                    throw error;
            }
            await sleep(Math.random() * Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LAST_PAUSE));
        }
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

    Db.Pool.prototype.executeMany = function (sql, rows) {
        return this.withConnection(connection => connection.executeMany(sql, rows));
    };

    Db.Pool.prototype.runBatch = function (statements, flags = Db.BatchFlags.NONE) {
        return this.withConnection(connection => connection.runBatch(statements, flags));
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
    overrideTransact(Db);
}
