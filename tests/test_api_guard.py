"""Who may ask: what a hostile page, a rebound name or a stranger sends never reaches a route."""

from __future__ import annotations

import contextlib
import hmac
import http.client
import io
import json

import pytest
from pydantic import SecretStr

from nas_syncd.api.guard import is_loopback, own_hosts, require_token
from nas_syncd.api.protocol import Limits
from nas_syncd.errors import ConfigurationError
from nas_syncd.localsocket import connect_local
from nas_syncd.logs import configure_logging, shutdown_logging
from tests.api_shell import Served, ask, read, request, serving

TOKEN = "a token of 26 characters é"
BEARER = ("Authorization", f"Bearer {TOKEN}")
LIMITS = Limits(body_bytes=1000, body_seconds=0.3)


@pytest.fixture(scope="module")
def plain():
    """Loopback, no token; the computer is called ``bureau``."""
    with serving(hosts=["Bureau.lan."], limits=LIMITS, language="en") as served:
        assert served.server.wait_ready(5)
        yield served


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A token is set; a local socket is open, too."""
    local = tmp_path_factory.mktemp("run") / "api.sock"
    with serving(local=local, token=SecretStr(TOKEN), limits=LIMITS, language="en") as served:
        assert served.server.wait_ready(5)
        yield served


def refused(served: Served, method: str = "GET", target: str = "/sync/status", **more):
    """Return status and code of a refusal that the application never heard of."""
    before = len(served.app.seen)
    answer = served.ask(method, target, **more)
    assert len(served.app.seen) == before, "it came through"
    return answer.status, None if method == "HEAD" else answer.json["code"]


# -- names: DNS rebinding -------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8377",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:80",
        "192.168.1.20:8377",
        "[::1]",
        "[::1]:8377",
        "[2001:DB8::7]:1",
        "[::ffff:127.0.0.1]",
        "bureau.lan",
        "BUREAU.LAN.:8377",
    ],
)
def test_our_own_names_and_addresses_are_answered(plain, host):
    assert plain.ask(host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8377",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:8377@evil.example",
        "localhost#evil",
        "localhost/evil",
        "localhost\\evil",
        "localhost evil",
        "localhost:",
        "localhost:0",
        "localhost:99999",
        "localhost:8377:1",
        "localhost..",
        "127.1",
        "2130706433",
        "127.0.0.01",
        "0x7f.0.0.1",
        "::1",
        "[::1",
        "[::1%25eth0]",
        "[127.0.0.1]",
        "[localhost]",
        "lan",
        ".",
        "",
        "lôcalhost",
    ],
)
def test_a_name_that_is_not_ours_is_refused(plain, host):
    assert refused(plain, host=host) == (421, "api.wrong_host")
    assert refused(plain, "POST", "/sync/test", host=host) == (421, "api.wrong_host")
    assert refused(plain, target="/", host=host) == (421, "api.wrong_host")


def test_no_name_at_all_is_refused(plain):
    assert refused(plain, host=None, version="1.0") == (421, "api.wrong_host")
    assert plain.ask(version="1.0").status == 200


def test_two_names_are_refused(plain):
    answer = plain.ask(headers=[("Host", "evil.example")])
    assert (answer.status, answer.json["code"]) == (400, "api.bad_request")


def test_the_refusal_shows_the_name_in_one_harmless_line(plain):
    answer = plain.ask(host="evil\u202e.example")
    assert "“evil\\u202e.example”" in answer.json["detail"]
    assert answer.json["detail"].endswith(".")


def test_a_token_makes_up_for_a_foreign_name(locked):
    assert refused(locked, host="nas.example.org") == (421, "api.wrong_host")
    assert locked.ask(host="nas.example.org", headers=[BEARER]).status == 200


def test_behind_a_token_the_empty_page_may_stand_behind_any_name(locked):
    """Else no proxy could show it; there is nothing in it, and nothing else answers."""
    assert locked.ask(target="/", host="nas.example.org").status == 200
    assert locked.ask(target="/page/app.js", host="nas.example.org").status == 200
    for target in ("/healthz", "/readyz", "/page/../sync/status"):
        assert refused(locked, target=target, host="nas.example.org") == (421, "api.wrong_host")


# -- other sites ----------------------------------------------------------------------------

FOREIGN = [
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "")],
    [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://evil.example")],
    [("Origin", "http://evil.example")],
    [("Origin", "null")],
    [("Origin", "")],
    [("Origin", "http://localhost:8377")],
    [("Origin", "https://localhost")],
    [("Origin", "http://127.0.0.1")],
    [("Origin", "http://localhost@evil.example")],
    [("Origin", "http://localhost/")],
    [("Origin", "file://")],
    [("Origin", "chrome-extension://localhost")],
    [("Origin", "http://localhost"), ("Origin", "http://evil.example")],
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/sync/test"),
        ("GET", "/sync/status"),
        ("GET", "/healthz"),
        ("HEAD", "/sync/status"),
        ("OPTIONS", "/sync/status"),
        ("GET", "/page/app.js"),
        ("BREW", "/sync/status"),
    ],
)
def test_another_site_can_neither_do_nor_read_anything(plain, locked, method, target, headers):
    code = None if method == "HEAD" else "api.cross_site"
    assert refused(plain, method, target, headers=headers) == (403, code)
    with_origin_only = all(name == "Origin" for name, _ in headers)
    if headers[0][1] not in ("same-origin",) or with_origin_only:
        held = [*headers, BEARER]
        assert refused(locked, method, target, headers=held) == (403, code)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost")],
        [("Origin", "HTTP://LocalHost")],
        [("Origin", "http://localhost:80")],
    ],
)
def test_our_own_page_and_a_command_are_answered(plain, headers):
    assert plain.ask("POST", "/sync/test", headers=headers).status == 200
    assert plain.ask(headers=headers).status == 200


def test_an_origin_has_the_port_that_was_asked(plain):
    same = [("Origin", "http://[::1]:8377")]
    assert plain.ask("POST", "/sync/test", host="[0::1]:8377", headers=same).status == 200
    assert refused(plain, "POST", "/sync/test", host="[::1]:8378", headers=same)[0] == 403


def test_a_link_on_another_site_leads_to_the_page_and_to_nothing_else(plain):
    link = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ]
    assert plain.ask(target="/", headers=link).status == 200
    for method, target in [("GET", "/sync/status"), ("GET", "/page/app.js"), ("POST", "/")]:
        assert refused(plain, method, target, headers=link) == (403, "api.cross_site")
    framed = [*link[:2], ("Sec-Fetch-Dest", "iframe")]
    assert refused(plain, target="/", headers=framed) == (403, "api.cross_site")
    fetched = [link[0], ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")]
    assert refused(plain, target="/", headers=fetched) == (403, "api.cross_site")


def test_behind_a_proxy_the_browsers_word_and_the_token_are_enough(locked):
    seen_there = [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://nas.example.org")]
    post = ("POST", "/sync/test")
    assert locked.ask(*post, headers=[*seen_there, BEARER]).status == 200
    assert refused(locked, *post, headers=seen_there) == (403, "api.cross_site")
    assert refused(locked, *post, headers=[seen_there[1], BEARER]) == (403, "api.cross_site")
    script = locked.ask("GET", "/page/app.js", headers=seen_there)
    assert script.status == 200, "a module's script is fetched before there is a token"
    evil = [("Sec-Fetch-Site", "cross-site"), seen_there[1]]
    assert refused(locked, "GET", "/page/app.js", headers=evil) == (403, "api.cross_site")


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost", None])
def test_a_preflight_is_told_nothing(plain, origin):
    asked = [("Access-Control-Request-Method", "POST")]
    if origin:
        asked.append(("Origin", origin))
    answer = plain.ask("OPTIONS", "/sync/test", headers=asked)
    assert answer.status in (403, 405)
    assert no_cors(answer)


def no_cors(answer):
    return not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


# -- the token ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Bearer wrong")],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", f"Bearer {TOKEN[:-1]}")],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", TOKEN)],
        [("Authorization", b"Bearer \xff\xfe\x80")],
        [("Authorization", TOKEN.encode("latin-1"))],
        [BEARER, ("Authorization", "Bearer wrong")],
        [BEARER, BEARER],
    ],
)
@pytest.mark.parametrize(
    "target", ["/sync/status", "/openapi.json", "/metrics", "/healthz/", "//", "/page", "/Page/x"]
)
def test_without_the_token_nothing_but_the_open_paths_answers(locked, header, target):
    answer = locked.ask(target=target, headers=header)
    assert (answer.status, answer.json["code"]) == (401, "api.unauthorized")
    assert answer.header("WWW-Authenticate") == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens(locked, scheme):
    answer = locked.ask(headers=[("Authorization", f"{scheme} {TOKEN} ")])
    assert answer.json["trusted"] is True


@pytest.mark.parametrize("target", ["/", "/page/app.js", "/healthz", "/readyz"])
def test_the_open_paths_know_whom_they_may_tell_more(locked, plain, target):
    assert locked.ask(target=target).json["trusted"] is False
    assert locked.ask(target=target, headers=[("Authorization", "Bearer no")]).status == 200
    assert locked.ask(target=target, headers=[BEARER]).json["trusted"] is True
    assert plain.ask(target=target).json["trusted"] is True


def test_tokens_are_compared_in_constant_time(locked, monkeypatch):
    compared = []

    def compare(given, kept):
        compared.append((given, kept))
        return real(given, kept)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert locked.ask(headers=[("Authorization", "Bearer wrong")]).status == 401
    assert compared == [(b"wrong", TOKEN.encode())]


def test_the_local_socket_asks_for_nothing(locked):
    path = next(url for url in locked.server.urls if url.startswith("unix:"))
    with contextlib.closing(connect_local(path.removeprefix("unix:"), 5)) as connection:
        foreign = [("Origin", "http://evil.example")]
        answer = ask(connection, "POST", "/sync/test", headers=foreign, host="x y")
        assert answer.json == {"trusted": True, "bytes": 0}
        long = ask(connection, "POST", "/sync/test", body=b"x" * 1001)
        assert (long.status, long.json["code"]) == (413, "api.body_too_large")


# -- bodies ---------------------------------------------------------------------------------


def test_a_body_within_the_bounds_arrives_whole(plain):
    assert plain.ask("POST", "/sync/test", body=b"x" * 1000).json["bytes"] == 1000
    chunks = b"3\r\nabc\r\n" * 300 + b"0\r\n\r\n"
    chunked = [("Transfer-Encoding", "chunked")]
    assert plain.ask("POST", "/sync/test", headers=chunked, body=chunks).json["bytes"] == 900


def test_a_body_that_is_said_to_be_too_large_is_not_read(plain):
    said = [("Content-Length", "1001")]
    assert refused(plain, "POST", "/sync/test", headers=said) == (413, "api.body_too_large")
    huge = [("Content-Length", "9" * 19)]
    assert refused(plain, "POST", "/sync/test", headers=huge)[0] == 413


def test_a_large_body_gets_its_refusal_and_not_a_reset(plain):
    assert refused(plain, "POST", "/sync/test", body=b"x" * 500_000)[0] == 413


def test_a_body_that_turns_out_too_large_is_refused(plain):
    chunks = b"ff\r\n" + b"x" * 255 + b"\r\n"
    chunked = [("Transfer-Encoding", "chunked")]
    status, code = refused(
        plain, "POST", "/sync/test", headers=chunked, body=chunks * 8 + b"0\r\n\r\n"
    )
    assert (status, code) == (413, "api.body_too_large")


@pytest.mark.parametrize("method", ["POST", "GET", "BREW"])
def test_a_body_that_trickles_is_refused(plain, method):
    with contextlib.closing(plain.connect()) as connection:
        connection.sendall(request(method, "/sync/test", [("Content-Length", "100")]) + b"x")
        answer = read(connection)
    assert (answer.status, answer.json["code"]) == (408, "api.body_too_slow")
    assert answer.header("Connection") == "close"


@pytest.mark.parametrize("said", ["-1", "1e3", "1, 2", "x"])
def test_a_length_that_is_no_number_is_refused(plain, said):
    answer = plain.ask("POST", "/sync/test", headers=[("Content-Length", said)])
    assert (answer.status, answer.json["code"]) == (400, "api.bad_request")


# -- whatever is asked ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("target", ["/", "/sync/status", "/sync/test", "/nowhere", "/sync/events"])
def test_an_odd_method_is_answered_and_crashes_nothing(plain, method, target):
    with contextlib.closing(plain.connect()) as connection:
        assert ask(connection, method, target).status in (200, 404, 405)
        assert ask(connection, "GET", "/sync/status").status == 200, "the connection goes on"


@pytest.mark.parametrize("target", ["*", "http://localhost/sync/status", "localhost:80", "x"])
def test_a_target_that_is_no_path_is_refused(plain, target):
    assert refused(plain, "OPTIONS", target) == (400, "api.bad_request")
    assert refused(plain, "GET", target) == (400, "api.bad_request")


@pytest.mark.parametrize(
    ("method", "more", "status"),
    [
        ("GET", {}, 200),
        ("HEAD", {}, 200),
        ("GET", {"target": "/nowhere"}, 404),
        ("PUT", {}, 405),
        ("GET", {"host": "evil.example"}, 421),
        ("GET", {"headers": [("Origin", "null")]}, 403),
        ("POST", {"target": "/sync/test", "headers": [("Content-Length", "5000")]}, 413),
        ("GET", {"headers": [("Broken", b"\x00")]}, 400),
        ("GET", {"target": "/sync/fail"}, 500),
    ],
)
def test_every_answer_has_the_headers_that_bind_a_browser(plain, method, more, status):
    answer = plain.ask(method, **more)
    assert answer.status == status
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("X-Frame-Options") == "DENY"
    assert answer.header("Referrer-Policy") == "no-referrer"
    assert answer.header("Cross-Origin-Resource-Policy") == "same-origin"
    assert answer.header("Cross-Origin-Opener-Policy") == "same-origin"
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("Content-Security-Policy") == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answer.header("Server") is None
    assert no_cors(answer)


def test_an_answer_may_say_itself_how_long_it_is_kept(plain):
    assert plain.ask(target="/sync/kept").header("Cache-Control") == "no-cache"


def test_a_refusal_speaks_the_language_that_was_asked_for(plain):
    def detail(target):
        return plain.ask(target=target, host="evil.example").json["detail"]

    assert detail("/sync/status").startswith("This server does not answer")
    assert detail("/sync/status?a=b&lang=fr").startswith("Ce serveur ne répond pas")
    assert detail("/sync/status?xlang=fr&lang=de").startswith("This server does not answer")


def test_the_applications_error_is_logged_once_and_answered():
    told = io.StringIO()
    configure_logging("info", "json", stream=told)
    try:
        with serving() as served:
            served.server.wait_ready(5)
            assert served.ask(target="/sync/fail").status == 500
            assert served.ask(target="/sync/fail").status == 500
            assert served.ask().status == 200
    finally:
        shutdown_logging()
    errors = [json.loads(line) for line in told.getvalue().splitlines()]
    (error,) = [line for line in errors if line["event"] == "api.error"]
    assert (error["method"], error["path"]) == ("GET", "/sync/fail")
    assert "ValueError: on purpose" in error["exception"]


def test_an_error_is_a_problem_like_any_other(plain):
    answer = plain.ask(target="/sync/fail")
    assert (answer.status, answer.json["code"]) == (500, "api.error")
    assert "on purpose" not in answer.json["detail"]


def test_an_answer_500_that_is_meant_is_sent_as_it_is(plain):
    answer = plain.ask(target="/sync/meant")
    assert (answer.status, answer.body) == (500, b"meant")


def test_an_answer_that_breaks_off_is_cut_off_and_not_taken_for_whole(plain):
    with pytest.raises(http.client.IncompleteRead):
        plain.ask(target="/sync/torn")


# -- what may be set ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1"],
)
def test_loopback_needs_no_token(host):
    assert is_loopback(host)
    require_token(host, "")


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "192.168.1.2", "nas.local", "localhost.evil.example", "127.1", "[::]"],
)
@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("token", ["", "  ", "fifteen letters"])
def test_elsewhere_a_good_token_is_needed(host, language, token):
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError) as refused:
        require_token(host, SecretStr(token), language)
    line = refused.value.detail
    assert "\n" not in line
    assert "NAS_SYNCD_API_TOKEN" in line
    assert "NAS_SYNCD_API_HOST=127.0.0.1" in line
    assert "fifteen" not in line
    require_token(host, SecretStr("sixteen letters."), language)


def test_own_names_are_known_without_asking_anybody(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Bureau.Maison.fr")
    assert own_hosts("nas.example.org") == {
        "localhost",
        "bureau.maison.fr",
        "bureau",
        "bureau.local",
        "nas.example.org",
    }
    monkeypatch.setattr("socket.gethostname", lambda: "")
    assert own_hosts("127.0.0.1") == {"localhost", "127.0.0.1"}
