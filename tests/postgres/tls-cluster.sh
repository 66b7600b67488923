#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Runs a command beside a PostgreSQL cluster of its own that has TLS, with certificates of its own
# authority:
#
#   tls-cluster.sh COMMAND [ARGUMENT...]
#
# The cluster is that of with-postgres.sh, and gone when the command ends. The exit status is that of
# the command; 77 ("skipped") without PostgreSQL or openssl. Beside the variables of with-postgres.sh
# the command finds DBPOOL_TEST_TLS_FOLDER, in which these are, each with its .crt and .key:
#
#   authority, stranger          the authority of the others, and one that signed nothing of theirs
#   right, elsewhere             a server at localhost and 127.0.0.1, one at db.example.org
#   expired, revoked             like "right" but for that; crl.pem has the latter
#   alone                        like "right", signed by itself
#   certified, forged            clients: the role of that name, the same signed by the stranger
#   locked.key                   the key of "certified" under the password "locksecret"
#
# The server begins with "right". All roles have the password "secret". Of them "encrypted" may come by
# TLS only, "plain" without it only, "certified" by its certificate, "twofold" by the certificate
# of "certified" and the password, "digest" by MD5, and the others by SCRAM.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" != --inside ]; then
  if ! command -v openssl >/dev/null; then
    echo "1..0 # SKIP openssl is not installed" >&2
    exit 77
  fi
  unset DBPOOL_TEST_POSTGRES_URI
  exec sh "$here/../with-postgres.sh" sh "$here/tls-cluster.sh" --inside "$@"
fi
shift

data=$DBPOOL_TEST_POSTGRES_DATADIR
DBPOOL_TEST_TLS_FOLDER=$(dirname "$data")/tls
export DBPOOL_TEST_TLS_FOLDER
log=$DBPOOL_TEST_TLS_FOLDER/openssl.log
mkdir -m 755 "$DBPOOL_TEST_TLS_FOLDER"
cd "$DBPOOL_TEST_TLS_FOLDER"

# Runs openssl, and shows its words only when it fails.
quiet() {
  if ! openssl "$@" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
}

# own NAME COMMON-NAME: a key, and a certificate that it signs itself
own() {
  quiet req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -sha256 \
    -subj "/CN=$2" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$1.key" -out "$1.crt"
}

# sign NAME COMMON-NAME ALTERNATIVE-NAMES AUTHORITY OPTION...: a key, and a certificate by an authority
sign() {
  name=$1
  common=$2
  authority=$4
  printf 'subjectAltName=%s\n' "$3" >names.cnf
  shift 4
  quiet req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -subj "/CN=$common" \
    -keyout "$name.key" -out "$name.csr"
  quiet ca -config ca.cnf -batch -notext -cert "$authority.crt" -keyfile "$authority.key" \
    -extfile names.cnf -in "$name.csr" -out "$name.crt" "$@"
}

cat >ca.cnf <<'END'
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
unique_subject = no
[any]
commonName = supplied
END
: >index.txt
echo 01 >serial

own authority "dbpool test authority"
own stranger "another authority"
own alone localhost
sign right localhost DNS:localhost,IP:127.0.0.1 authority
sign elsewhere db.example.org DNS:db.example.org authority
sign expired localhost DNS:localhost,IP:127.0.0.1 authority \
  -startdate 20200101000000Z -enddate 20200102000000Z
sign revoked localhost DNS:localhost,IP:127.0.0.1 authority
sign certified certified DNS:certified authority
sign forged certified DNS:certified stranger
quiet ca -config ca.cnf -cert authority.crt -keyfile authority.key -revoke revoked.crt
quiet ca -config ca.cnf -cert authority.crt -keyfile authority.key -gencrl -out crl.pem
quiet ec -in certified.key -aes128 -passout pass:locksecret -out locked.key
chmod 600 ./*.key
owner=$(stat -c %u:%g "$data")
for name in right elsewhere expired revoked alone; do
  chown "$owner" "$name.key"
done

cat >"$data/pg_hba.conf" <<'END'
local     all all       trust
hostssl   all encrypted 127.0.0.1/32 scram-sha-256
hostnossl all encrypted 127.0.0.1/32 reject
hostnossl all plain     127.0.0.1/32 scram-sha-256
hostssl   all plain     127.0.0.1/32 reject
hostssl   all certified 127.0.0.1/32 cert
hostssl   all twofold   127.0.0.1/32 scram-sha-256 clientcert=verify-ca
host      all digest    127.0.0.1/32 md5
host      all all       127.0.0.1/32 scram-sha-256
END
cat >>"$data/postgresql.conf" <<END
ssl = on
ssl_ca_file = '$DBPOOL_TEST_TLS_FOLDER/authority.crt'
ssl_cert_file = '$DBPOOL_TEST_TLS_FOLDER/right.crt'
ssl_key_file = '$DBPOOL_TEST_TLS_FOLDER/right.key'
END
psql=$DBPOOL_TEST_POSTGRES_BINDIR/psql
"$psql" -q -v ON_ERROR_STOP=1 "$DBPOOL_TEST_POSTGRES_URI" <<'END'
SELECT pg_reload_conf() \g /dev/null
CREATE ROLE encrypted LOGIN PASSWORD 'secret';
CREATE ROLE plain LOGIN PASSWORD 'secret';
CREATE ROLE certified LOGIN PASSWORD 'secret';
CREATE ROLE twofold LOGIN PASSWORD 'secret';
SET password_encryption = 'md5';
CREATE ROLE digest LOGIN PASSWORD 'secret';
END
until [ "$("$psql" -Atc 'SHOW ssl' "$DBPOOL_TEST_POSTGRES_URI")" = on ]; do
  sleep 0.05
done
cd "$OLDPWD"
exec "$@"
