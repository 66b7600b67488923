// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// What makes dbpool's typelib feel like JavaScript. GJS loads this file by itself when a program imports
// gi://Db. It makes the asynchronous pairs return promises, adds parameters given as plain arguments,
// rows as objects, and helpers that give back what they borrowed: GJS collects garbage late, so a
// connection that is only dropped stays out of its pool for a long time.
//
// docs/javascript.md is the guide.

/* exported _init */

const {Gio, GLib} = imports.gi;

const PAIRS = {
    Connection: ['begin', 'execute', 'execute_params', 'execute_script', 'query', 'query_params'],
    Pool: ['acquire', 'acquire_full', 'close', 'execute', 'query'],
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
    overridePool(Db);
}
