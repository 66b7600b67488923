/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The Vala story on a SQLite file: blocking, then with yield, then a pool that is watched, then all of
 * the SQL layer. Prints TAP. */

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

/* The SQL layer. */

const string INSERT = "INSERT INTO sql VALUES ($1, $2)";
const string SELECT = "SELECT id, name FROM sql ORDER BY id";

Db.Params make_rows (int64 first, int64 last) {
  var rows = new Db.Params ();

  for (var id = first; id <= last; id++) {
    rows.add_int64 (id);
    rows.add_text (id % 2 == 0 ? null : @"name $id");
    rows.next_row ();
  }
  return rows;
}

Db.Batch make_batch () {
  var batch = new Db.Batch ();
  var params = new Db.Params ();

  params.add_int64 (1);
  batch.add (INSERT, new Variant ("(xs)", (int64) 11, "eleven"));
  batch.add_params ("DELETE FROM sql WHERE id = $1", params);
  batch.add (SELECT, null);
  return batch;
}

void check_error_info (Db.Connection conn) throws Error {
  try {
    conn.execute (INSERT, new Variant ("(xs)", (int64) 11, "again"));
    assert_not_reached ();
  } catch (Db.Error.CONSTRAINT e) {
    var info = conn.get_last_error_info ();
    assert (info.get_constraint_kind () == Db.ConstraintKind.UNIQUE);
    assert (info.get_column () == "id");
    assert (info.get_sqlite_code () == 1555);
    assert (info.get_detail () == null);
    assert (Db.Error.get_constraint_kind (e) == Db.ConstraintKind.UNIQUE);
    assert (Db.Error.get_sqlstate (e) == null);
    assert (!Db.Error.is_transient (e));
  }
  conn.query ("SELECT 1", null);
  assert (conn.get_last_error_info () == null);
}

void check_cursor (Db.Connection conn) throws Error {
  var cursor = conn.open_cursor (SELECT, null, 4);
  uint n_rows = 0;

  for (var rows = cursor.fetch (); rows.get_n_rows () > 0; rows = cursor.fetch ()) {
    for (uint i = 0; i < rows.get_n_rows (); i++) {
      var name = rows.get_text (i, 1);
      assert ((name == null) == (rows.get_int64 (i, 0) % 2 == 0));
      assert (rows.dup_variant (i, 1) == null || name != null);
    }
    n_rows += rows.get_n_rows ();
    conn.query ("SELECT 1", null);
  }
  assert (n_rows == 10);
  assert (cursor.is_done ());
  assert (cursor.get_batch_size () == 4);
  assert (cursor.get_connection () == conn);

  cursor = conn.open_cursor_params (SELECT, null, 1);
  cursor.fetch ();
  cursor.close ();
  try {
    cursor.fetch ();
    assert_not_reached ();
  } catch (Db.Error.QUERY e) {
  }
}

void check_transact (Db.Pool pool) throws Error {
  var n_calls = 0;

  /* Another connection writes what the first attempt has read. */
  assert (pool.transact (Db.Isolation.DEFAULT, Db.TransactionFlags.DEFERRED, (conn) => {
    conn.query (SELECT, null);
    if (n_calls++ == 0)
      pool.execute ("UPDATE sql SET name = 'other' WHERE id = 2", null);
    return conn.execute ("UPDATE sql SET name = 'mine' WHERE id = 3", null) == 1;
  }));
  assert (n_calls == 2);
  try {
    pool.transact (Db.Isolation.DEFAULT, Db.TransactionFlags.NONE, (conn) => {
      conn.execute ("DELETE FROM sql", null);
      throw new Db.Error.LIMIT ("no");
    });
    assert_not_reached ();
  } catch (Db.Error.LIMIT e) {
    assert (e.message == "no");
  }
  try {
    pool.transact (Db.Isolation.DEFAULT, Db.TransactionFlags.NONE, (conn) => false);
    assert_not_reached ();
  } catch (Db.Error.FAILED e) {
  }
  assert (pool.query (SELECT, null).get_n_rows () == 10);

  var transaction = pool.begin (Db.Isolation.SERIALIZABLE, Db.TransactionFlags.NONE);
  transaction.get_connection ().execute ("DELETE FROM sql", null);
  var inner = transaction.get_connection ().begin (Db.Isolation.DEFAULT, Db.TransactionFlags.NONE);
  inner.commit ();
  assert (!inner.is_open () && transaction.is_open ());
  transaction.rollback ();
  assert (pool.query (SELECT, null).get_n_rows () == 10);
}

