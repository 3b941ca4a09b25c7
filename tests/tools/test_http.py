"""The tool ``http-client`` against a local site that behaves as badly as sites do."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from nasty_site import serve

import orchestrator_dagster as orc
from orchestrator_dagster.errors import (
    HttpStatusError,
    ParametersError,
    PathError,
    SizeLimitError,
    StepTimeoutError,
    ToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.http import http_client
from orchestrator_dagster.tools.network import fetching
from orchestrator_dagster.tools.network.addresses import is_public
from orchestrator_dagster.tools.settings import ToolSettings
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def site():
    with serve() as one:
        yield one


@pytest.fixture
def call(tmp_path, site):
    """Calls an action in a project that allows the site."""

    def make(action, path, settings=None, log=None, **parameters):
        settings = settings or ToolSettings(allowed_hosts=[site.host])
        context = ToolContext(Workspace(tmp_path), settings=settings, log=log or (lambda line: None))
        url = site.url + path if path.startswith("/") else path
        return http_client.find(action).call(context, {"url": url, **parameters})

    return make


def test_requests_and_answers(call, site):
    got = call("get", "/echo?a=1", params={"b": "ü"}, headers={"X-Own": "yes"})
    assert (got["status_code"], got["success"], got["content_type"]) == (200, True, "application/json")
    assert got["json"] == got["body"] == json.loads(got["text"])
    assert got["json"]["query"] == {"a": "1", "b": "ü"}
    assert got["json"]["headers"]["x-own"] == "yes"
    assert got["url"] == f"{site.url}/echo?a=1&b=%C3%BC"
    assert call("post", "/echo", json={"n": [1, "é"]})["json"]["body"] == '{"n": [1, "é"]}'
    form = call("post", "/echo", data={"a": [1, 2], "b": "x y"})["json"]
    assert (form["body"], form["headers"]["content-type"]) == ("a=1&a=2&b=x+y", "application/x-www-form-urlencoded")
    assert call("request", "/echo", method="patch", data="plain")["json"]["method"] == "PATCH"
    assert call("put", "/echo", auth={"token": "t"})["json"]["headers"]["authorization"] == "Bearer t"
    assert (
        call("delete", "/echo", auth={"username": "a", "password": "b"})["json"]["headers"]["authorization"]
        == "Basic YTpi"
    )
    head = call("head", "/article")
    assert (head["body"], head["size"]) == ("", 0)
    assert int(head["headers"]["content-length"]) > 1000
    raw = call("get", "/bytes")
    assert (raw["encoding"], raw["size"], len(raw["body"])) == ("base64", 256, 344)
    with pytest.raises(ParametersError, match="one body"):
        call("post", "/echo", json={}, data="x")
    with pytest.raises(ParametersError, match='no parameter "json"'):
        call("get", "/echo", json={})


def test_statuses(call, site):
    with pytest.raises(HttpStatusError, match="status 404: there is nothing here") as failed:
        call("get", "/missing?token=planted")
    assert failed.value.permanent
    assert "planted" not in str(failed.value)
    assert call("get", "/missing", allowed_status=[404])["status_code"] == 404
    assert call("get", "/status?code=500", check=False)["text"] == "status 500"
    with pytest.raises(HttpStatusError) as failed:
        call("get", "/status?code=429&wait=7")
    assert (failed.value.retry_after, failed.value.permanent) == (7.0, False)
    with pytest.raises(HttpStatusError) as failed:
        call("get", "/status?code=503")
    assert not failed.value.permanent
    with pytest.raises(ToolError, match="JSON, which it is not"):
        call("get", "/not_json")


def test_redirects(call, site):
    got = call("get", "/to?url=/to%3Furl%3D/echo")
    assert got["url"] == f"{site.url}/echo"
    assert len(got["history"]) == 2
    assert call("get", "/to?url=/echo", follow_redirects=False)["status_code"] == 302
    with pytest.raises(ToolError, match="redirects more than 10 times"):
        call("get", "/round")
    for target in (
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "javascript:alert(1)",
        "data:text/plain,x",
    ):
        with pytest.raises(ToolError, match="no http or https URL"):
            call("get", f"/to?url={target}")


PRIVATE = [
    "127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost", "localhost.", "LOCALHOST",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "[fd12::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "127.0.0.1%00.example.com", "①②⑦.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_no_private_address(call, site, host):
    strict = ToolSettings()
    for url in (f"http://{host}:{site.port}/echo", f"{site.url}/to?url=http://{host}:1/echo"):
        settings = strict if url.startswith(f"http://{host}") else None
        with pytest.raises((ToolError, ParametersError)):
            call("get", url, settings=settings, timeout=5)
    assert "/echo" not in site.paths


def test_what_is_public():
    import ipaddress

    public = ("1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101")
    assert all(is_public(ipaddress.ip_address(one)) for one in public)


def test_what_is_allowed(call, site):
    for hosts in ([site.host], ["127.0.0.1"], [f"localhost:{site.port}", "*.local", site.host.upper()]):
        assert call("get", "/echo", settings=ToolSettings(allowed_hosts=hosts))["status_code"] == 200
    assert call("get", "/echo", settings=ToolSettings(allow_private_addresses=True))["status_code"] == 200
    for hosts in ([], ["127.0.0.1:1"], ["localhost"], ["127.0.0.2"]):
        with pytest.raises(ToolError, match="private, local or reserved") as refused:
            call("get", "/echo", settings=ToolSettings(allowed_hosts=hosts))
        assert refused.value.permanent
        assert f'allowed_hosts: ["{site.host}"]' in refused.value.hint
    with pytest.raises(ValueError, match="no host"):
        ToolSettings(allowed_hosts=["http://127.0.0.1"])
    wild = ToolSettings(allowed_hosts=["*.example.com", "[::1]:80"])
    assert wild.allows("a.example.com", 1)
    assert wild.allows("::1", 80)
    assert not wild.allows("::1", 81)
    assert not wild.allows("example.com", 1)
    assert not wild.allows("aexample.com", 1)


@pytest.fixture
def names(monkeypatch):
    """Names of this test's own, beside those of the system: each look-up takes the next answer."""
    answers: dict[str, list[str]] = {}
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host, port, *args, **keywords):
        if host not in answers:
            return real(host, port, *args, **keywords)
        asked.append(host)
        address = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return real(address, port, *args, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    answers["asked"] = asked
    return answers


def test_a_name_that_changes_its_address(call, site, names):
    """The connection goes to the address that was checked: the name is not looked up again."""
    names["rebind.test"] = ["1.1.1.1", "127.0.0.1"]
    with pytest.raises((ToolError, StepTimeoutError)):
        call("get", f"http://rebind.test:{site.port}/echo", settings=ToolSettings(), timeout=1)
    assert names["asked"] == ["rebind.test"]
    assert site.paths == []
    names["inside.test"] = ["127.0.0.1"]
    with pytest.raises(ToolError, match=r"has the address 127\.0\.0\.1, which is private"):
        call("get", f"http://inside.test:{site.port}/echo", settings=ToolSettings())
    with pytest.raises(ToolError, match=r"inside.test"):
        call("get", f"/to?url=http://inside.test:{site.port}/echo")
    got = call("get", f"http://inside.test:{site.port}/echo", settings=ToolSettings(allowed_hosts=["inside.test"]))
    assert got["json"]["headers"]["host"] == f"inside.test:{site.port}"


def test_another_host_does_not_get_the_first_ones_headers(call, site, names):
    names["a.test"] = names["b.test"] = ["127.0.0.1"]
    settings = ToolSettings(allowed_hosts=["*.test"])
    got = call(
        "get", f"http://a.test:{site.port}/to?url=http://b.test:{site.port}/echo",
        settings=settings, headers={"X-Api-Key": "planted", "Accept": "text/x"}, auth={"token": "planted"},
    )  # fmt: skip
    assert "planted" not in got["text"]
    assert got["json"]["headers"]["accept"] == "text/x"
    assert site.requests[0][2]["x-api-key"] == "planted"


def test_nothing_is_kept_or_shown(call, site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    lines: list[str] = []
    url = f"http://user:planted1@{site.host}/echo?key=planted2"
    got = call("get", url, log=lines.append, headers={"X-Key": "planted3"})
    assert got["json"]["headers"]["authorization"].startswith("Basic ")
    assert "planted" not in got["url"].replace("key=planted2", "")
    assert lines
    assert "planted" not in " ".join(lines)
    assert "cookie" not in call("get", "/echo")["json"]["headers"]  # the first answer has set one


def test_sizes_are_limited(call):
    for path in ("/endless", "/bomb"):
        began = time.monotonic()
        with pytest.raises(SizeLimitError, match="more than 100,000 bytes"):
            call("get", path, max_bytes=100_000)
        assert time.monotonic() - began < 60
    for way in ("gzip", "deflate", "raw", "two"):
        assert call("get", f"/packed?way={way}")["text"] == "packed text " * 1000
    for way, match in (("broken", "breaks off"), ("wrong", "is broken"), ("br", "packed as br")):
        with pytest.raises(ToolError, match=match):
            call("get", f"/packed?way={way}")


@pytest.mark.parametrize("path", ["/drip", "/drip_headers", "/silent"])
def test_the_time_is_that_of_the_whole(call, path):
    with pytest.raises(StepTimeoutError, match="within 1 seconds"):
        call("get", path, timeout=1)


def test_broken_answers(call):
    for path in ("/cut", "/nonsense"):
        with pytest.raises(ToolError, match="broke off"):
            call("get", path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(ToolError, match="cannot be reached"):
        call("get", f"http://127.0.0.1:{port}/", settings=ToolSettings(allow_private_addresses=True))
    with pytest.raises(ToolError, match="cannot be found"):
        call("get", "http://no-such-host.invalid/", settings=ToolSettings())
    for url in ("file:///etc/passwd", "ftp://x/y", "http://", "://x", "http://[::1", "unix:///run/x.sock", "http:///x"):
        with pytest.raises(ParametersError, match="URL"):
            call("get", url)
    for headers in ({"bad\nname": "x"}, {"x": "a\r\nInjected: yes"}, {"x": "ü"}):
        with pytest.raises((ParametersError, ToolError)):
            call("get", "/echo", headers=headers)


@pytest.mark.parametrize(
    ("query", "encoding"),
    [
        ("says=utf-8&really=utf-8", "utf-8"),
        ("says=latin-1&really=cp1252", "cp1252"),
        ("says=utf-8&really=cp1252", "cp1252"),  # it lies
        ("says=nonsense&really=utf-8", "utf-8"),
        ("says=base64&really=utf-8", "utf-8"),
        ("really=utf-8", "utf-8"),
        ("really=cp1252", "cp1252"),
        ("really=utf-16", "utf-16"),
        ("really=utf-8-sig", "utf-8"),
        ("meta=windows-1252&really=cp1252", "cp1252"),
        ("meta=utf-16&really=utf-8", "utf-8"),
        ("meta=iso-8859-15&really=iso-8859-15", "iso8859-15"),
    ],
)
def test_encodings(call, query, encoding):
    got = call("get", f"/encoded?{query}")
    assert "Der Käse aus Brüssel kostet 5 €" in got["text"]
    assert got["encoding"] == encoding


def test_long_texts_are_recognised(call):
    text = "Ёжик в тумане шёл по тропинке и думал о том, что у него есть варенье. " * 12
    got = call("get", "/encoded?really=cp1251", params={"text": text})
    assert got["text"] == text


def test_saving(call, tmp_path):
    got = call("download", "/bytes", save_to="got/data.bin")
    assert (tmp_path / "got/data.bin").read_bytes() == bytes(range(256))
    assert (got["path"], got["size"], got["body"]) == ("got/data.bin", 256, None)
    with pytest.raises(PathError):
        call("get", "/bytes", save_to="../out.bin")
    with pytest.raises(HttpStatusError):
        call("get", "/missing", save_to="got/none.bin")
    assert not (tmp_path / "got/none.bin").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate")
def test_certificates_are_checked_against_the_name(call, names, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    made += [
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        "-subj",
        "/CN=site.test",
        "-addext",
        "subjectAltName=DNS:site.test",
    ]
    subprocess.run(made, check=True, capture_output=True)
    names["site.test"] = names["other.test"] = ["127.0.0.1"]
    settings = ToolSettings(allowed_hosts=["*.test"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    fetching._trust.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    try:
        with serve(context) as secure:
            assert call("get", f"https://site.test:{secure.port}/echo", settings=settings)["status_code"] == 200
            with pytest.raises(ToolError, match="cannot be reached"):
                call("get", f"https://other.test:{secure.port}/echo", settings=settings)
            monkeypatch.delenv("SSL_CERT_FILE")
            fetching._trust.cache_clear()
            with pytest.raises(ToolError, match="cannot be reached"):
                call("get", f"https://site.test:{secure.port}/echo", settings=settings)
    finally:
        fetching._trust.cache_clear()


def test_in_a_pipeline(project, write, instance, site, monkeypatch):
    """The project's settings stand in its tools.py; a 503 is retried by the step; a secret is nowhere to be read."""
    monkeypatch.setenv("SERVICE_TOKEN", "planted-0123456789")
    write(
        "tools.py",
        f"from orchestrator_dagster import ToolSettings\n\nsettings = ToolSettings(allowed_hosts=['{site.host}'])\n",
    )
    write(
        "pipelines/p.yaml",
        f"""
id: p
inputs: {{token: {{type: secret, default: SERVICE_TOKEN}}}}
steps:
  - id: ask
    tool: http-client
    action: get
    parameters: {{url: "{site.url}/echo", headers: {{Authorization: "Bearer {{{{ token }}}}"}}}}
    vars: {{method: "{{{{ result.json.method }}}}", seen: {{type: string, value: "{{{{ result.json.headers.authorization }}}}"}}}}
  - id: again
    tool: http_client
    parameters: {{url: "{site.url}/status"}}
    retries: {{max: 2, delay: 0.1s}}
    timeout: 20
  - id: missing
    tool: http-client
    parameters: {{url: "{site.url}/missing"}}
    on_failure: continue
outputs: {{method: "{{{{ ask.method }}}}", status: "{{{{ again.status_code }}}}", seen: "{{{{ ask.seen }}}}"}}
""",
    )
    site.statuses += [503, 503, 200]
    result = orc.compile("pipelines/p.yaml").run(instance=instance)
    assert result.outputs["method"] == "GET", result.error
    assert result.outputs["status"] == 200
    assert result.steps["missing"]["error_type"] == "HttpStatusError"
    assert ("authorization", "Bearer planted-0123456789") in next(
        headers for _, path, headers, _ in site.requests if path == "/echo"
    ).items()
    assert "planted-0123" not in json.dumps(result.document)
    write(
        "pipelines/q.yaml",
        "id: q\nsteps: [{id: a, tool: http_request, action: get, parameters: {url: 'http://x/'}, vars: {a: '{{ result.jsn }}', b: '{{ result.text }}'}}]\n",
    )
    with pytest.raises(orc.PipelineError, match='no "jsn"; did you mean "json"'):
        orc.compile("pipelines/q.yaml")
