"""PyPI removebg: every case as a file, saved as FILE_no_bg.png; its default call as base64 and as URL too."""

import base64
import json
import shutil
import sys
from pathlib import Path

import removebg

order = json.load(sys.stdin)
folder = Path(order["folder"])
client = removebg.RemoveBg(order["key"], str(folder / "error.log"))
for name, options in order["cases"].items():
    photo = shutil.copy(order["photo"], folder / f"{name}.jpg")
    client.remove_background_from_img_file(str(photo), **options)
    Path(f"{photo}_no_bg.png").rename(folder / name)
encoded = base64.b64encode(Path(order["photo"]).read_bytes()).decode()
client.remove_background_from_base64_img(encoded, new_file_name=str(folder / "base64"))
client.remove_background_from_img_url(order["url"], new_file_name=str(folder / "url"))
json.dump({}, sys.stdout)
