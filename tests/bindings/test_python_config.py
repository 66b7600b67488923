# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Configurations and the factory from Python: the environment, key files, GSettings, other schemes.

test_python_config.py sqlite | postgres. Prints TAP."""

import asyncio
import contextlib
import gc
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import weakref
from pathlib import Path
from unittest import mock

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, Gio, GLib
from story import BACKEND, Story, main

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "examples" / "pool.gschema.xml"


def key_file(text):
    keys = GLib.KeyFile()
    keys.load_from_bytes(GLib.Bytes(text.encode()), GLib.KeyFileFlags.KEEP_COMMENTS)
    return keys


class TestSources(Story):
    def test_environment(self):
        with mock.patch.dict(os.environ):
            for name in list(os.environ):
                if name.startswith(("PG", "DBPOOL_", "DATABASE_URL")):
                    del os.environ[name]
            os.environ["SHOP_HOST"] = "db.example.org"
            os.environ["SHOP_PASSWORD"] = "geheim"
            os.environ["SHOP_POOL_IDLE_TIMEOUT"] = "90s"
            database = Db.DatabaseConfig.new_from_env("SHOP")
            self.assertEqual(database.to_string(), "postgresql://db.example.org/")
            config = Db.PoolConfig.new_from_env("SHOP")
            self.assertEqual(config.props.idle_timeout, 90_000_000)
            os.environ["DBPOOL_MAX_CONNECTIONS"] = "ten"
            error = self.assertError(Db.Error.CONFIGURATION, Db.PoolConfig.new_from_env, None)
            self.assertIn("environment variable DBPOOL_MAX_CONNECTIONS", error.message)
            self.assertEqual(Db.DatabaseConfig.new_from_env(None).to_string(), "postgresql:///")
            # the prefix can be left out
            self.assertEqual(Db.DatabaseConfig.new_from_env().to_string(), "postgresql:///")

    def test_key_file(self):
        keys = key_file("[shop]\n# mine\nhosts=a:1;b;\npassword=geheim\nmax-uses=7\n")
        database = Db.DatabaseConfig.new_from_key_file(keys, "shop")
        config = Db.PoolConfig.new_from_key_file(keys, "shop")
        self.assertEqual(database.props.hosts, ["a:1", "b"])
        self.assertEqual(config.props.max_uses, 7)
        database.props.database = "shop"
        config.props.idle_timeout = 1500
        database.to_key_file(keys, "shop")
        config.to_key_file(keys, "shop")
        self.assertEqual(keys.get_string("shop", "idle-timeout"), "1500us")
        self.assertEqual(keys.get_string("shop", "database"), "shop")
        self.assertIn("# mine", keys.to_data()[0])
        database.to_key_file(keys, "new")
        self.assertFalse("password" in keys.get_keys("new")[0])
        keys.set_string("shop", "colour", "red")
        for read in Db.DatabaseConfig.new_from_key_file, Db.PoolConfig.new_from_key_file:
            error = self.assertError(Db.Error.CONFIGURATION, read, keys, "shop")
            self.assertIn("key colour of group [shop]", error.message)
            self.assertNotIn("geheim", error.message)

    def test_password(self):
        database = Db.DatabaseConfig(password_file="/run/secrets/shop")
        self.assertEqual(database.props.password_file, "/run/secrets/shop")
        reading, writing = os.pipe()
        os.write(writing, b"geheim\n")
        os.close(writing)
        self.assertTrue(database.read_password(reading))
        self.assertError(Db.Error.CONFIGURATION, database.read_password, reading)
        os.close(reading)

    @unittest.skipUnless(shutil.which("glib-compile-schemas"), "there is no glib-compile-schemas")
    def test_settings(self):
        with tempfile.TemporaryDirectory(prefix="dbpool-python-") as folder:
            shutil.copy(SCHEMA, folder)
            subprocess.run(["glib-compile-schemas", "--strict", folder], check=True)
            source = Gio.SettingsSchemaSource.new_from_directory(folder, None, False)
            schema = source.lookup("org.example.Shop.pool", False)
        backend = Gio.memory_settings_backend_new()
        self.assertIsNotNone(schema.get_path())  # without one Gio.Settings.new() ends the program
        settings = Gio.Settings.new_full(schema, backend, None)
        # while it runs
        pool_config = self.pool.get_config()
        self.assertTrue(pool_config.bind_settings(settings))
        self.assertEqual(pool_config.props.max_connections, 10)
        settings.set_uint("max-connections", 3)
        settings.set_string("keepalive", "2min")
        self.assertEqual(pool_config.props.max_connections, 3)
        self.assertEqual(pool_config.props.keepalive, 120_000_000)


class TestFactory(Story):
    def make_manager(self):
        return Db.PoolFactory().create_manager(self.uri, None)

    def test_lazy(self):
        config = Db.PoolConfig(lazy=True)
        with Db.PoolFactory().create_pool(self.uri, config, None) as pool:
            self.assertEqual(pool.get_stats().get_total(), 0)
            self.assertEqual(pool.query("SELECT 1")[0][0], 1)
        with asyncio.run(Db.PoolFactory().create_pool_awaitable(self.uri, config)) as pool:
            self.assertEqual(pool.get_stats().get_total(), 0)

    def test_awaitable(self):
        factory = Db.PoolFactory()
        if self.uri.startswith("sqlite:"):
            created = factory.create_sqlite_pool_awaitable(":memory:", Db.PoolConfig(name="it"))
        else:
            database = Db.DatabaseConfig.new_from_uri(self.uri)
            created = factory.create_postgres_pool_awaitable(database, Db.PoolConfig(name="it"))
        with asyncio.run(created) as pool:
            self.assertEqual((pool.get_name(), pool.query("SELECT 1")[0][0]), ("it", 1))

    def test_register(self):
        uris = []

        def make(uri, *data):
            uris.append((uri, *data))
            return self.make_manager()

        factory = Db.PoolFactory()
        self.assertTrue(factory.register("mydb", make))
        self.assertTrue(factory.register("other", make, "data"))
        with factory.create_pool("mydb:x?pool_max_connections=1&a=b", None, None) as pool:
            self.assertEqual(pool.query("SELECT 1")[0][0], 1)
            self.assertEqual(pool.get_config().props.max_connections, 1)
        with factory.create_pool("other:y", None, None) as pool:
            self.assertEqual(pool.query("SELECT 1")[0][0], 1)
        with asyncio.run(factory.create_pool_awaitable("mydb:z")) as pool:
            self.assertEqual(pool.query("SELECT 1")[0][0], 1)
        self.assertEqual(uris, [("mydb:x?a=b",), ("other:y", "data"), ("mydb:z",)])
        for scheme in "sqlite", "POSTGRESQL", "mydb", "not a scheme":
            self.assertError(Db.Error.CONFIGURATION, factory.register, scheme, make)

    def test_register_failures(self):
        def refuse(uri):
            raise GLib.Error.new_literal(
                Db.error_quark(), "no such thing", Db.Error.AUTHENTICATION
            )

        def break_down(uri):
            raise ValueError("a mistake")

        factory = Db.PoolFactory()
        for name, function in [
            ("refuse", refuse),
            ("broken", break_down),
            ("nothing", lambda uri: None),
        ]:
            factory.register(name, function)
        error = self.assertError(
            Db.Error.AUTHENTICATION, factory.create_pool, "refuse:x", None, None
        )
        self.assertEqual(error.message, "no such thing")
        with contextlib.redirect_stderr(io.StringIO()):
            error = self.assertError(
                Db.Error.FAILED, factory.create_pool, "broken:x", None, None
            )
        self.assertIn("“broken” failed without an error", error.message)
        self.assertError(Db.Error.FAILED, factory.create_manager, "nothing:x", None)

    def test_register_odd_managers(self):
        one = self.make_manager()

        def make_closed_pool(uri):
            pool = Db.PoolFactory().create_pool(self.uri, None, None)
            pool.close()
            return pool

        factory = Db.PoolFactory()
        for name, function in [
            ("same", lambda uri: one),
            ("pool", lambda uri: Db.PoolFactory().create_pool(self.uri, None, None)),
            ("closed", make_closed_pool),
            ("text", lambda uri: "a manager"),
            ("object", lambda uri: Db.PoolConfig()),
            ("itself", lambda uri: factory.create_pool("itself:x", Db.PoolConfig(lazy=True), None)
             if len(depth) < 3 and not depth.append(uri) else None),
        ]:
            factory.register(name, function)
        depth = []

        # One manager for two pools: they have their sessions to themselves.
        with factory.create_pool("same:1", None, None) as first:
            with factory.create_pool("same:2", None, None) as second:
                self.assertEqual(second.query("SELECT 1")[0][0], 1)
            self.assertError(Db.Error.CLOSED, second.query, "SELECT 1")
            self.assertEqual(first.query("SELECT 2")[0][0], 2)
        with factory.create_pool("pool:x", None, None) as quota:
            self.assertEqual(quota.query("SELECT 1")[0][0], 1)
        self.assertError(Db.Error.CLOSED, factory.create_pool, "closed:x", None, None)
        with contextlib.redirect_stderr(io.StringIO()):
            for name in "text", "object", "itself":
                error = self.assertError(
                    Db.Error.FAILED, factory.create_pool, f"{name}:x", None, None
                )
                self.assertIn(f"“{name}”", error.message)

    def test_register_keeps_its_function(self):
        def make(uri):
            return self.make_manager()

        alive = weakref.ref(make)
        factory = Db.PoolFactory()
        factory.register("mydb", make)
        del make
        gc.collect()
        factory.create_pool("mydb:x", None, None).close()
        self.assertIsNotNone(alive())
        del factory
        gc.collect()
        self.assertIsNone(alive())

    @unittest.skipUnless(BACKEND == "postgres", "SQLite has no password")
    def test_password_file(self):
        uri = os.environ["DBPOOL_TEST_POSTGRES_TCP_URI"]
        parsed = GLib.Uri.parse(uri, GLib.UriFlags.HAS_PASSWORD)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as secret:
            secret.write(parsed.get_password() + "\n")
            secret.flush()
            database = Db.DatabaseConfig(
                hosts=[f"{parsed.get_host()}:{parsed.get_port()}"],
                username=parsed.get_user(),
                database=parsed.get_path().lstrip("/"),
                password_file=secret.name,
            )
            with Db.PoolFactory().create_postgres_pool(database, None, None) as pool:
                self.assertEqual(pool.query("SELECT 1")[0][0], 1)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
