# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Running a pool from Python: hooks, control, signals, managers, threads, garbage.

test_python_pool.py sqlite | postgres. Prints TAP."""

import asyncio
import contextlib
import gc
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import unittest
import weakref

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, Gio, GLib, GObject
from story import BACKEND, Story, main

PATIENCE = 30  # seconds for what takes milliseconds on a machine that is not busy


def wait_until(condition, what="it"):
    """Runs the main context, where signals are emitted, until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if not GLib.MainContext.default().iteration(False):
            time.sleep(0.001)
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {PATIENCE} s")


class PoolStory(Story):
    """Besides the pool of the story, pools of a test's own."""

    def make_manager(self):
        return Db.PoolFactory().create_manager(self.uri, None)

    def make_pool(self, manager=None, **settings):
        settings.setdefault("max_connections", 2)
        pool = Db.Pool.new(manager or self.make_manager(), Db.PoolConfig(**settings))
        self.addCleanup(lambda: pool.is_closed() or pool.close())
        return pool


class TestHooks(PoolStory):
    def test_after_connect(self):
        seen = []
        pool = self.make_pool()

        def hook(*args):
            seen.append((threading.get_ident(), args))
            args[1].execute_script("CREATE TEMP TABLE of_the_hook (id int)")
            return True

        pool.set_hook(Db.Hook.AFTER_CONNECT, hook)
        for i in range(3):
            with pool.acquire() as conn:
                self.assertEqual(len(conn.query("SELECT id FROM of_the_hook")), 0)
        with pool.acquire() as first, pool.acquire() as second:
            self.assertNotEqual(first.get_id(), second.get_id())
        self.assertEqual(len(seen), 2)
        for thread, (its_pool, conn) in seen:
            self.assertNotEqual(thread, threading.get_ident())
            self.assertIs(its_pool, pool)
            self.assertIsInstance(conn, Db.Connection)
            self.assertError(Db.Error.RELEASED, conn.query, "SELECT 1")

    def test_before_acquire_and_data(self):
        seen = []
        pool = self.make_pool()
        pool.set_hook(Db.Hook.BEFORE_ACQUIRE, lambda *args: seen.append(args[2:]), "a", 2)
        for i in range(3):
            pool.query("SELECT 1")
        self.assertEqual(seen, [("a", 2)] * 3)

    def test_before_connect(self):
        seen = []

        def hook(pool, config):
            seen.append(config)
            if BACKEND == "postgres":
                config.props.application_name = f"session {len(seen)}"

        pool = self.make_pool()
        pool.set_hook(Db.Hook.BEFORE_CONNECT, hook)
        with pool.acquire() as first, pool.acquire() as second:
            if BACKEND == "postgres":
                names = {conn.query("SHOW application_name")[0][0] for conn in (first, second)}
                self.assertEqual(names, {"session 1", "session 2"})
        if BACKEND == "sqlite":
            self.assertEqual(seen, [None, None])
        else:
            self.assertTrue(all(isinstance(config, Db.DatabaseConfig) for config in seen))
            self.assertIsNot(seen[0], seen[1])

    def test_rejections(self):
        def out_of_order(*unused):
            raise KeyError("not a GLib.Error")

        def leave(*unused):
            sys.exit(3)

        def refuse(*unused):
            raise GLib.Error.new_literal(Db.error_quark(), "not today", Db.Error.CONFIGURATION)

        for hook in (Db.Hook.BEFORE_CONNECT, Db.Hook.AFTER_CONNECT, Db.Hook.BEFORE_ACQUIRE):
            for func, code, words in (
                (out_of_order, Db.Error.FAILED, "failed without an error"),
                (leave, Db.Error.FAILED, "failed without an error"),
                (lambda *unused: False, Db.Error.FAILED, "failed without an error"),
                (refuse, Db.Error.CONFIGURATION, "not today"),
            ):
                with self.subTest(hook=hook, words=words):
                    pool = self.make_pool()
                    pool.set_hook(hook, func)
                    timeout = None
                    if hook == Db.Hook.BEFORE_ACQUIRE and code == Db.Error.FAILED:
                        # That speaks of one session: the next one may be better.
                        code, timeout = Db.Error.TIMEOUT, 0.2
                    with contextlib.redirect_stderr(io.StringIO()) as printed:
                        error = self.assertError(code, pool.acquire, timeout=timeout)
                    self.assertIn(words, error.message)
                    self.assertIn(hook.value_nick, error.message)
                    self.assertIn(pool.get_name(), error.message)
                    self.assertEqual("KeyError" in printed.getvalue(), func is out_of_order)
                    self.assertEqual("SystemExit" in printed.getvalue(), func is leave)
                    self.assertIn(words, pool.dup_open_error().message)

    def test_another_session_takes_its_place(self):
        asked = []
        pool = self.make_pool()
        pool.set_hook(Db.Hook.BEFORE_ACQUIRE, lambda pool, conn: asked.append(conn.get_id()) or len(asked) != 2)
        pool.query("SELECT 1")
        with pool.acquire() as conn:
            self.assertEqual(conn.get_id(), 2)
        self.assertEqual(asked, [1, 1, 2])
        self.assertEqual(pool.get_stats().dropped[Db.DropReason.INVALID], 1)

    def test_hook_uses_the_pool(self):
        inner = []

        def hook(pool, conn):
            if conn.get_id() == 1:
                with pool.acquire(tag="from the hook") as other:
                    inner.append((other.get_id(), pool.get_stats().lent, "from the hook" in pool.dump()))
            return conn.query("SELECT 1")[0][0] == 1

        pool = self.make_pool()
        pool.set_hook(Db.Hook.AFTER_CONNECT, hook)
        # Whoever asked first gets the second session first, and the hook when it comes back.
        pool.query("SELECT 1")
        wait_until(lambda: inner, "the end of the hook")
        self.assertEqual(inner, [(2, 1, True)])

    def test_own_thread(self):
        # Whoever does not wait asks the hook itself.
        threads = []
        pool = self.make_pool()
        pool.set_hook(Db.Hook.BEFORE_ACQUIRE, lambda *unused: threads.append(threading.get_ident()))
        pool.warm_up(1)
        self.assertEqual(threads, [])
        pool.try_acquire().release()
        pool.acquire(timeout=0).release()
        self.assertEqual(threads, [threading.get_ident()] * 2)

    def test_life_of_the_function(self):
        class Function:
            def __call__(self, pool, subject):
                pass

        pool = self.make_pool()
        functions = [Function() for i in range(3)]
        refs = [weakref.ref(function) for function in functions]
        pool.set_hook(Db.Hook.AFTER_CONNECT, functions[0])
        pool.set_hook(Db.Hook.AFTER_CONNECT, functions[1])
        pool.query("SELECT 1")
        # Too late: a warning, and it is let go.
        pool.set_hook(Db.Hook.AFTER_CONNECT, functions[2])
        del functions
        gc.collect()
        self.assertEqual([ref() is None for ref in refs], [True, False, True])
        self.doCleanups()
        pool.close()
        del pool
        gc.collect()
        wait_until(lambda: refs[1]() is None, "freeing the hook's function")

    def test_many_threads(self):
        # Python's global lock and dbpool's threads: hooks run while all of Python's threads wait in C.
        asked = []
        pool = self.make_pool(max_connections=3)
        pool.set_hook(Db.Hook.AFTER_CONNECT, lambda *unused: asked.append(1))
        pool.set_hook(Db.Hook.BEFORE_ACQUIRE, lambda pool, conn: conn.query("SELECT 1")[0][0] == 1)
        failures = []

        def work():
            try:
                for i in range(100):
                    with pool.acquire() as conn:
                        if i % 10 == 0:
                            conn.evict()
                        conn.query("SELECT $1", i)
            except Exception as e:
                failures.append(e)

        threads = [threading.Thread(target=work) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(failures, [])
        self.assertEqual(pool.get_stats().acquired, 600)
        self.assertEqual(pool.get_stats().dropped[Db.DropReason.EVICTED], 60)
        self.assertGreaterEqual(len(asked), 60)


class TestControl(PoolStory):
    def test_warm_up(self):
        pool = self.make_pool(max_connections=3)
        self.assertEqual(pool.warm_up(2), 2)
        self.assertEqual((pool.get_stats().idle, pool.get_stats().requests), (2, 0))
        self.assertEqual(pool.warm_up(9), 3)
        self.assertIsNone(pool.dup_open_error())
        pool = self.make_pool(manager=self.make_bad_manager())
        error = self.assertError(self.bad_code, pool.warm_up, 2)
        self.assertEqual(pool.dup_open_error().message, error.message)

    bad_code = Db.Error.CONFIGURATION

    def make_bad_manager(self):
        uri = "sqlite:/nonexistent/folder/x.db"
        if BACKEND == "postgres":
            before, mark, after = self.uri.partition("?")
            uri = before.rpartition("/")[0] + "/no_such_database" + mark + after
        return Db.PoolFactory().create_manager(uri, None)

    def test_resize(self):
        with self.pool.acquire(), self.pool.acquire():
            self.assertError(Db.Error.EXHAUSTED, self.pool.try_acquire)
            self.pool.resize(1, 3)
            config = self.pool.get_config()
            self.assertEqual((config.props.min_connections, config.props.max_connections), (1, 3))
            with self.pool.acquire():
                self.assertEqual(self.lent(), 3)
            self.pool.resize(0, 1)
        wait_until(lambda: self.pool.get_stats().total == 1)

    def test_eviction(self):
        with self.pool.acquire() as conn, self.pool.acquire() as other:
            ids = conn.get_id(), other.get_id()
            self.assertEqual(len(set(ids)), 2)
        self.pool.evict_idle()
        wait_until(lambda: self.pool.get_stats().total == 0)
        with self.pool.acquire() as conn:
            id = conn.get_id()
            self.assertNotIn(id, ids)
            self.pool.evict_all()
            conn.query("SELECT 1")
        with self.pool.acquire() as conn:
            self.assertNotEqual(conn.get_id(), id)
            id = conn.get_id()
            conn.evict()
        with self.pool.acquire() as conn:
            self.assertNotEqual(conn.get_id(), id)
            id = conn.get_id()
            for info in self.pool.connections:
                if info.get_id() == id:
                    info.evict()
        with self.pool.acquire() as conn:
            self.assertNotEqual(conn.get_id(), id)

    def test_suspension(self):
        self.pool.suspend()
        self.assertTrue(self.pool.is_suspended())
        self.assertError(Db.Error.SUSPENDED, self.pool.acquire, timeout=0)
        self.assertError(Db.Error.SUSPENDED, self.pool.try_acquire)
        started = time.monotonic()
        self.assertError(Db.Error.TIMEOUT, self.pool.acquire, timeout=0.05)
        self.assertGreaterEqual(time.monotonic() - started, 0.05)
        served = []
        thread = threading.Thread(target=lambda: served.append(self.pool.query("SELECT 7")[0][0]))
        thread.start()
        wait_until(lambda: self.pool.get_stats().waiting == 1)
        self.assertEqual(served, [])
        self.pool.resume()
        thread.join(PATIENCE)
        self.assertEqual(served, [7])
        self.assertFalse(self.pool.is_suspended())

    def test_reconfigure(self):
        self.assertError(self.bad_code, self.pool.reconfigure, self.make_bad_manager())
        self.assertEqual(self.pool.query("SELECT 1")[0][0], 1)
        with self.pool.acquire() as conn:
            id = conn.get_id()
            manager = self.make_manager()
            self.assertTrue(self.pool.reconfigure(manager))
            self.assertEqual(self.pool.get_manager(), manager)
            self.assertEqual(conn.query("SELECT 1")[0][0], 1)
        with self.pool.acquire() as conn:
            self.assertNotEqual(conn.get_id(), id)

    def test_awaitables(self):
        async def story():
            pool = await Db.PoolFactory().create_pool_awaitable(self.uri)
            async with pool:
                self.assertEqual(await pool.warm_up_awaitable(3), 3)
                self.assertTrue(await pool.reconfigure_awaitable(self.make_manager()))
                with self.assertRaises(GLib.Error) as caught:
                    await pool.reconfigure_awaitable(self.make_bad_manager())
                self.assertTrue(caught.exception.matches(Db.error_quark(), self.bad_code))
                cancellable = Gio.Cancellable()
                cancellable.cancel()
                pool.evict_idle()
                pool.suspend()
                with self.assertRaises(GLib.Error) as caught:
                    await pool.warm_up_awaitable(4, cancellable)
                self.assertIn("g-io-error", caught.exception.domain)

        asyncio.run(story())

    def test_detach(self):
        with self.pool.acquire() as conn:
            self.assertTrue(conn.detach())
            self.assertEqual((self.pool.get_stats().total, self.pool.get_stats().detached), (0, 1))
            self.pool.execute("DROP TABLE dbpool_python")
            self.pool.close()
            self.assertEqual(conn.query("SELECT 1")[0][0], 1)
        self.assertTrue(conn.is_released())
        self.assertError(Db.Error.RELEASED, conn.detach)

    def test_dedicated_session(self):
        pool = self.make_pool(max_connections=1)
        session = pool.open_session(None)
        self.assertIsInstance(session, Db.Session)
        self.assertEqual((pool.get_stats().dedicated, pool.get_stats().total), (1, 1))
        self.assertEqual([info.get_state() for info in pool.connections], [Db.ConnectionState.DEDICATED])
        self.assertTrue(pool.check_session(session, None))
        self.assertError(Db.Error.TIMEOUT, pool.acquire, timeout=0.02)
        pool.close_session(session)
        self.assertEqual(pool.get_stats().dedicated, 0)
        pool.query("SELECT 1")

    def test_quota(self):
        budget = self.make_pool(max_connections=2)
        web = self.make_pool(manager=budget, max_connections=2)
        batch = self.make_pool(manager=budget, max_connections=1)
        self.assertEqual(web.query("SELECT 1")[0][0], 1)
        with web.acquire() as first, batch.acquire() as second:
            self.assertEqual(first.query("SELECT 2")[0][0], 2)
            self.assertEqual(second.query("SELECT 3")[0][0], 3)
            self.assertEqual(budget.get_stats().dedicated, 2)
            self.assertError(Db.Error.TIMEOUT, budget.acquire, timeout=0.02)
            self.assertError(Db.Error.TIMEOUT, web.acquire, timeout=0.02)
        batch.close()
        web.close()
        self.assertEqual(budget.get_stats().total, 0)

    def test_deadlock(self):
        pool = self.make_pool(max_connections=1, fail_on_deadlock=True)
        heard = []
        pool.connect("deadlock-detected", lambda pool, holders: heard.append(holders))
        with pool.acquire(tag="the outer one"):
            error = self.assertError(Db.Error.DEADLOCK, pool.acquire)
            self.assertIn("the outer one", error.message)
        wait_until(lambda: heard, "the signal")
        self.assertIn("the outer one", heard[0])
        self.assertEqual(pool.get_stats().deadlocks, 1)
        pool.get_config().props.fail_on_deadlock = False
        with pool.acquire():
            error = self.assertError(Db.Error.TIMEOUT, pool.acquire, timeout=0.05)
            self.assertIn("nested acquire", error.message)


class TestLooking(PoolStory):
    def test_signals(self):
        heard = {}
        thread = threading.get_ident()

        def listen(pool, *args):
            self.assertEqual(threading.get_ident(), thread)
            heard.setdefault(args[-1], []).append(args[0])

        pool = self.make_pool(max_connections=1)
        for name in ("created", "acquired", "returned", "dropped"):
            pool.connect(f"connection-{name}", listen, name)
        pool.connect("acquire-failed", listen, "failed")

        def work():
            with pool.acquire() as conn:
                time.sleep(0.02)
                conn.evict()
                with contextlib.suppress(GLib.Error):
                    pool.acquire(timeout=0)

        threading.Thread(target=work).start()
        wait_until(lambda: "dropped" in heard, "the last signal")
        self.assertEqual(sorted(heard), ["acquired", "created", "dropped", "failed", "returned"])
        self.assertTrue(all(len(values) == 1 for values in heard.values()))
        self.assertGreaterEqual(heard["returned"][0], 20000)
        self.assertGreaterEqual(heard["acquired"][0], heard["created"][0])
        self.assertEqual(heard["dropped"][0], Db.DropReason.EVICTED)
        self.assertTrue(heard["failed"][0].matches(Db.error_quark(), Db.Error.EXHAUSTED))

    def test_signals_in_order(self):
        pool = self.make_pool(max_connections=1)
        heard = []
        pool.connect("connection-acquired", lambda *unused: heard.append("+"))
        pool.connect("connection-returned", lambda *unused: heard.append("-"))
        pool.warm_up(1)

        def work():
            for i in range(200):
                pool.acquire().release()

        threads = [threading.Thread(target=work) for n in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(heard) == 1600, "the last signal")
        for thread in threads:
            thread.join()
        self.assertEqual("".join(heard), "+-" * 800)
        self.assertEqual(pool.get_stats().events_dropped, 0)

    def test_signals_and_asyncio(self):
        async def story():
            loop = asyncio.get_running_loop()
            heard = asyncio.Event()
            threads = []

            def listen(pool, waited):
                threads.append(threading.current_thread().name)
                loop.call_soon_threadsafe(heard.set)

            async with await Db.PoolFactory().create_pool_awaitable(self.uri) as pool:
                pool.connect("connection-acquired", listen)
                await pool.query_awaitable("SELECT 1")
                await asyncio.wait_for(heard.wait(), PATIENCE)
                self.assertEqual(set(threads), {"dbpool-asyncio"})

        asyncio.run(story())

    def test_background_error(self):
        heard = []
        pool = self.make_pool()
        pool.set_hook(Db.Hook.AFTER_CONNECT, lambda *unused: False)
        pool.connect("background-error", lambda pool, error: heard.append(error))
        self.assertError(Db.Error.EXHAUSTED, pool.try_acquire)  # which has a session opened
        wait_until(lambda: heard, "the signal")
        self.assertIn("after-connect", heard[0].message)

    def test_leak_threshold(self):
        heard = []
        pool = self.make_pool(leak_threshold=50000)
        pool.connect("leak-suspected", lambda pool, holder, held: heard.append((holder, held)))
        with pool.acquire(tag="report") as conn:
            conn.query("SELECT 40 + 2")
            wait_until(lambda: heard, "the signal")
        self.assertEqual(len(heard), 1)
        self.assertIn("report", heard[0][0])
        self.assertIn("SELECT ? + ?", heard[0][0])
        self.assertGreaterEqual(heard[0][1], 50000)
        self.assertEqual(pool.get_stats().leaks, 1)

    def test_connections(self):
        pool = self.make_pool()
        connections = pool.connections
        changes = []
        connections.connect("items-changed", lambda model, *change: changes.append(change))
        self.assertEqual(len(connections), 0)
        self.assertIs(pool.connections, connections)
        with pool.acquire(tag="report") as conn:
            conn.query("SELECT 1")
            wait_until(lambda: len(connections) == 1 and connections[0].get_state() == Db.ConnectionState.LENT)
            (info,) = pool.connections
            states = []
            info.connect("notify::state", lambda info, pspec: states.append(info.props.state))
            self.assertEqual((info.props.id, info.get_uses(), info.dup_tag()), (conn.get_id(), 1, "report"))
            self.assertEqual(info.props.statement, "SELECT ?")
            self.assertEqual(info.get_thread(), threading.get_native_id())
            self.assertLessEqual(info.get_created(), info.get_since())
            self.assertLessEqual(info.get_since(), GLib.get_monotonic_time())
            self.assertIn("to report", str(info))
            self.assertIn("report", pool.dump())
        wait_until(lambda: states, "the notification")
        self.assertEqual(states[-1], Db.ConnectionState.IDLE)
        pool.evict_idle()
        wait_until(lambda: len(connections) == 0)
        self.assertEqual(changes[-1], (0, 1, 0))
        self.assertIsNone(info.dup_tag())

    def test_statistics(self):
        self.pool.query("SELECT 1")
        with self.pool.acquire():
            stats = self.pool.get_stats()
        self.assertEqual((stats.total, stats.lent, stats.idle, stats.waiting), (1, 1, 0, 0))
        self.assertEqual(stats.requests, stats.acquired)
        self.assertEqual(stats.acquired, stats.get_acquired())
        self.assertEqual(set(stats.dropped.values()), {0})
        self.assertEqual(str(stats), stats.to_string())
        self.assertEqual(stats.finalized, 0)
        self.pool.acquire()
        self.assertEqual(self.pool.get_stats().finalized, 1)

    def test_round_trip(self):
        with self.pool.acquire() as conn:
            id = conn.get_id()
        with self.assertRaises(ZeroDivisionError), self.pool.acquire() as conn:
            self.assertEqual(conn.get_id(), id)
            1 / 0
        with self.pool.acquire() as again:
            self.assertEqual(again.get_id(), id)
            conn.release()  # somebody's second release of an old loan
            self.assertEqual(again.query("SELECT 1")[0][0], 1)
        error = self.assertError(Db.Error.RELEASED, conn.query, "SELECT 1")
        self.assertEqual(error.domain, "db-error-quark")


class TestBlocking(PoolStory):
    max_connections = 1

    def test_other_threads_go_on(self):
        held = self.pool.acquire()
        counter = 0
        waited = []

        def wait():
            started = time.monotonic()
            with self.pool.acquire(timeout=PATIENCE):
                waited.append(time.monotonic() - started)

        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: self.pool.get_stats().waiting == 1)
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            counter += 1
        held.release()
        thread.join(PATIENCE)
        self.assertGreater(counter, 1000)
        self.assertGreaterEqual(waited[0], 0.2)

    def test_interrupt(self):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        holding = threading.Event()
        order = []

        def interrupt():
            held = self.pool.acquire()
            holding.set()
            wait_until(lambda: self.pool.get_stats().waiting == 1)
            order.append("interrupted")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            order.append("released")
            held.release()

        thread = threading.Thread(target=interrupt)
        with self.assertRaises(KeyboardInterrupt):
            thread.start()
            self.assertTrue(holding.wait(PATIENCE))
            conn = self.pool.acquire(timeout=PATIENCE)
            conn.query("SELECT 1")
        thread.join(PATIENCE)
        self.assertEqual(order, ["interrupted", "released"])
        conn = None
        gc.collect()
        wait_until(lambda: self.lent() == 0, "the return of the connection")
        self.assertEqual(self.pool.query("SELECT 1")[0][0], 1)


