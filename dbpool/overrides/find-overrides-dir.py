# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Prints the folder of PyGObject overrides below a prefix that is on Python's own path, or nothing."""

import os
import sys
import sysconfig

prefix = os.path.join(sys.argv[1], "")
if prefix == "/usr/":
    prefix = "/usr/lib/"  # and not /usr/local/lib/
sites = [path for path in sys.path if path.endswith(("dist-packages", "site-packages"))]
if sysconfig.get_path("purelib") not in sites:
    sites.append(sysconfig.get_path("purelib"))
for path in sites:
    if path.startswith(prefix):
        print(os.path.join(path, "gi", "overrides"))
        break
