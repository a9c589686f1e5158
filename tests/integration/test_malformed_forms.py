"""Forms that no program sends by intention: refused with the client's error, never with this service's."""

import pytest

from tests.photos import wish
from tests.service import Service

ROUTES = {"/api/v1/remove/upload": "file", "/api/remove": "file", "/v1.0/removebg": "image_file"}
PARAMETERS = ("filename*=idna''a%80", 'filename="=?utf-8?B?a?="', "x=" + ";" * 100, "filename=a")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("boundary", ["b", "b" * 300])
def test_a_malformed_form_is_the_clients_error(
    fake: Service, path: str, parameter: str, boundary: str
) -> None:
    """At one route they were status 500 with a traceback; elsewhere the error did not say what is wrong."""
    head = f'Content-Disposition: form-data; name="{ROUTES[path]}"; {parameter}'
    content = b"\r\n".join([f"--{boundary}".encode(), head.encode(), b"", wish(), f"--{boundary}--".encode()])
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    response = fake.client.post(fake.url + path, content=content + b"\r\n", headers=headers)
    if len(boundary) > 256:
        assert (response.status_code, "boundary" in response.text) == (400, True)
    elif ";;" in parameter:
        assert (response.status_code, "semicolons" in response.text) == (400, True)
    else:
        assert response.status_code == 200, response.text
    assert "\nTraceback" not in fake.log


@pytest.mark.parametrize("path", ROUTES)
def test_a_name_in_an_unknown_charset_is_a_name_like_others(fake: Service, path: str) -> None:
    """A lone surrogate in it made the answer one about JSON."""
    content = b"--b\r\nContent-Disposition: form-data; name*=unicode_escape''%5Cud800\r\n\r\nx\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = fake.client.post(fake.url + path, content=content, headers=headers)
    assert response.status_code in (400, 422)
    assert "JSON" not in response.text
