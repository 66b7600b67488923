// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// Configurations and the factory from JavaScript: the environment, key files, another scheme. Prints TAP.

import Db from 'gi://Db?version=1.0';
import GLib from 'gi://GLib';
import System from 'system';

const loop = GLib.MainLoop.new(null, false);
let n = 0;
let failed = false;

function check(what, good) {
    print(`${good ? 'ok' : 'not ok'} ${++n} ${what}`);
    failed ||= !good;
}

function refused(code, call) {
    try {
        call();
        return null;
    } catch (e) {
        return e.matches(Db.Error, code) ? e.message : null;
    }
}

function environment() {
    GLib.setenv('SHOP_HOST', 'db.example.org', true);
    GLib.setenv('SHOP_PASSWORD', 'geheim', true);
    GLib.setenv('SHOP_POOL_LAZY', 'true', true);
    check('a database from the environment',
        Db.DatabaseConfig.new_from_env('SHOP').to_string() === 'postgresql://db.example.org/');
    check('nobody has refused it', Db.DatabaseConfig.new_from_env('SHOP').was_refused() === false);
    check('a pool from the environment', Db.PoolConfig.new_from_env('SHOP').lazy);
    GLib.setenv('SHOP_POOL_LAZY', 'maybe', true);
    check('a bad variable is named',
        refused(Db.Error.CONFIGURATION, () => Db.PoolConfig.new_from_env('SHOP'))
            ?.includes('environment variable SHOP_POOL_LAZY'));
}

function keyFiles() {
    const keys = new GLib.KeyFile();
    keys.load_from_bytes(new GLib.Bytes('[shop]\nhosts=a:1;b;\nmax-uses=7\n'), GLib.KeyFileFlags.NONE);
    const database = Db.DatabaseConfig.new_from_key_file(keys, 'shop');
    const config = Db.PoolConfig.new_from_key_file(keys, 'shop');
    check('a group is read', database.hosts.join() === 'a:1,b' && config.max_uses === 7);
    config.name = 'shop';
    config.to_key_file(keys, 'shop');
    check('and written', keys.get_string('shop', 'name') === 'shop');
    keys.set_string('shop', 'colour', 'red');
    check('an unknown key is named',
        refused(Db.Error.CONFIGURATION, () => Db.PoolConfig.new_from_key_file(keys, 'shop'))
            ?.includes('key colour of group [shop]'));
}

async function otherSchemes() {
    const factory = new Db.PoolFactory();
    const uris = [];
    factory.register('mydb', uri => {
        uris.push(uri);
        return new Db.SqliteManager({path: ':memory:'});
    });
    const pool = await factory.create_pool_async('mydb:x?pool_max_connections=1', null, null);
    check('a scheme of one\'s own', [...pool.query('SELECT 1 AS one', null, null)][0].one === 1 &&
        uris.join() === 'mydb:x' && pool.get_config().max_connections === 1);
    pool.close(0, null);
    factory.register('throws', () => {
        throw new Error('a mistake');
    });
    factory.register('nothing', () => null);
    let thrown = null;
    try {
        factory.create_pool('throws:x', null, null);
    } catch (e) {
        thrown = e.message;
    }
    check('what a function throws is the error', thrown?.includes('a mistake'));
    check('one that returns nothing',
        refused(Db.Error.FAILED, () => factory.create_pool('nothing:x', null, null))?.includes('“nothing”'));
    check('dbpool\'s own are refused',
        refused(Db.Error.CONFIGURATION, () => factory.register('sqlite', () => null)) !== null);
}

async function story() {
    environment();
    keyFiles();
    await otherSchemes();
}

story().catch(e => {
    printerr(e, e.stack);
    failed = true;
}).finally(() => loop.quit());
loop.run();

print(`1..${n}`);
System.exit(failed ? 1 : 0);
