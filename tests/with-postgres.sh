#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Runs a command beside a throw-away PostgreSQL cluster:
#
#   with-postgres.sh COMMAND [ARGUMENT...]
#
# The cluster lives in a temporary folder, listens on a Unix socket there (no password) and on a free
# port of 127.0.0.1 (SCRAM), and is gone when the command ends, however it ends. The exit status is
# that of the command; 77 ("skipped") where PostgreSQL is not installed. The command finds
#
#   DBPOOL_TEST_POSTGRES_URI      the Unix socket
#   DBPOOL_TEST_POSTGRES_TCP_URI  the port, with the password
#   DBPOOL_TEST_POSTGRES_BINDIR   where pg_ctl is
#   DBPOOL_TEST_POSTGRES_DATADIR  the data of the cluster
#
# and none of libpq's own variables. If DBPOOL_TEST_POSTGRES_URI is set already, its server is used.

set -u

if [ $# -eq 0 ]; then
  echo "usage: $0 COMMAND [ARGUMENT...]" >&2
  exit 2
fi
if [ -n "${DBPOOL_TEST_POSTGRES_URI:-}" ]; then
  exec "$@"
fi

for name in $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p'); do
  unset "$name"
done

bindir=
for dir in /usr/lib/postgresql/*/bin; do
  if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
    bindir=$dir
  fi
done
if [ -z "$bindir" ] && command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
  bindir=$(dirname "$(command -v initdb)")
fi
if [ -z "$bindir" ]; then
  echo "1..0 # SKIP PostgreSQL's initdb and pg_ctl are not installed" >&2
  exit 77
fi

# PostgreSQL refuses to run as root.
if [ "$(id -u)" -ne 0 ]; then
  owner=
elif id postgres >/dev/null 2>&1; then
  owner=postgres
else
  owner=nobody
fi
as_owner ()
{
  if [ -n "$owner" ]; then
    runuser -u "$owner" -- "$@"
  else
    "$@"
  fi
}

base=$(mktemp -d /tmp/dbpool-XXXXXX) || exit 1
child=
# shellcheck disable=SC2317 # called by the trap
clean_up ()
{
  status=$?
  trap '' INT TERM HUP
  trap - EXIT
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null && wait "$child" 2>/dev/null
  fi
  if [ -f "$base/data/postmaster.pid" ]; then
    as_owner "$bindir/pg_ctl" -D "$base/data" -m immediate -w stop >/dev/null 2>&1
  fi
  rm -rf "$base"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

cd "$base" || exit 1
echo secret >password
if [ -n "$owner" ]; then
  chown -R "$owner" "$base"
fi
chmod 755 "$base"
if ! as_owner "$bindir/initdb" -D "$base/data" -U dbpool --pwfile="$base/password" --no-sync \
  --encoding=UTF8 --locale=C --auth-local=trust --auth-host=scram-sha-256 >initdb.log 2>&1; then
  cat initdb.log >&2
  exit 1
fi
cat >>data/postgresql.conf <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = '$base'
max_connections = 40
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 32MB
END

# Nobody reserves a port for us: where another program was faster, take another one.
started=
attempt=0
while [ -z "$started" ] && [ $attempt -lt 10 ]; do
  attempt=$((attempt + 1))
  port=$((15000 + $(od -An -N2 -tu2 /dev/urandom) % 16000))
  if as_owner "$bindir/pg_ctl" -D "$base/data" -l "$base/data/server.log" -o "-p $port" -w start \
    >start.log 2>&1; then
    started=yes
  fi
done
if [ -z "$started" ]; then
  cat start.log data/server.log >&2
  exit 1
fi
if ! as_owner "$bindir/createdb" -h "$base" -p "$port" -U dbpool dbpool_test; then
  exit 1
fi

export DBPOOL_TEST_POSTGRES_URI="postgresql://dbpool@/dbpool_test?host=$base&port=$port"
export DBPOOL_TEST_POSTGRES_TCP_URI="postgresql://dbpool:secret@127.0.0.1:$port/dbpool_test"
export DBPOOL_TEST_POSTGRES_BINDIR="$bindir"
export DBPOOL_TEST_POSTGRES_DATADIR="$base/data"

# In the background, so that a signal ends the wait at once; standard input stays what it was.
cd "$OLDPWD" || exit 1
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
wait "$child"
status=$?
child=
exit "$status"
