"""The files in scripts/deploy name existing files, settings and ports; nothing is built or booted."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from supervisor.settings import PREFIX, Settings
from tests.service import ROOT

DOCKERFILE = ROOT / "scripts" / "deploy" / "Dockerfile"
UNIT = ROOT / "scripts" / "deploy" / "bgremove.service"
NGINX = ROOT / "scripts" / "deploy" / "nginx.conf"
CADDYFILE = ROOT / "scripts" / "deploy" / "Caddyfile"
COMPATIBILITY = ROOT / "docs" / "compatibility.md"
CADDY = shutil.which("caddy")
ANALYZE = shutil.which("systemd-analyze")


def test_the_image_copies_every_file_that_its_build_uses() -> None:
    """A renamed requirement list would break the build."""
    text = DOCKERFILE.read_text()
    copied = [
        Path(word) for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()
    ]
    used = [Path(word) for word in re.findall(r"-[cr] (\S+)", text)]
    assert copied
    assert all((ROOT / path).exists() for path in (*copied, *used))
    assert all(any(path.is_relative_to(place) for place in copied) for path in used)


def test_the_image_copies_every_package_that_the_service_imports() -> None:
    """Otherwise the container would not start."""
    text = DOCKERFILE.read_text()
    assert {"supervisor", "worker", "shared"} <= set(re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE))


@pytest.mark.parametrize("path", [DOCKERFILE, UNIT], ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    """The service refuses to start with an unknown one."""
    names = re.findall(rf"\b{PREFIX}(\w+)=", path.read_text())
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """systemd only warns about unknown directives."""
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?<=^ExecStart=)\S+", "/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run([str(ANALYZE), "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="needs Caddy")
def test_caddy_accepts_its_configuration(tmp_path: Path) -> None:
    """nginx's is used by the tests of remove.bg's clients."""
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-subj", "/CN=api.remove.bg", "-out", "api.remove.bg.pem", "-keyout", "api.remove.bg-key.pem"]
    subprocess.run([*key, *files], cwd=tmp_path, check=True, capture_output=True)
    text = (ROOT / "scripts" / "deploy" / "Caddyfile").read_text().replace("/etc/bgremove", str(tmp_path))
    (tmp_path / "Caddyfile").write_text(text)
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", "Caddyfile"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [NGINX, CADDYFILE], ids=lambda path: path.name)
def test_a_proxy_finds_the_service_and_the_documented_certificate(path: Path) -> None:
    """Both listen on this machine only: the service has no token by default."""
    text = path.read_text()
    assert f"127.0.0.1:{Settings.model_fields['port'].default}" in text
    assert re.search(r"listen 127\.0\.0\.1:443 ssl;|bind 127\.0\.0\.1$", text, re.MULTILINE)
    files = re.findall(r"/etc/bgremove/([\w.-]+pem)", text)
    assert sorted(files) == sorted(re.findall(r"-(?:out|keyout) (\S+)", COMPATIBILITY.read_text()))


@pytest.mark.parametrize("path", [NGINX, ROOT / "docs" / "deployment.md"], ids=lambda path: path.name)
def test_nginx_forwards_the_address_of_clients(path: Path) -> None:
    """Otherwise remote clients count as local ones, which may install packages; Caddy does so by default."""
    for header in ("X-Forwarded-For", "X-Client-Id"):
        assert f"proxy_set_header {header} $remote_addr;" in path.read_text()


@pytest.mark.skipif(CADDY is None, reason="caddy is not installed")
def test_caddy_accepts_the_caddyfile() -> None:
    """Without the certificate, which it would load: only the adapter runs."""
    command = [str(CADDY), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
