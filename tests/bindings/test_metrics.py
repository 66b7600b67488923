# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Metrics as others read them: Python's Prometheus client, promtool, and a Prometheus that scrapes the
example with libsoup. Where one of them is missing, its tests are skipped.

test_metrics.py sqlite EXAMPLE. Prints TAP."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db
from story import Story, main

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
    from prometheus_client.parser import text_string_to_metric_families as parse_prometheus
except ImportError:
    parse_openmetrics = None

PROMTOOL = shutil.which("promtool")
PROMETHEUS = shutil.which("prometheus")
EXAMPLE = os.path.abspath(sys.argv.pop(2))
PATIENCE = 30  # seconds for what takes one on a machine that is not busy

NAMES = {
    "db_client_connections": "gauge",
    "db_client_connection_max": "gauge",
    "db_client_connection_idle_min": "gauge",
    "db_client_connection_pending_requests": "gauge",
    "db_client_connection_timeouts": "counter",
    "db_client_connection_requests": "counter",
    "db_client_connections_opened": "counter",
    "db_client_connections_dropped": "counter",
    "db_client_connection_wait_time_seconds": "histogram",
    "db_client_connection_use_time_seconds": "histogram",
    "db_client_connection_create_time_seconds": "histogram",
    "db_client_connection_validate_time_seconds": "histogram",
    "db_client_operation_duration_seconds": "histogram",
}


def samples(families):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


class MetricsStory(Story):
    """A pool that has done something, and a collector with a bad name."""

    def setUp(self):
        super().setUp()
        with self.pool.acquire() as conn:
            conn.query("SELECT 1")
        self.odd = Db.MetricsCollector.new('an "odd" \\ name\nü')
        self.odd.record_connection_created(1500)
        self.all = [self.pool.get_metrics(), self.odd]

    def text(self, form):
        return Db.MetricsCollector.format_all(self.all, form)


class TestCollector(MetricsStory):
    def test_summary(self):
        metrics = self.pool.get_metrics()
        self.assertIs(metrics, self.pool.get_metrics())
        self.assertEqual(metrics.get_name(), self.pool.get_name())
        wait = metrics.get_summary(Db.Metric.WAIT).props
        self.assertEqual(wait.count, self.pool.get_stats().get_acquired())
        self.assertLessEqual(wait.p50, wait.p90)
        self.assertLessEqual(wait.p90, wait.p95)
        self.assertLessEqual(wait.p95, wait.p99)
        self.assertLessEqual(wait.p99, wait.p999)
        self.assertLessEqual(wait.p999, wait.max)
        self.assertGreater(metrics.get_summary(Db.Metric.CREATE).props.max, 0)
        self.assertGreaterEqual(metrics.get_summary(Db.Metric.QUERY).props.count, 3)

    def test_recording(self):
        metrics = Db.MetricsCollector(name="mine")
        for i in range(1, 1001):
            metrics.record_connection_acquired(i)
        metrics.record_connection_returned(10)
        metrics.record_connection_created(10)
        metrics.record_connection_validated(10)
        metrics.record_connection_dropped()
        metrics.record_timeout()
        metrics.record_query(10)
        wait = metrics.get_summary(Db.Metric.WAIT)
        self.assertEqual(wait.get_count(), 1000)
        self.assertEqual(wait.get_sum(), 500500)
        self.assertEqual(wait.get_max(), 1000)
        self.assertEqual(wait.get_percentile(5), 50)
        for percent in (50, 90, 95, 99, 99.9):
            self.assertAlmostEqual(wait.get_percentile(percent), percent * 10, delta=percent / 10)


@unittest.skipUnless(parse_openmetrics, "python3-prometheus-client is missing")
class TestParsers(MetricsStory):
    def check(self, families):
        types = {family.name: family.type for family in families}
        self.assertEqual(types, {**types, **NAMES})
        for family in families:
            self.assertTrue(family.documentation.endswith("."), family)
        values = samples(families)
        pool = ("pool", self.pool.get_name())
        stats = self.pool.get_stats()
        acquired = stats.get_acquired()
        self.assertEqual(values["db_client_connection_wait_time_seconds_count", pool], acquired)
        self.assertEqual(
            values["db_client_connection_wait_time_seconds_bucket", ("le", "+Inf"), pool], acquired
        )
        self.assertAlmostEqual(
            values["db_client_connection_use_time_seconds_sum", pool], stats.get_use_time() / 1e6
        )
        self.assertEqual(values["db_client_connections", pool, ("state", "idle")], stats.get_idle())
        self.assertEqual(values["db_client_connection_max", pool], self.max_connections)
        odd = ("pool", self.odd.get_name())
        self.assertEqual(values["db_client_connections_opened_total", odd], 1)
        buckets = {
            labels[0][1]: value
            for (name, *labels), value in values.items()
            if name == "db_client_connection_create_time_seconds_bucket" and odd in labels
        }
        self.assertEqual(buckets["0.001"], 0)
        self.assertEqual(buckets["0.005"], 1)

    def test_openmetrics(self):
        self.check(list(parse_openmetrics(self.text(Db.MetricsFormat.OPENMETRICS))))
        units = {
            family.name: family.unit
            for family in parse_openmetrics(self.pool.get_metrics().to_openmetrics())
        }
        self.assertEqual(units["db_client_connection_use_time_seconds"], "seconds")

    def test_prometheus(self):
        self.check(list(parse_prometheus(self.text(Db.MetricsFormat.PROMETHEUS))))


