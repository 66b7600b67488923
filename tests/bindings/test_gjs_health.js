// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

// Health checks and a watch from JavaScript, on SQLite in memory. Prints TAP.

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

async function story() {
    const pool = new Db.PoolFactory().create_pool('sqlite::memory:', null, null);
    const checker = Db.HealthChecker.new(pool);

    const report = checker.check(null);
    check('a check', report.get_status() === Db.HealthStatus.HEALTHY && report.get_answered());
    check('its line', JSON.parse(report.to_json()).status === 'healthy');
    check('its facts', report.get_facts().deepUnpack()['read-only'].unpack() === false);
    pool.suspend();
    check('its codes', (await checker.check_async(null)).get_codes().join() === 'suspended');
    pool.resume();

    checker.interval = 1000;
    checker.rise = 1;
    const statuses = [];
    await new Promise(resolve => {
        checker.connect('notify::status', () => {
            statuses.push(checker.status);
            if (checker.status === Db.HealthStatus.HEALTHY)
                pool.close(0, null);
            else
                resolve();
        });
        checker.start();
    });
    check('a watch', statuses.join() === [Db.HealthStatus.HEALTHY, Db.HealthStatus.UNHEALTHY].join());
    check('and its end', !checker.is_watching());
}

story().catch(e => {
    printerr(e, e.stack);
    failed = true;
}).finally(() => loop.quit());
loop.run();

print(`1..${n}`);
System.exit(failed ? 1 : 0);
