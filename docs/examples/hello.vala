/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* valac --pkg dbpool hello.vala */

async void greet (string uri) throws Error {
	var factory = new Db.PoolFactory ();
	var pool = yield factory.create_pool_async (uri, null, null);
	var conn = yield pool.acquire_async (null);
	var result = yield conn.query_async ("SELECT 6 * $1 AS answer", new Variant ("(x)", (int64) 7), null);

	print ("%s = %s\n", result.get_column_name (0), result.get_int64 (0, 0).to_string ());
	conn.release ();
	yield pool.close_async (1000000, null);
}

int main (string[] args) {
	var loop = new MainLoop ();
	int status = 0;

	greet.begin (args.length > 1 ? args[1] : "sqlite:hello.db", (object, result) => {
		try {
			greet.end (result);
		} catch (Error error) {
			printerr ("%s\n", error.message);
			status = 1;
		}
		loop.quit ();
	});
	loop.run ();
	return status;
}