void test_sql () {
  try {
    var pool = open_pool ();
    var conn = pool.acquire ();

    conn.execute_script ("DROP TABLE IF EXISTS sql; CREATE TABLE sql (id INTEGER PRIMARY KEY, name TEXT)");
    assert (conn.execute_many (INSERT, make_rows (1, 10)) == 10);

    var described = conn.describe (SELECT + " LIMIT $1");
    assert (described.get_n_params () == 1 && described.get_n_columns () == 2);
    assert (described.get_column_name (1) == "name" && described.get_param_type_name (0) == null);
    assert (described.get_column_type (0) == Db.ValueType.INT64);

    var results = conn.run_batch (make_batch (), Db.BatchFlags.NONE);
    assert (results.get_n_statements () == 3 && results.get_n_failed () == 0);
    assert (results.get_result (2).get_n_rows () == 10);
    assert (results.get_result (2).get_column_names ()[1] == "name");
    results = conn.run_batch (make_batch (), Db.BatchFlags.INDEPENDENT);
    assert (results.get_n_failed () == 1);
    try {
      results.get_result (0);
      assert_not_reached ();
    } catch (Db.Error.CONSTRAINT e) {
    }
    check_error_info (conn);
    conn.execute ("UPDATE sql SET name = NULL WHERE id % 2 = 0", null);
    check_cursor (conn);

    assert (conn.quote_literal ("it's") == "'it''s'" && conn.quote_literal (null) == "NULL");
    assert (conn.quote_identifier ("a b") == "\"a b\"");
    var inserted = conn.query ("INSERT INTO sql (name) VALUES ('last')", null);
    assert (inserted.get_last_insert_id () == 12 && inserted.get_rows_affected () == 1);
    conn.execute ("DELETE FROM sql WHERE id = 12", null);
    var result = conn.query (SELECT, null);
    assert (result.get_column_nulls (1).length == 5);
    assert (result.get_column_data (0).get_size () == 80 && result.get_column_data (1) == null);
    conn.release ();
    check_transact (pool);
    pool.close (1000000);
  } catch (Error e) {
    error ("%s", e.message);
  }
}

async void sql_story () throws Error {
  var pool = open_pool ();
  var conn = yield pool.acquire_async (null);

  yield conn.execute_script_async ("DELETE FROM sql", null);
  var changed = yield conn.execute_many_async (INSERT, make_rows (1, 9), null);
  assert (changed == 9);
  changed = yield pool.execute_many_async (INSERT, make_rows (20, 20), null);
  assert (changed == 1);
  var described = yield conn.describe_async (SELECT, null);
  assert (described.get_n_columns () == 2);
  var results = yield conn.run_batch_async (make_batch (), Db.BatchFlags.NONE, null);
  assert (results.get_n_failed () == 0);
  results = yield pool.run_batch_async (make_batch (), Db.BatchFlags.INDEPENDENT, null);
  assert (results.get_n_failed () == 1);

  var cursor = yield conn.open_cursor_async (SELECT, null, 6, null);
  var rows = yield cursor.fetch_async (null);
  assert (rows.get_n_rows () == 6);
  yield cursor.close_async (null);
  assert (cursor.is_done ());

  var transaction = yield conn.begin_async (Db.Isolation.DEFAULT, Db.TransactionFlags.NONE, null);
  yield conn.execute_async ("DELETE FROM sql", null, null);
  yield transaction.rollback_async (null);
  transaction = yield pool.begin_async (Db.Isolation.DEFAULT, Db.TransactionFlags.NONE, null);
  yield transaction.get_connection ().execute_params_async ("DELETE FROM sql WHERE id < 5", null, null);
  yield transaction.commit_async (null);
  rows = yield pool.query_params_async (SELECT, null, null);
  assert (rows.get_n_rows () == 7);

  var cancellable = new Cancellable ();
  Timeout.add (20, () => {
    cancellable.cancel ();
    return Source.REMOVE;
  });
  try {
    yield conn.query_async ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                            + "SELECT count(*) FROM n", null, cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
  }
  assert (conn.get_last_error_info () == null || conn.get_last_error_info ().get_sqlite_code () == 9);
  rows = yield conn.query_async ("SELECT 1", null, null);
  conn.release ();
  yield pool.close_async (1000000, null);
}

void test_sql_async () {
  var loop = new MainLoop ();

  sql_story.begin ((source, result) => {
    try {
      sql_story.end (result);
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
  Test.add_func ("/vala/sql", test_sql);
  Test.add_func ("/vala/sql-async", test_sql_async);

  var status = Test.run ();
  foreach (var suffix in new string[] { "", "-wal", "-shm" })
    FileUtils.unlink (folder + "/test.db" + suffix);
  DirUtils.remove (folder);
  return status;
}
