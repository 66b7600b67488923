# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Health checks and watches from Python, with managers that are written in it, too.

test_health.py sqlite | postgres. Prints TAP."""

import asyncio
import gc
import json
import sys
import weakref

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, Gio, GLib, GObject
from story import Story, main


class Manager(GObject.Object, Db.ConnectionManager):
    """Another manager with facts of its own."""

    def __init__(self, uri):
        super().__init__()
        self.inner = Db.PoolFactory().create_manager(uri, None)
        self.facts = {}

    def do_open_session(self, cancellable):
        return self.inner.open_session(cancellable)

    def do_check_session(self, session, cancellable):
        return self.inner.check_session(session, cancellable)

    def do_reset_session(self, session, level, cancellable):
        return self.inner.reset_session(session, level, cancellable)

    def do_close_session(self, session):
        self.inner.close_session(session)

    def do_get_facts(self, session, flags, cancellable):
        if isinstance(self.facts, Exception):
            raise self.facts
        return GLib.Variant("a{sv}", self.facts)


class TestHealth(Story):
    def test_check(self):
        checker = Db.HealthChecker.new(self.pool)
        before = self.pool.get_stats().get_requests()
        report = checker.check()
        self.assertEqual(report.get_status(), Db.HealthStatus.HEALTHY)
        self.assertEqual((report.get_reasons(), report.get_codes()), ([], []))
        self.assertTrue(report.get_answered())
        self.assertGreaterEqual(report.get_round_trip(), 0)
        self.assertGreaterEqual(report.get_success_age(), 0)
        self.assertGreaterEqual(report.get_duration(), report.get_round_trip())
        self.assertLess(abs(report.get_time() - GLib.get_real_time()), 60_000_000)
        self.assertEqual(report.get_pool_name(), self.pool.get_name())
        self.assertIn(":", report.get_database())
        self.assertFalse(report.get_facts().unpack()["read-only"])
        self.assertEqual(report.get_stats().get_idle(), 1)
        self.assertIsNone(report.dup_error())
        self.assertIn(" is healthy: answered in ", report.to_string())
        document = json.loads(report.to_json())
        self.assertEqual((document["status"], document["reasons"]), ("healthy", []))
        self.assertEqual(self.pool.get_stats().get_requests(), before)

    def test_all_lent(self):
        checker = Db.HealthChecker(pool=self.pool, timeout=20_000)
        with self.pool.acquire(), self.pool.acquire():
            report = checker.check()
        self.assertEqual(report.get_status(), Db.HealthStatus.DEGRADED)
        self.assertTrue(report.has_reason("no-session"))
        self.assertFalse(report.get_answered())
        self.assertEqual(json.loads(report.to_json())["round_trip_ms"], None)

    def test_async(self):
        checker = Db.HealthChecker.new(self.pool)
        loop = GLib.MainLoop()
        seen = []

        def done(checker, result):
            seen.append(checker.check_finish(result))
            loop.quit()

        checker.check_async(None, done)
        loop.run()
        self.assertEqual(seen[0].get_status(), Db.HealthStatus.HEALTHY)

    def test_awaitable(self):
        report = asyncio.run(Db.HealthChecker.new(self.pool).check_awaitable())
        self.assertEqual(report.get_status(), Db.HealthStatus.HEALTHY)

    def test_cancelled(self):
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        with self.assertRaises(GLib.Error) as caught:
            Db.HealthChecker.new(self.pool).check(cancellable)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))

    def test_watch(self):
        checker = Db.HealthChecker(pool=self.pool, interval=1000, fall=1, rise=1)
        self.assertEqual(checker.get_status(), Db.HealthStatus.UNKNOWN)
        self.assertIsNone(checker.dup_report())
        loop = GLib.MainLoop()
        seen = []

        def changed(checker, _):
            seen.append(checker.props.status.value_nick)
            loop.quit()

        checker.connect("notify::status", changed)
        checker.start()
        loop.run()
        self.pool.suspend()
        loop.run()
        self.assertEqual(checker.props.report.get_codes(), ["suspended"])
        self.pool.resume()
        loop.run()
        self.assertTrue(checker.is_watching())
        self.pool.execute("DROP TABLE dbpool_python")
        self.pool.close()
        loop.run()
        self.assertEqual(seen, ["healthy", "degraded", "healthy", "unhealthy"])
        self.assertFalse(checker.is_watching())
        checker.stop()

    def test_nothing_is_kept(self):
        checker = Db.HealthChecker.new(self.pool)
        checker.start()
        gone = weakref.ref(checker)
        del checker
        gc.collect()
        self.assertIsNone(gone())


class TestManagers(Story):
    def test_facts(self):
        manager = Manager(self.uri)
        manager.facts = {
            "moon": GLib.Variant("s", "full"),
            "degraded": GLib.Variant("a{ss}", {"tired": "it is tired"}),
        }
        with Db.Pool.new(manager, None) as pool:
            checker = Db.HealthChecker.new(pool)
            report = checker.check()
            self.assertEqual(report.get_facts().unpack(), {"moon": "full"})
            self.assertEqual(report.get_codes(), ["tired"])
            self.assertEqual(report.get_reasons(), ["it is tired"])
            self.assertEqual(report.get_status(), Db.HealthStatus.DEGRADED)
            manager.facts = GLib.Error("no idea", "db-error-quark", Db.Error.QUERY)
            report = checker.check()
            self.assertEqual(report.get_codes(), ["facts"])
            self.assertIsNotNone(report.dup_error())

    def test_facts_of_a_manager(self):
        manager = Db.PoolFactory().create_manager(self.uri, None)
        session = manager.open_session(None)
        try:
            facts = manager.get_facts(session, Db.HealthFlags.QUICK_CHECK, None)
            self.assertIn("version", facts.unpack())
        finally:
            manager.close_session(session)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