class Manager(GObject.Object, Db.ConnectionManager):
    """A manager written in Python: counts, and lets something fail now and then."""

    __gtype_name__ = "TestPythonManager"

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.lock = threading.Lock()
        self.calls = dict.fromkeys(("open", "check", "reset", "close"), 0)
        self.live = self.most = 0
        self.raising = True

    def count(self, call, every):
        with self.lock:
            self.calls[call] += 1
            number = self.calls[call]
        if self.raising and number % every == 0:
            if number % 2:
                raise KeyError(f"{call} number {number}")
            raise GLib.Error.new_literal(
                Db.error_quark(), f"{call} number {number} fails", Db.Error.CONNECTION
            )

    def do_open_session(self, cancellable):
        self.count("open", 5)
        session = self.inner.open_session(cancellable)
        with self.lock:
            self.live += 1
            self.most = max(self.most, self.live)
        return session

    def do_check_session(self, session, cancellable):
        self.count("check", 7)
        return self.inner.check_session(session, cancellable)

    def do_reset_session(self, session, level, cancellable):
        self.count("reset", 7)
        return self.inner.reset_session(session, level, cancellable)

    def do_close_session(self, session):
        self.count("close", 1 << 60)
        self.inner.close_session(session)
        with self.lock:
            self.live -= 1

    def do_describe(self):
        return "a manager in Python"


