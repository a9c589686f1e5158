"""Reachability check of the PyTorch package index."""

import asyncio

import pytest

from supervisor.environment.torch_index import is_reachable


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_an_unusable_proxy_means_unreachable(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users set ALL_PROXY to a SOCKS proxy, for example; the install continues with pip's default index."""
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.delenv(name.lower(), raising=False)
    assert not asyncio.run(is_reachable("http://index.invalid"))
