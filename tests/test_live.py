"""The live page: what the server answers and to whom, and what a browser shows while a study goes on."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from report.pages import HOSTILE, bytes_of, learning_study, numbers

import hpo_core as hpo
from hpo_core import cli
from hpo_core.errors import ArgumentError
from hpo_core.live import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def served(storage: Any, **options: Any) -> Iterator[Server]:
    """A server of a storage, on a free port."""
    with Server(storage, **({"port": 0} | options)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of an answer."""
    host = server.server_address[0]
    with closing(http.client.HTTPConnection(host, server.server_port, timeout=30)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def data(server: Server, name: str, **since: Any) -> dict[str, Any]:
    query = "".join(f"&{key}={value}" for key, value in since.items())
    status, _, text = ask(server, f"/api/study?name={quote(name)}{query}")
    assert status == 200, text
    return json.loads(text)


def since(message: dict[str, Any]) -> dict[str, Any]:
    """The cursor of a page that has this message."""
    trials, ends = message["cursor"]
    return {"era": message["era"], "trials": trials, "ends": ends, "position": message["position"]}


def make(place: str, name: str = "digits") -> hpo.Study:
    return hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, name=name, storage=place)


def tell(study: hpo.Study, *values: float) -> None:
    study.tell(study.ask(len(values)), values)


@pytest.fixture
def study(place: str) -> hpo.Study:
    found = make(place)
    tell(found, 3.0, 1.0, 2.0)
    return found


def test_the_studies_of_a_storage_are_listed(study, place):
    make(place, HOSTILE)
    with served(place) as server:
        listed = json.loads(ask(server, "/api/studies")[2])["studies"]
    assert {each["name"]: (each["trials"], each["best"]) for each in listed} == {
        "digits": (3, "1"), HOSTILE: (0, "–"),
    }  # fmt: skip


def test_a_page_gets_everything_first_and_then_only_what_is_new(study, place):
    with served(place) as server:
        first = data(server, "digits")
        assert first["cursor"] == [3, 3]
        assert first["about"]["name"] == "digits"
        assert numbers(first["ends"]["values"][0]).tolist() == [3.0, 1.0, 2.0]
        assert data(server, "digits", **since(first)) == {"era": first["era"], "same": True}
        running = study.ask()
        tell(study, 0.5)
        second = data(server, "digits", **since(first))
        assert second["cursor"] == [5, 4]
        assert "about" not in second
        assert numbers(second["ends"]["values"][0]).tolist() == [0.5]
        assert numbers(second["open"]["trial"]).tolist() == [running.number]
        study.tell(running, 0.25)
        third = data(server, "digits", **since(second))
    assert numbers(third["ends"]["trial"]).tolist() == [running.number]
    assert not bytes_of(third["trials"]["params"][0])
    assert not len(numbers(third["open"]["trial"]))


def test_findings_come_again_once_they_are_due(study, place):
    with served(place) as server:
        message = data(server, "digits")
        tell(study, 0.5)
        for _ in range(1000):
            message |= data(server, "digits", **since(message))
            if message["found"]["counts"]["trials"] == 4:
                break
    assert message["found"]["best"]["shown"][0]["values"] == [0.5]


def test_a_study_that_is_deleted_is_gone_and_a_new_one_of_its_name_is_read_from_its_beginning(study, place):
    with served(place) as server:
        first = data(server, "digits")
        cli.main(["delete", place, "digits"])
        assert "digits" in data(server, "digits", **since(first))["gone"]
        tell(make(place), 7.0)
        again = data(server, "digits", **since(first))
        assert again["era"] != first["era"]
        assert again["cursor"] == [1, 1]
        assert "about" in again
        cli.main(["delete", place, "digits"])
        tell(make(place), 8.0)  # in the place of one that the server has open
        assert numbers(data(server, "digits", **since(again))["ends"]["values"][0]).tolist() == [8.0]


def test_a_log_that_is_put_back_is_read_from_its_beginning(study, place):
    if place.startswith("postgres"):
        import psycopg

        cut = "DELETE FROM hpo_core.events WHERE kind = 'told'"
        connect = lambda: psycopg.connect(place)  # noqa: E731
    else:
        cut = "DELETE FROM events WHERE kind = 'told'"
        connect = lambda: sqlite3.connect(place)  # noqa: E731
    with served(place) as server:
        first = data(server, "digits")
        with closing(connect()) as connection:
            connection.execute(cut)
            connection.commit()
        again = data(server, "digits", **since(first))
    assert again["era"] != first["era"]
    assert again["cursor"] == [3, 0]


def test_a_wider_space_starts_the_page_over(study, place):
    with served(place) as server:
        first = data(server, "digits")
        hpo.Study({"x": hpo.Float(0, 2)}, sampler="random", seed=0, name="digits", storage=place)
        again = data(server, "digits", **since(first))
    assert again["about"]["parameters"][0]["high"] == 2.0


