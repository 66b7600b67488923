# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Passwords from Python: providers, files that change, and what is refused.

test_security.py postgres, with a server that wants a password over TCP. Prints TAP."""

import contextlib
import io
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, GLib
from story import Story, main

SECRET = "Geh3imnis"


class SecurityStory(Story):
    """A role of the test's own, whose password the test changes."""

    role = "dbpool_security"

    def setUp(self):
        super().setUp()
        self.pool.execute(f"DROP ROLE IF EXISTS {self.role}")
        self.pool.execute(f"CREATE ROLE {self.role} LOGIN PASSWORD '{SECRET}1'")
        self.addCleanup(lambda: self.owner(f"DROP ROLE {self.role}"))

    def owner(self, sql):
        """Runs SQL as the owner of the database, whatever has become of the pool of the story."""
        with Db.PoolFactory().create_pool(self.uri, None, None) as pool:
            pool.execute(sql)

    def change_password(self, password):
        self.owner(f"ALTER ROLE {self.role} PASSWORD '{password}'")

    def tcp_config(self):
        tcp = os.environ["DBPOOL_TEST_POSTGRES_TCP_URI"]
        return Db.DatabaseConfig.new_from_uri(re.sub("//[^@]*@", f"//{self.role}@", tcp))

    def make_pool(self, provider=None, config=None, **settings):
        settings.setdefault("max_connections", 3)
        manager = Db.PostgresManager.new(config or self.tcp_config())
        pool = Db.Pool.new(manager, Db.PoolConfig(**settings))
        if provider is not None:
            pool.set_hook(Db.Hook.BEFORE_CONNECT, provider)
        self.addCleanup(lambda: pool.is_closed() or pool.close())
        return pool

    def assertNoSecret(self, *texts):
        for text in texts:
            self.assertNotIn(SECRET, text)


class TestProvider(SecurityStory):
    def test_rotation(self):
        vault = [f"{SECRET}1"]
        asked = []

        def provide(pool, config):
            asked.append(config.was_refused())
            config.set_password(vault[-1])

        pool = self.make_pool(provide)
        with pool.acquire() as old:
            self.change_password(f"{SECRET}2")
            vault.append(f"{SECRET}2")
            with pool.acquire() as new:
                self.assertEqual(old.query("SELECT current_user")[0][0], self.role)
                self.assertEqual(new.query("SELECT current_user")[0][0], self.role)
        self.assertEqual(asked, [False, False])
        self.assertNoSecret(pool.dump())

    def test_a_kept_token_is_renewed(self):
        # The provider keeps what it got until it hears that it is no longer good.
        fetched = []
        kept = None

        def provide(pool, config):
            nonlocal kept
            if kept is None or config.was_refused():
                kept = f"{SECRET}{len(fetched) + 1}"
                fetched.append(kept)
            config.set_password(kept)

        pool = self.make_pool(provide)
        with pool.acquire():
            self.change_password(f"{SECRET}2")
            with pool.acquire() as conn:
                self.assertEqual(conn.query("SELECT 1")[0][0], 1)
        self.assertEqual(len(fetched), 2)
        self.assertEqual(pool.get_stats().get_create_failed(), 0)

    def test_refused(self):
        asked = []

        def provide(pool, config):
            asked.append(config.was_refused())
            config.set_password(f"{SECRET} of yesterday")

        pool = self.make_pool(provide)
        error = self.assertError(Db.Error.AUTHENTICATION, pool.acquire)
        self.assertEqual(asked, [False, True])
        self.assertIn("check username and password", error.message)
        self.assertNoSecret(error.message, pool.dump(), pool.dup_open_error().message)

    def test_failures(self):
        def raise_key_error(pool, config):
            raise KeyError("the vault")

        def raise_error(pool, config):
            raise GLib.Error.new_literal(Db.error_quark(), "the vault is sealed", Db.Error.CONFIGURATION)

        def give_none(pool, config):
            config.set_password(None)

        def give_zero(pool, config):
            config.set_password(f"{SECRET}1\0more")

        def give_a_number(pool, config):
            config.set_password(17)

        for provider, code, words in (
            (raise_key_error, Db.Error.FAILED, "failed without an error"),
            (raise_error, Db.Error.CONFIGURATION, "the vault is sealed"),
            (lambda pool, config: False, Db.Error.FAILED, "failed without an error"),
            (give_none, Db.Error.AUTHENTICATION, "set the password"),
            (give_zero, Db.Error.FAILED, "failed without an error"),
            (give_a_number, Db.Error.FAILED, "failed without an error"),
        ):
            with self.subTest(words=words, provider=provider.__name__):
                pool = self.make_pool(provider)
                with contextlib.redirect_stderr(io.StringIO()):
                    error = self.assertError(code, pool.acquire)
                self.assertIn(words, error.message)
                self.assertNoSecret(error.message)

    def test_hangs(self):
        let_go = threading.Event()

        def provide(pool, config):
            let_go.wait()
            config.set_password(f"{SECRET}1")

        pool = self.make_pool(provide)
        self.assertError(Db.Error.TIMEOUT, pool.acquire, timeout=0.1)
        let_go.set()
        with pool.acquire() as conn:
            self.assertEqual(conn.query("SELECT 1")[0][0], 1)


class TestPasswords(SecurityStory):
    def test_write_only(self):
        config = self.tcp_config()
        config.set_password(SECRET)
        self.assertRaises(TypeError, lambda: config.props.password)
        self.assertRaises(TypeError, config.get_property, "password")
        self.assertNoSecret(config.to_string(), repr(config), str(config.props.options))
        self.assertFalse(config.was_refused())

    def test_password_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "password")
            path.write_text(f"{SECRET}1\n", encoding="utf-8")
            config = self.tcp_config()
            config.props.password_file = str(path)
            pool = self.make_pool(config=config)
            with pool.acquire():
                self.change_password(f"{SECRET}2")
                path.write_text(f"{SECRET}2\n", encoding="utf-8")
                with pool.acquire() as conn:
                    self.assertEqual(conn.query("SELECT 1")[0][0], 1)
            for text, words in ((SECRET, "28P01"), ("", "it is empty"), ("a\nb\n", "more than one line")):
                path.write_text(text, encoding="utf-8")
                with self.subTest(words=words):
                    pool = self.make_pool(config=config)
                    with self.assertRaises(GLib.Error) as caught:
                        pool.acquire()
                    self.assertIn(words, caught.exception.message)
                    self.assertNoSecret(caught.exception.message)

    def test_zero_bytes(self):
        config = self.tcp_config()
        self.assertRaises(ValueError, config.set_password, "a\0b")
        error = self.assertError(
            Db.Error.CONFIGURATION, Db.DatabaseConfig.new_from_uri, f"postgresql://a:{SECRET}%00@b/c"
        )
        self.assertNoSecret(error.message)

    def test_tls_is_asked_for(self):
        config = self.tcp_config()
        config.set_property("ssl-mode", Db.SslMode.VERIFY_FULL)
        config.set_password(f"{SECRET}1")
        error = self.assertError(Db.Error.CONFIGURATION, self.make_pool(config=config).acquire)
        self.assertIn('ssl-mode (it is "verify-full")', error.message)
        self.assertNoSecret(error.message)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
