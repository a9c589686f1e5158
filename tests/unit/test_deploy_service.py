"""The files for one service in scripts/deploy, each checked by the program that reads it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from supervisor.observability.metrics import Metrics, render_metrics
from supervisor.settings import PREFIX, Settings
from tests.service import ROOT

DEPLOY = ROOT / "scripts" / "deploy"
MONITORING = DEPLOY / "monitoring"
COMPOSE = DEPLOY / "compose-service.yaml"
NAME = re.compile(r"\bbgremove_\w+")
SUFFIXES = ("_bucket", "_sum", "_count")


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a program and return its output; it must succeed."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def exposed_metrics() -> set[str]:
    """Return the names of all metrics of a service with one worker."""
    worker = {"model": "m", "device": "cpu", "state": "ready", "generation": 1, "restarts": 0, "jobs_done": 1}
    worker |= {"rss_bytes": 1, "device_memory_bytes": 1, "nodes": []}
    text = render_metrics(Metrics(), 1, 0, 64, [worker]).decode()  # type: ignore[list-item]
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def test_the_container_has_a_token_hosts_and_a_health_check() -> None:
    """Without the two variables it does not start; its port is for the proxy on the same machine."""
    yaml = pytest.importorskip("yaml")  # Ray's
    service = yaml.safe_load(COMPOSE.read_text())["services"]["bgremove"]
    for name in ("BGREMOVE_TOKEN", "BGREMOVE_ALLOWED_HOSTS"):
        assert service["environment"][name].startswith(f"${{{name}:?")
    assert {name.removeprefix(PREFIX).lower() for name in service["environment"]} <= set(
        Settings.model_fields
    )
    assert service["ports"] == ["127.0.0.1:6905:6905"]
    compile(service["healthcheck"]["test"][3], "healthcheck", "exec")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's package prometheus")
def test_prometheus_accepts_its_configuration_and_the_alerts_fire() -> None:
    """promtool also runs the tests of the alerts."""
    run("promtool", "check", "config", MONITORING / "prometheus.yml")
    assert "SUCCESS" in run("promtool", "test", "rules", MONITORING / "alerts_test.yml")


@pytest.mark.parametrize("name", ["alerts.yml", "alerts_test.yml", "grafana-dashboard.json"])
def test_alerts_and_dashboard_use_metrics_that_the_service_has(name: str) -> None:
    """A renamed metric would leave an empty panel, or an alert that never fires."""
    exposed = exposed_metrics()
    known = exposed | {each + suffix for each in exposed for suffix in SUFFIXES}
    used = set(NAME.findall((MONITORING / name).read_text()))
    assert used
    assert used <= known


def test_the_dashboards_queries_name_its_variables() -> None:
    """Each panel is of the chosen data source and instances."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert names == {"datasource", "instance"}
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all("$instance" in target["expr"] for target in panel["targets"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's package prometheus")
def test_promtool_parses_the_dashboards_queries(tmp_path: Path) -> None:
    """As the expressions of rules, with Grafana's variables replaced."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"panel:{index}", "expr": query.replace("$__rate_interval", "1m")}
        for index, query in enumerate(queries)
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    run("promtool", "check", "rules", tmp_path / "rules.yml")


def make_certificate(folder: Path) -> None:
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = "images.example.com"
    run(*key, "-subj", f"/CN={name}", "-out", f"{name}.pem", "-keyout", f"{name}-key.pem", cwd=folder)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    """With a certificate made for the test, on another port."""
    make_certificate(tmp_path)
    text = (DEPLOY / "nginx-service.conf").read_text().replace("/etc/bgremove", str(tmp_path))
    server = text.replace("listen 443", "listen 127.0.0.1:8443")
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {server} }}"
    )
    run("nginx", "-t", "-e", tmp_path / "log", "-p", tmp_path, "-c", tmp_path / "nginx.conf")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="needs Caddy")
def test_caddy_accepts_its_configuration() -> None:
    """Only the adapter runs: a server would ask for a certificate."""
    run("caddy", "adapt", "--config", DEPLOY / "Caddyfile-service", "--adapter", "caddyfile")
