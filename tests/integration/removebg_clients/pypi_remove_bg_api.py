"""PyPI remove-bg-api: every case as a file; its default call as bytes, base64 and URL too; the account."""

import base64
import json
import sys
from pathlib import Path

import remove_bg_api

order = json.load(sys.stdin)
folder = Path(order["folder"])
client = remove_bg_api.RemoveBg(order["key"])  # reads the account
photo = Path(order["photo"])
for name, options in order["cases"].items():
    data = dict(options) or None  # without options, the client sends its own
    client.remove_bg_file(str(photo), out_path=str(folder / name), raw=False, data=data)
encoded = base64.b64encode(photo.read_bytes()).decode()
(folder / "bytes").write_bytes(client.remove_bg_bytes(photo.read_bytes()))
(folder / "base64").write_bytes(client.remove_bg_base64(encoded))
(folder / "url").write_bytes(client.remove_bg_url(order["url"]))
json.dump({"balance": client.account.balance(), "free_calls": client.account.free_api_calls()}, sys.stdout)