def test_an_unknown_study_is_gone_and_an_unknown_page_is_not_found(study, place):
    with served(place) as server:
        assert "there is no study" in data(server, "other")["gone"]
        for path in ("/x", "/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/page.css/", "//etc/passwd"):
            status, headers, text = ask(server, path)
            assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
            assert text == "there is no such page\n"


WIDE = f"ends={'9' * 25}"


@pytest.mark.parametrize(
    "query", ["trials=x", "ends=1.5", "position=", "trials=-1", "trials=99999999999999", WIDE]
)
def test_a_strange_cursor_is_refused_or_starts_over(query, study, place):
    with served(place) as server:
        era = data(server, "digits")["era"]
        status, _, text = ask(server, f"/api/study?name=digits&era={era}&{query}")
    assert status in (200, 400)
    assert "Traceback" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "NONSENSE"])
def test_only_get_is_allowed(method, study, place):
    with served(place) as server:
        status, headers, _ = ask(server, "/", method)
    assert (status, headers["Allow"]) == (405, "GET")
    assert "Access-Control-Allow-Origin" not in headers


def test_a_name_that_others_can_give_out_is_refused(study, place):
    with served(place) as server:
        port = server.server_port
        for host in ("evil.example", f"evil.example:{port}", "", "127.0.0.1.evil.example", "[::1"):
            assert ask(server, "/api/studies", Host=host)[0] in (400, 403), host
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "127.0.0.2"):
            assert ask(server, "/api/studies", Host=host)[0] == 200, host


def test_every_answer_has_the_headers(study, place):
    with served(place) as server:
        answers = [ask(server, path) for path in ("/", "/study?name=a", "/api/studies", "/page.js", "/none")]
    for _, headers, _ in answers:
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-eval" not in headers["Content-Security-Policy"]
        assert "script-src 'self';" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not [name for name in headers if name.startswith("Access-Control")]


def test_beyond_loopback_a_token_is_needed(study, place):
    with served(place, host="0.0.0.0") as server:
        token = re.search(r"\?token=([\w-]{32})$", server.address)[1]
        for path in ("/", "/study?name=digits", "/api/studies", "/page.js", "/none"):
            status, headers, text = ask(server, path)
            assert (status, "Set-Cookie" in headers) == (401, False)
            assert token not in text
        for wrong in ("", "x", token[:-1], f"{token}x", "ü"):
            assert ask(server, f"/?token={quote(wrong)}")[0] == 401
            cookie = f"hpo_core_token_{server.server_port}={wrong}"
            assert ask(server, "/", Cookie=cookie.encode().decode("latin-1"))[0] == 401
        status, headers, _ = ask(server, f"/study?name=a%26b&token={token}")
        assert (status, headers["Location"]) == (303, "/study?name=a%26b")
        assert {"HttpOnly", "SameSite=Strict"} <= {*headers["Set-Cookie"].split("; ")}
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert ask(server, "/api/studies", Cookie=cookie, Host="some.name")[0] == 200


def test_a_loopback_address_has_no_token(study, place):
    with served(place) as server:
        assert server.address == f"http://127.0.0.1:{server.server_port}/"


def test_an_error_shows_no_traceback(study, place, monkeypatch):
    def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    with served(place) as server:
        monkeypatch.setattr(Server, "studies", broken)
        assert ask(server, "/api/studies")[::2] == (500, "an error in hpo_core\n")


def test_what_is_not_http_is_refused_in_plain_text(study, place):
    with served(place) as server, socket.create_connection(server.server_address, timeout=30) as raw:
        raw.sendall(b"GARBAGE\r\n\r\n")
        assert b"Traceback" not in raw.recv(10_000)


def test_a_port_in_use_is_named_and_without_one_a_free_one_is_taken(study, place):
    with served(place) as server:
        port = server.server_port
        with pytest.raises(
            ArgumentError, match=f"port {port} of '127.0.0.1' cannot be used: Address already"
        ):
            Server(place, port=port)
        with served(place, port=None) as other, served(place, port=None) as third:
            assert other.server_port != third.server_port


@pytest.mark.parametrize(
    ("options", "named"),
    [({"host": "no such host"}, "host"), ({"port": 70_000}, "port"), ({"port": "x"}, "port")],
)
def test_an_address_that_cannot_be_is_named(options, named, study, place):
    with pytest.raises(ArgumentError, match=f"^{named} must be"):
        Server(place, **options)


