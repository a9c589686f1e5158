"""Whether an index of PyTorch answers."""

import asyncio

import pytest

from supervisor.environment.torch_index import answers


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_no_proxy_of_any_kind_ends_an_install(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many set one for all protocols, often a SOCKS one; pip goes its own way, and this index is a luxury."""
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.delenv(name.lower(), raising=False)
    assert not asyncio.run(answers("http://index.invalid"))