class TestManagers(PoolStory):
    def test_failures_have_errors(self):
        manager = Manager(self.make_manager())
        manager.count = lambda call, every: 1 / 0
        pool = self.make_pool(manager=manager)
        with contextlib.redirect_stderr(io.StringIO()):
            error = self.assertError(Db.Error.FAILED, pool.acquire)
        self.assertIn("open_session failed without an error", error.message)
        self.assertIn("a manager in Python", pool.dump())

    def test_load(self):
        manager = Manager(self.make_manager())
        reference = weakref.ref(manager)
        # Every loan is checked, and cleaned when it comes back.
        pool = self.make_pool(
            manager=manager, max_connections=3, validate_after_idle=0, reset_level=Db.ResetLevel.CLEAN
        )
        failures, done = [], []
        until = time.monotonic() + 2

        def work():
            n = 0
            while time.monotonic() < until:
                try:
                    with pool.acquire() as conn:
                        if conn.query("SELECT CAST($1 AS bigint)", n)[0][0] != n:
                            failures.append("a wrong answer")
                    n += 1
                except GLib.Error as e:
                    if not e.matches(Db.error_quark(), Db.Error.FAILED):
                        failures.append(e)
            done.append(n)

        with contextlib.redirect_stderr(io.StringIO()):
            threads = [threading.Thread(target=work) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            pool.close()
        self.assertEqual(failures, [])
        self.assertEqual(len(done), 4)
        self.assertGreater(min(done), 0)
        stats = pool.get_stats()
        self.assertEqual((stats.total, manager.live), (0, 0))
        self.assertLessEqual(manager.most, 3)
        self.assertEqual(stats.created, manager.calls["close"])
        self.assertGreater(stats.dropped[Db.DropReason.INVALID], 0)
        self.assertGreater(stats.create_failed, 0)
        del pool, manager
        self._cleanups.clear()
        sys.last_type = sys.last_value = sys.last_traceback = None  # of the last error that was printed
        gc.collect()
        wait_until(lambda: reference() is None, "freeing the manager")


@unittest.skipIf(BACKEND != "sqlite", "on SQLite is enough")
class TestGarbage(PoolStory):
    def test_cycles(self):
        class Holder:
            pass

        manager = Manager(self.make_manager())
        manager.raising = False
        pool = self.make_pool(manager=manager)
        self._cleanups.clear()
        gc.disable()
        self.addCleanup(gc.enable)
        holder = Holder()
        holder.conn, holder.self, holder.pool = pool.acquire(), holder, pool
        reference = weakref.ref(holder)
        del holder
        self.assertEqual(pool.get_stats().lent, 1)
        gc.collect()
        self.assertIsNone(reference())
        self.assertEqual((pool.get_stats().lent, pool.get_stats().finalized), (0, 1))
        # The pool first, then the connection, without a close.
        conn = pool.acquire()
        del pool
        gc.collect()
        self.assertEqual(conn.query("SELECT 1")[0][0], 1)
        self.assertEqual(manager.live, 1)
        del conn
        gc.collect()
        wait_until(lambda: manager.live == 0, "closing the last session")

    def run_program(self, text):
        """Runs a program; it has to exit by itself, with 0 and in silence."""
        text = "import gi; gi.require_version('Db', '1.0'); from gi.repository import Db, GLib, GObject\n" \
            f"uri = {self.uri!r}\n" + textwrap.dedent(text)
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE
        )
        self.assertEqual((done.returncode, done.stdout.decode()), (0, ""))
        return time.monotonic() - started

    def test_exit(self):
        make = "pool = Db.PoolFactory().create_pool(uri, None, None)\n"
        for what, text in {
            "with everything open": make + "conn = pool.acquire(); other = pool.acquire()",
            "in a transaction": make + "conn = pool.acquire(); transaction = conn.begin()",
            "with a cycle": make + "class C: pass\nc = C(); c.c = c; c.conn = pool.acquire(); c.pool = pool",
            "with a hook": """
                pool = Db.Pool.new(Db.PoolFactory().create_manager(uri, None), None)
                pool.set_hook(Db.Hook.AFTER_CONNECT, lambda pool, conn: conn.query('SELECT 1')[0][0] == 1)
                pool.set_hook(Db.Hook.BEFORE_ACQUIRE, lambda pool, conn: None)
                conn = pool.acquire()
            """,
            "with a hook at work": """
                import threading
                pool = Db.Pool.new(Db.PoolFactory().create_manager(uri, None), None)
                working = threading.Event()
                def hook(pool, conn):
                    working.set()
                    threading.Event().wait(60)
                pool.set_hook(Db.Hook.AFTER_CONNECT, hook)
                pool.acquire_async(None, None)
                assert working.wait(10)
            """,
            "with signals": make + """
def listen(*args): pass
pool.connect('connection-returned', listen); pool.connect('connection-acquired', listen)
connections = pool.connections
pool.acquire().release()
""",
            "with a manager in Python": """
                class M(GObject.Object, Db.ConnectionManager):
                    def do_open_session(self, cancellable): return inner.open_session(cancellable)
                    def do_close_session(self, session): inner.close_session(session)
                inner = Db.PoolFactory().create_manager(uri, None)
                pool = Db.Pool.new(M(), Db.PoolConfig(min_connections=40, max_connections=40))
                conn = pool.acquire()
            """,
            "with a manager that hangs": """
                import threading
                class M(GObject.Object, Db.ConnectionManager):
                    def do_open_session(self, cancellable):
                        working.set()
                        threading.Event().wait(60)
                working = threading.Event()
                pool = Db.Pool.new(M(), None)
                pool.acquire_async(None, None)
                assert working.wait(10)
            """,
            "while threads wait": make + """
import threading
conns = [pool.acquire() for i in range(4)]
threading.Thread(target=lambda: pool.acquire(timeout=60), daemon=True).start()
while pool.get_stats().waiting == 0: pass
""",
            "after asyncio": """
                import asyncio
                async def story():
                    global pool, conn
                    pool = await Db.PoolFactory().create_pool_awaitable(uri)
                    conn = await pool.connection()
                asyncio.run(story())
            """,
        }.items():
            with self.subTest(what):
                self.assertLess(self.run_program(text), 20)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