def test_a_file_that_is_no_storage_is_refused_before_an_address_is_said(tmp_path, capsys):
    place = tmp_path / "notes.db"
    place.write_text("text")
    assert cli.main(["serve", str(place), "--port", "0"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "file is not a database" in err


def test_without_plotly_the_extra_is_named(study, place, monkeypatch, capsys):
    from hpo_core.report.page import plotly_js

    plotly_js.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert cli.main(["serve", place]) == 1
    assert "needs plotly: pip install 'hpo-core[report]'" in capsys.readouterr().err


def test_the_command_serves_until_ctrl_c(study, place):
    command = [sys.executable, "-m", "hpo_core.cli", "serve", place, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        address = urlsplit(json.loads("".join(lines))["address"])
        with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=30)) as connection:
            connection.request("GET", "/api/studies")
            assert json.loads(connection.getresponse().read())["studies"][0]["name"] == "digits"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_damaged_storage_is_an_answer_and_not_the_end(study, tmp_path):
    place = tmp_path / "own.db"
    own = make(str(place))
    tell(own, 1.0)
    with served(str(place)) as server:
        first = data(server, "digits")
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("UPDATE events SET data = '{}' WHERE position > 0")
            connection.commit()
        status, _, text = ask(server, f"/api/study?name=digits&era={first['era']}")
        assert status == 503 or "gone" in text
        assert "Traceback" not in text
        assert ask(server, "/")[0] == 200


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_page_follows_a_study(study, place, open_page):
    with served(place) as server:
        watched = open_page()
        page = watched.page
        page.goto(server.address)
        page.get_by_role("link", name="digits").click()
        watched.until("globalThis.hpoPage?.pictures[0].plot.data?.length")
        tell(study, 0.125)
        watched.until("hpoPage.pictures[0].plot.data.at(-1).y.at(-1) === 0.125")
        watched.until("document.getElementById('facts').innerText.includes('0.125')")
        assert page.locator("#trials-rows tr").count() == 4
        cli.main(["delete", place, "digits"])
        watched.until("document.getElementById('notice').innerText.includes('no study')")
    assert not watched.errors
    assert all(url.startswith(server.address) for url in watched.requests)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_hostile_name_is_text_in_the_live_page_too(place, open_page):
    tell(make(place, HOSTILE), 1.0)
    with served(place) as server:
        watched = open_page()
        page = watched.page
        page.goto(server.address)
        page.get_by_role("link").first.click()
        watched.until("globalThis.hpoPage")
        assert page.locator("h1").inner_text().startswith("<script>alert(1)</script>")
    assert (watched.dialogs, watched.errors) == ([], [])


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_browser_needs_the_token_once(study, place, open_page):
    with served(place, host="0.0.0.0") as server:
        port = server.server_port
        watched = open_page()
        page = watched.page
        page.goto(f"http://127.0.0.1:{port}/")
        assert "open the address that the server has printed" in page.inner_text("body")
        page.goto(f"http://127.0.0.1:{port}/?token={server.token}")
        page.get_by_role("link", name="digits").click()
        watched.until("globalThis.hpoPage?.pictures[0].plot.data?.length")
        assert server.token not in page.url


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_columns_that_are_appended_are_those_of_a_page_that_is_opened_later(place, open_page):
    study = learning_study(40, storage=place, name="s")
    with served(place) as server:
        early = open_page()
        early.page.goto(f"{server.address}study?name=s")
        early.until("globalThis.hpoPage")
        for seed in range(3):
            learning_study(15 * seed + 10, storage=place, name="s")
        study.n_finished  # noqa: B018 - reads the log
        early.until(f"hpoPage.store.length === {len(study.history)}")
        late = open_page()
        late.page.goto(f"{server.address}study?name=s")
        late.until("globalThis.hpoPage")
        columns = """Object.fromEntries([
            ...Object.entries(hpoPage.store.ends).map(([name, column]) => [name, [...column.all]]),
            ...hpoPage.store.params.map((column, p) => [p, [...column.all].map(String)]),
            ['values', [...hpoPage.store.values[0].all].map(String)],
        ])"""
        assert early.page.evaluate(columns) == late.page.evaluate(columns)
    assert np.array_equal(
        early.page.evaluate("[...hpoPage.store.ends.trial.all]"), study.history.finish_order
    )


@pytest.mark.soak
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_hundred_thousand_trials_stay_fluid(place, open_page):
    rng = np.random.default_rng(0)
    study = hpo.Study(
        {f"x{i}": hpo.Float(0, 1) for i in range(8)}, sampler="random", seed=0, name="s", storage=place
    )
    study.add({name: rng.random(100_000) for name in study.space.names}, rng.random(100_000))
    with served(place) as server:
        first = data(server, "s")
        tell(study, 0.5, 0.25)
        assert len(numbers(data(server, "s", **since(first))["ends"]["trial"])) == 2
        watched = open_page()
        watched.page.goto(f"{server.address}study?name=s")
        watched.until("globalThis.hpoPage?.pictures[0].plot.data?.length && !hpoPage.drawing")
        spent = []
        for i in range(3):
            tell(study, *rng.random(10))
            watched.until(f"hpoPage.store.ends.state.length === {100_002 + 10 * (i + 1)} && !hpoPage.drawing")
            spent.append(
                watched.page.evaluate(
                    "performance.getEntriesByName('hpo-drawn').at(-1).startTime"
                    " - performance.getEntriesByName('hpo-received').at(-1).startTime"
                )
            )
        assert min(spent) < 1000.0, spent  # 0.15 s to 0.3 s on an idle core, of each second
    assert not watched.errors