@unittest.skipUnless(PROMTOOL, "promtool (Debian: prometheus) is missing")
class TestPromtool(MetricsStory):
    def promtool(self, text):
        done = subprocess.run(
            [PROMTOOL, "check", "metrics"], input=text, capture_output=True, encoding="utf-8", timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    def test_check_metrics(self):
        self.assertEqual(self.promtool(self.text(Db.MetricsFormat.PROMETHEUS)), (0, ""))
        self.assertEqual(self.promtool(self.odd.to_prometheus()), (0, ""))

    def test_it_would_say_so(self):
        twice = self.odd.to_prometheus() * 2
        self.assertNotEqual(self.promtool(twice)[0], 0)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fetch(url, accept=None):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return response.headers["Content-Type"], response.read().decode()


def eventually(function):
    """What function returns once that is something and no error."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            value = function()
        except OSError as error:
            value, problem = None, error
        else:
            problem = "nothing came"
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(problem)
        time.sleep(0.05)


def has_soup():
    try:
        gi.require_version("Soup", "3.0")
    except ValueError:
        return False
    return True


@unittest.skipUnless(has_soup(), "gir1.2-soup-3.0 is missing")
class TestServer(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="dbpool-metrics-")
        self.addCleanup(self.folder.cleanup)
        uri = f"sqlite:{self.folder.name}/shop.db"
        self.server = self.start([sys.executable, EXAMPLE, uri], stdout=subprocess.PIPE)
        self.url = self.server.stdout.readline().decode().strip()

    def start(self, command, **kwargs):
        process = subprocess.Popen(command, cwd=self.folder.name, **kwargs)

        def stop():
            process.terminate()
            self.assertIn(process.wait(PATIENCE), (0, -15))
            if process.stdout:
                process.stdout.close()

        self.addCleanup(stop)
        return process

    def test_formats(self):
        kind, text = fetch(self.url)
        self.assertEqual(kind, Db.METRICS_CONTENT_TYPE_PROMETHEUS)
        self.assertIn('db_client_connection_max{pool="shop"} 4\n', text)
        kind, text = fetch(self.url, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        self.assertEqual(kind, Db.METRICS_CONTENT_TYPE_OPENMETRICS)
        self.assertTrue(text.endswith("\n# EOF\n"))
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(self.url, data=b"", timeout=PATIENCE)
        self.assertEqual(caught.exception.code, 405)
        caught.exception.close()

    @unittest.skipUnless(PROMETHEUS, "prometheus is missing")
    def test_scrape(self):
        target = urllib.parse.urlsplit(self.url).netloc
        with open(f"{self.folder.name}/prometheus.yml", "w", encoding="utf-8") as file:
            json.dump({  # which is YAML, too
                "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                "scrape_configs": [{"job_name": "dbpool", "static_configs": [{"targets": [target]}]}],
            }, file)
        address = f"127.0.0.1:{free_port()}"
        with open(f"{self.folder.name}/log", "wb") as log:
            self.start(
                [PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                 f"--web.listen-address={address}"],
                stdout=log, stderr=log,
            )

        def ask(query):
            parameters = urllib.parse.urlencode({"query": query})
            answer = json.loads(fetch(f"http://{address}/api/v1/query?{parameters}")[1])
            self.assertEqual(answer["status"], "success")
            return [(result["metric"], float(result["value"][1])) for result in answer["data"]["result"]]

        # Two looks that differ: it goes on scraping, and the program working.
        first = eventually(lambda: ask("db_client_operation_duration_seconds_count"))
        labels, count = first[0]
        self.assertEqual(labels["pool"], "shop")
        eventually(lambda: ask(f"db_client_operation_duration_seconds_count > {count}"))
        self.assertEqual(ask('up{job="dbpool"}')[0][1], 1)
        self.assertEqual(ask("db_client_connection_max")[0][1], 4)
        self.assertEqual(ask("sum(db_client_connections)")[0][1], 1)
        self.assertEqual(ask('db_client_connections_dropped_total{reason="broken"}')[0][1], 0)
        slowest = ask("histogram_quantile(0.99, db_client_operation_duration_seconds_bucket)")
        self.assertGreater(slowest[0][1], 0)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
