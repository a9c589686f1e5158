"""https://api.remove.bg on this machine: nginx with the shipped configuration, and a hosts file for clients.

Set up as docs/compatibility.md says, except that the hosts file is mounted for the clients' processes only.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared import file_lock
from tests.service import ROOT, Service, wait_for

NAME = "api.remove.bg"
CONFIGURATION = ROOT / "scripts" / "deploy" / "nginx.conf"
DOCUMENT = ROOT / "docs" / "compatibility.md"
SCRIPTS = Path(__file__).parent / "removebg_clients"
NPM_PACKAGES = ("axios@1.21.1", "remove.bg@1.3.0")
TIMEOUT_S = 60
# nginx's main configuration around the shipped server, in the foreground and within one folder.
MAIN = """
daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/server.conf;
}}
"""
# Runs the arguments after the hosts file with it as /etc/hosts, in a mount namespace of their own.
WITH_HOSTS = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')


@dataclass(frozen=True)
class RemovebgHost:
    """A service that programs reach as https://api.remove.bg, and the photos for them."""

    folder: Path
    certificate: Path
    hosts: Path

    def run(
        self, *command: object, stdin: str = "", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program for which api.remove.bg is this machine, and which trusts the certificate."""
        trust = dict.fromkeys(
            ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"),
            str(self.certificate),
        )
        return subprocess.run(
            [*WITH_HOSTS, self.hosts, *map(str, command)],
            input=stdin.encode(),
            env={**os.environ, **trust, **(variables or {})},
            cwd=self.folder,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def run_script(self, name: str, order: Mapping[str, object], packages: Path | None = None) -> Any:
        """Run one of the client scripts with its order as JSON on stdin; return what it prints."""
        interpreter = sys.executable if name.endswith(".py") else "node"
        variables = {"NODE_PATH": str(packages)} if packages else {}
        done = self.run(interpreter, SCRIPTS / name, stdin=json.dumps(order), variables=variables)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)


@contextmanager
def removebg_host(service: Service, folder: Path) -> Iterator[RemovebgHost]:
    """Run nginx in front of a service, on a loopback address of its own. Skips the test where it cannot."""
    skip_without("nginx", "openssl", "unshare")
    if os.geteuid() != 0:
        pytest.skip("only root may listen on port 443 and bind a hosts file")
    make_certificate(folder)
    address = f"127.{secrets.randbelow(200) + 1}.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {NAME}\n")
    server = CONFIGURATION.read_text().replace("/etc/bgremove/", f"{folder}/")
    server = server.replace("127.0.0.1:443", f"{address}:443").replace(
        "127.0.0.1:6905", f"127.0.0.1:{service.port}"
    )
    (folder / "server.conf").write_text(server)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    command = ["nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with (folder / "nginx.log").open("wb") as log, subprocess.Popen(command, stderr=log) as nginx:
        try:
            wait_for(lambda: nginx.poll() is not None or accepts(address, 443))
            assert nginx.poll() is None, (folder / "nginx.log").read_text()
            yield RemovebgHost(folder, folder / f"{NAME}.pem", hosts)
        finally:
            nginx.terminate()


def make_certificate(folder: Path) -> None:
    """Make the certificate and its key by the command of the documentation."""
    command = re.search(r"^ *openssl req (?:.*\\\n)*.*$", DOCUMENT.read_text(), re.MULTILINE)
    assert command
    subprocess.run([str(shutil.which("sh")), "-c", command[0]], cwd=folder, check=True, capture_output=True)


def accepts(address: str, port: int) -> bool:
    """Whether a server listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def skip_without(*programs: str) -> None:
    """Skip the test if one of the programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} is not installed")


def install_npm_packages(cache: Path) -> Path:
    """Install the npm clients into a cache folder, once for all processes; return its node_modules."""
    skip_without("npm", "node")
    installed = cache / "+".join(NPM_PACKAGES)
    with file_lock.acquire(cache / "npm.lock", on_wait=lambda: None):
        if not installed.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
                command = ("npm", "install", "--prefix", "new", *flags, *NPM_PACKAGES)
                subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=TIMEOUT_S)
                (Path(scratch) / "new").rename(installed)
    return installed / "node_modules"
