"""A server of S3 on this machine, for tests: moto's."""

from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """fsspec's file system of an S3 server with the empty bucket ``songs``, which commands find."""
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("flask_cors", reason="flask-cors is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # of another server
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("songs")
    yield files
    s3fs.S3FileSystem.clear_instance_cache()
    # its contents are kept for the next server of the process
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST"), timeout=60).close()
    running.stop()
