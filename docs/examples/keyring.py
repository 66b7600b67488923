#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: keyring.py URI

Logs in to PostgreSQL with a password from the user's keyring, which is asked each time that a session is
opened: a password that was changed there is used from the next session on. Store it with
`secret-tool store --label="The shop's database" database shop user anna`.
"""

import sys

import gi

gi.require_version("Db", "1.0")
gi.require_version("Secret", "1")
from gi.repository import Db, Secret

SCHEMA = Secret.Schema.new(
    "org.example.Shop.Database",
    Secret.SchemaFlags.DONT_MATCH_NAME,
    {"database": Secret.SchemaAttributeType.STRING, "user": Secret.SchemaAttributeType.STRING},
)


def take_password(pool, config):
    which = {"database": config.props.database, "user": config.props.username}
    password = Secret.password_lookup_sync(SCHEMA, which, None)
    if password is None:
        raise LookupError(f"the keyring has no password for {which}")
    config.set_password(password)


def main(uri):
    with Db.PoolFactory().create_pool(uri, Db.PoolConfig(lazy=True), None) as pool:
        pool.set_hook(Db.Hook.BEFORE_CONNECT, take_password)
        print("logged in as", pool.query("SELECT current_user")[0][0])


if __name__ == "__main__":
    main(*sys.argv[1:])
