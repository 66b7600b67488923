#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Usage: sh docs/install-missing.sh PACKAGE...
#
# Installs those of the Debian packages that are not installed yet. Does nothing, and needs no rights,
# when there are none.

set -eu

if ! command -v dpkg-query >/dev/null; then
  echo "This is no Debian: please see to it that you have what these packages contain: $*" >&2
  exit 0
fi

missing=
for package in "$@"; do
  case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing, and there is no sudo to install them:$missing" >&2
    exit 1
  fi
  as_root=sudo
fi

install() {
  # shellcheck disable=SC2086 # both are lists of words
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $missing
}

echo "Installing:$missing"
# The list of packages may be old or, on a fresh machine, empty.
install 2>/dev/null || { $as_root apt-get update -q && install; }
