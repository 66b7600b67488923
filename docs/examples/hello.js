#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: 2026 The dbpool authors

import Db from 'gi://Db?version=1.0';
import System from 'system';

const uri = System.programArgs[0] ?? 'sqlite:hello.db';
const pool = await new Db.PoolFactory().create_pool_async(uri, null, null);

for (const {answer} of await pool.queryArgs('SELECT 6 * $1 AS answer', 7))
    print(`answer = ${answer}`);
await pool.close_async(1000000, null);
