/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The Vala story on a SQLite file: blocking, then with yield. Prints TAP. */

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

int main (string[] args) {
  Test.init (ref args);
  try {
    folder = DirUtils.make_tmp ("dbpool-vala-XXXXXX");
  } catch (Error e) {
    error ("%s", e.message);
  }
  Test.add_func ("/vala/blocking", test_blocking);
  Test.add_func ("/vala/async", test_async);

  var status = Test.run ();
  foreach (var suffix in new string[] { "", "-wal", "-shm" })
    FileUtils.unlink (folder + "/test.db" + suffix);
  DirUtils.remove (folder);
  return status;
}
