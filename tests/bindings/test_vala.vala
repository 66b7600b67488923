/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The Vala story on a SQLite file: blocking, then with yield, then a pool that is watched. Prints TAP. */

string folder;

Db.Pool open_pool () throws Error {
  var factory = new Db.PoolFactory ();
  var config = new Db.PoolConfig ();

  config.max_connections = 2;
  return factory.create_pool ("sqlite:" + folder + "/test.db", config);
}

void test_blocking () {
  try {
    var pool = open_pool ();
    var conn = pool.acquire ();

    conn.execute ("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", null);
    assert (conn.execute ("INSERT INTO t VALUES ($1, $2)", new Variant ("(xs)", (int64) 7, "seven")) == 1);

    var params = new Db.Params ();
    params.add_int64 (8);
    params.add_text (null);
    assert (conn.execute_params ("INSERT INTO t VALUES ($1, $2)", params) == 1);

    var result = conn.query ("SELECT id, name FROM t ORDER BY id", null);
    assert (result.get_n_rows () == 2);
    assert (result.get_int64 (0, 0) == 7);
    assert (result.get_text (0, 1) == "seven");
    assert (result.is_null (1, 1));
    assert (result.get_column_int64s (0)[1] == 8);
    assert (result.get_column_texts (1)[0] == "seven");
    assert (((Db.Row) result.get_item (1)).get_int64 (0) == 8);

    var transaction = conn.begin (Db.Isolation.DEFAULT, Db.TransactionFlags.NONE);
    conn.execute ("DELETE FROM t", null);
    transaction.rollback ();
    assert (conn.query ("SELECT 1 FROM t", null).get_n_rows () == 2);

    conn.release ();
    try {
      conn.query ("SELECT 1", null);
      assert_not_reached ();
    } catch (Db.Error.RELEASED e) {
    }
    conn = null;
    pool.close (1000000);
  } catch (Error e) {
    error ("%s", e.message);
  }
}

async void story () throws Error {
  var pool = open_pool ();

  var conn = yield pool.acquire_async (null);
  var result = yield conn.query_async ("SELECT $1 + 1", new Variant ("(x)", (int64) 41), null);

  assert (result.get_int64 (0, 0) == 42);
  assert (pool.get_stats ().get_lent () == 1);
  /* Not by dropping it: the operation that has just ended still holds it. */
  conn.release ();
  assert (pool.get_stats ().get_lent () == 0);
  yield pool.close_async (1000000, null);
}

void test_async () {
  var loop = new MainLoop ();

  story.begin ((source, result) => {
    try {
      story.end (result);
    } catch (Error e) {
      error ("%s", e.message);
    }
    loop.quit ();
  });
  loop.run ();
}

/* A hook that fails the first time, sessions ahead of time, what the pool tells of itself. */

int n_asked = 0;

bool prepare (Db.Pool pool, Object? subject) throws Error {
  var conn = (Db.Connection) subject;

  if (AtomicInt.add (ref n_asked, 1) == 0)
    throw new Db.Error.CONNECTION ("not yet");
  conn.execute_script ("CREATE TEMP TABLE prepared (id INTEGER)");
  return true;
}

async void watch_pool () throws Error {
  var manager = new Db.PoolFactory ().create_manager ("sqlite:" + folder + "/test.db", null);
  var config = new Db.PoolConfig ();
  config.max_connections = 2;
  config.leak_threshold = 20000;
  var pool = new Db.Pool (manager, config);
  var connections = pool.connections;
  string[] heard = {};
  string leaked = null;

  pool.set_hook (Db.Hook.AFTER_CONNECT, prepare);
  pool.background_error.connect ((error) => { heard += error.message; });
  pool.connection_dropped.connect ((reason) => { heard += reason.to_string (); });
  pool.leak_suspected.connect ((holder, held) => {
    assert (held >= 20000);
    leaked = holder;
  });

  var n_open = yield pool.warm_up_async (2, null);
  assert (n_open == 2);
  assert (AtomicInt.get (ref n_asked) == 3);
  assert (pool.get_stats ().get_idle () == 2);

  var conn = yield pool.acquire_full_async (Db.AcquireFlags.NONE, -1, "report", null);
  yield conn.query_async ("SELECT id FROM prepared", null, null);
  while (leaked == null) {
    yield wait_a_moment ();
  }
  assert (leaked.has_prefix ("report"));
  var found = false;
  for (var i = 0; i < connections.get_n_items (); i++) {
    var info = (Db.ConnectionInfo) connections.get_item (i);
    found |= info.id == conn.get_id () && info.state == Db.ConnectionState.LENT && info.tag == "report";
  }
  assert (found);
  assert ("report" in pool.dump ());
  conn.evict ();
  conn.release ();
  while (heard.length < 2) {
    yield wait_a_moment ();
  }
  assert ("not yet" in heard[0] && heard[1] == "DB_DROP_EVICTED");

  pool.suspend ();
  try {
    pool.try_acquire ();
    assert_not_reached ();
  } catch (Db.Error.SUSPENDED e) {
  }
  pool.resume ();
  yield pool.reconfigure_async (manager, null);
  yield pool.close_async (1000000, null);
}

async void wait_a_moment () {
  Timeout.add (2, wait_a_moment.callback);
  yield;
}

void test_pool () {
  var loop = new MainLoop ();

  /* The leak is logged as a warning as well. */
  Log.set_always_fatal (LogLevelFlags.LEVEL_ERROR | LogLevelFlags.LEVEL_CRITICAL);
  watch_pool.begin ((source, result) => {
    try {
      watch_pool.end (result);
    } catch (Error e) {
      error ("%s", e.message);
    }
    loop.quit ();
  });
  loop.run ();
}

int main (string[] args) {
  Test.init (ref args);
  try {
    folder = DirUtils.make_tmp ("dbpool-vala-XXXXXX");
  } catch (Error e) {
    error ("%s", e.message);
  }
  Test.add_func ("/vala/blocking", test_blocking);
  Test.add_func ("/vala/async", test_async);
  Test.add_func ("/vala/pool", test_pool);

  var status = Test.run ();
  foreach (var suffix in new string[] { "", "-wal", "-shm" })
    FileUtils.unlink (folder + "/test.db" + suffix);
  DirUtils.remove (folder);
  return status;
}
