"""The API over a real store, in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy import Engine

from pipeline.dashboard.feed import Feed
from pipeline.dashboard.server import _Server, application
from pipeline.records import DiplomaticEvent, RawArticle, Status, encode
from pipeline.settings import Dashboard, Settings
from pipeline.store import database
from pipeline.store.reading import Store
from pipeline.store.writing import write
from pipeline.stories.register import Register
from tests.conftest import new_store
from tests.store.test_store import NOW, batch
from tests.stories.builders import summit_event

TOKEN = "a-token-of-some-length-7f3a"


@contextmanager
def serving(engine: Engine, **dashboard: Any) -> Iterator[httpx.Client]:
    """The API on a port of its own, as `kasnec dashboard` serves it."""
    store = Store(engine)
    feed = Feed(store)
    app = application(Settings(dashboard=Dashboard(**dashboard)), store, feed)
    with socket.socket() as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2), feed)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            port = listening.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                for _ in range(600):
                    # Its store may have no tables, as one test has it; then it says so.
                    health = client.get("/api/v1/health").text if server.started else "not yet"
                    if "not yet" not in health:
                        break
                    time.sleep(0.05)
                yield client
        finally:
            server.should_exit = True
            server.servers[0].get_loop().call_soon_threadsafe(feed.close)
            thread.join(10)
            assert not thread.is_alive()


def some_events() -> list[DiplomaticEvent]:
    """An accusation, a summit and a meeting of three days."""
    accusation = summit_event(
        "a1", "2027-03-01", ["SRB"], type_="ACCUSE", mode=None, status="actual",
        text="Beogradi akuzon Prishtinën.", at=4,
    )  # fmt: skip
    return [
        replace(accusation, recipients=summit_event("x", "2027-01-01", ["XKX"]).actors),
        summit_event("a2", "2027-03-02", date="2027-03-20", place="Istanbul"),
        summit_event("a3", "2027-03-03", ["ALB", "MKD"], mode="meeting", status="actual"),
    ]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The API over ``some_events``, which nobody changes."""
    url = new_store(request.param, tmp_path_factory.mktemp("store"), request)
    engine = database.connect(url)
    database.migrate(engine)
    write(engine, batch(some_events()), now=NOW)
    with serving(engine) as found:
        yield found
    engine.dispose()


def ids(client: httpx.Client, path: str) -> list[str]:
    """Article ids of the events in an answer."""
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return [event["article"]["id"] for event in answer.json()["items"]]


def test_events_are_the_records_newest_first(client: httpx.Client) -> None:
    """To the byte."""
    wanted = b",".join(encode(event) for event in reversed(some_events()))
    assert client.get("/api/v1/events").content == b'{"items":[' + wanted + b'],"next":null}'


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?type=ACCUSE&type=AID", ["a1"]),
        ("?party=XKX", ["a1"]),
        ("?status=actual", ["a3", "a1"]),
        ("?mode=summit", ["a2"]),
        ("?place=TUR", ["a2"]),
        ("?since=2027-03-02", ["a3", "a2"]),
        ("?until=2027-03-02", ["a2", "a1"]),
        ("?until=2027-03-02T00:00:00Z", ["a1"]),
        ("?since=2027-03-02T09:00:00%2B02:00&until=2027-03-02T09:00:00.1%2B02:00", ["a2"]),
        ("?q=PRISHTINEN", ["a1"]),
        ("?q=%25", []),
        ("?article=a3", ["a3"]),
        ("?source=Tjetra", []),
        ("?min_confidence=0.95", []),
    ],
)
def test_filters(client: httpx.Client, query: str, wanted: list[str]) -> None:
    """One by one; a day that ends a period belongs to it."""
    assert ids(client, f"/events{query}") == wanted


def test_pages_by_cursor(client: httpx.Client) -> None:
    """Until there is no next."""
    first = client.get("/api/v1/events?limit=2").json()
    second = client.get("/api/v1/events", params={"limit": 2, "cursor": first["next"]}).json()
    assert [e["article"]["id"] for e in first["items"] + second["items"]] == ["a3", "a2", "a1"]
    assert second["next"] is None


def test_the_overview_says_what_the_single_counts_say(client: httpx.Client) -> None:
    """The page asks once; others may ask for each."""
    whole = client.get("/api/v1/overview?bucket=month&status=actual").json()
    assert whole["total"] == 2
    for by in ("type", "status", "source", "language", "party", "place"):
        items = client.get(f"/api/v1/counts?by={by}&status=actual").json()["items"]
        assert whole["counts"][by] == items
    for path in ("timeline?bucket=month&", "places?", "dyads?"):
        items = client.get(f"/api/v1/{path}status=actual").json()["items"]
        assert whole[path.partition("?")[0]] == items
    assert {"actor": "SRB", "recipient": "XKX", "count": 1, "goldstein": 1.0} in whole["dyads"]


def test_an_event_is_shown_in_its_context(engine: Engine) -> None:
    """With what stands around it, where the text is kept and is the one that was coded."""
    title, body = "Titulli", "Më parë. Liderët do të takohen. Më pas."
    at = f"{title}\n\n{body}".index("Liderët")
    event = summit_event("a", "2027-03-01", text="Liderët do të takohen.", at=at)
    other = summit_event("b", "2027-03-02")
    article = RawArticle(id="a", title=title, body=body, published_at="2027-03-01T09:00:00+01:00")
    write(engine, batch([event, other], articles=[article]), now=NOW)
    with serving(engine) as client:
        seen = client.get(f"/api/v1/events/{event.event_id}").json()
        assert seen["context"] == {
            "before": "Titulli\n\nMë parë. ",
            "evidence": "Liderët do të takohen.",
            "after": " Më pas.",
        }
        assert seen["story"]["articles"] == 2
        assert [event["article"]["id"] for event in seen["others"]] == ["b"]
        write(engine, batch(articles=[replace(article, body="Tjetër tekst.")]), now=NOW)
        assert client.get(f"/api/v1/events/{event.event_id}").json()["context"] is None


def test_a_summit_is_shown_with_its_life(engine: Engine) -> None:
    """History, sources and alerts; stories and alerts come by pages."""
    register = Register()
    life: list[tuple[str, Status]] = [("a", "planned"), ("b", "cancelled")]
    for article, status in life:
        event = summit_event(article, "2027-03-01", date="2027-03-20", status=status)
        seen = register.observe(event)
        assert seen.entry
        assert seen.alert
        write(engine, batch([event], summits=[seen.entry], alerts=[seen.alert]), now=NOW)
    with serving(engine) as client:
        (item,) = client.get("/api/v1/summits?open=true&from=2027-03-20&to=2027-03-20").json()[
            "items"
        ]
        assert (item["status"], item["day_from"]) == ("cancelled", "2027-03-20")
        whole = client.get(f"/api/v1/summits/{item['summit_id']}").json()
        assert [told["change"] for told in whole["history"]] == ["new", "status"]
        assert [alert["change"] for alert in whole["alerts"]] == ["new", "status"]
        assert {source["id"] for source in whole["sources"]} == {"a", "b"}
        first = client.get("/api/v1/alerts?limit=1").json()
        second = client.get("/api/v1/alerts", params={"cursor": first["next"]}).json()
        assert {a["change"] for a in first["items"] + second["items"]} == {"new", "status"}
        (story,) = client.get("/api/v1/stories").json()["items"]
        assert len(client.get(f"/api/v1/stories/{story['story_id']}").json()["events"]) == 2


def test_downloads(client: httpx.Client) -> None:
    """A table and PLOVER's lines, of what the filter means."""
    table = client.get("/api/v1/events.csv?type=ACCUSE")
    (line,) = csv.DictReader(io.StringIO(table.text))
    assert (line["actor_codes"], line["recipient_codes"]) == ("SRB", "XKX")
    assert "attachment" in table.headers["content-disposition"]
    lines = client.get("/api/v1/events.jsonl").text.splitlines()
    assert [orjson.loads(line)["cite_info"]["citation"] for line in lines] == ["a3", "a2", "a1"]


def test_a_formula_in_a_text_is_not_calculated(engine: Engine) -> None:
    """A hostile title must do nothing in the spreadsheet of an analyst."""
    event = summit_event("a", "2027-03-01", text="=HYPERLINK(1)")
    write(engine, batch([event]), now=NOW)
    with serving(engine) as client:
        (line,) = csv.DictReader(io.StringIO(client.get("/api/v1/events.csv").text))
        assert line["evidence"] == "'=HYPERLINK(1)"


def test_vocabularies_name_every_code(client: httpx.Client) -> None:
    """In both languages, alike."""
    sq, en = (
        client.get(f"/api/v1/vocabulary?language={language}").json() for language in ("sq", "en")
    )
    assert sq["countries"]["DEU"] == "Gjermani"
    assert (sq["countries"]["XKX"], en["countries"]["XKX"]) == ("Kosovë", "Kosovo")
    for part in ("types", "modes", "statuses", "countries", "organisations"):
        assert sq[part].keys() == en[part].keys()


class Listener:
    """Reads a stream on a thread."""

    def __init__(self, client: httpx.Client, query: str = "", last: str = "") -> None:
        self.seen: list[tuple[float, dict[str, str]]] = []
        self.connected = threading.Event()
        self._client = client
        self._query = query
        self._headers = {"last-event-id": last} if last else {}
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        assert self.connected.wait(10)

    def _read(self) -> None:
        address = f"{self._client.base_url}/api/v1/live{self._query}"
        fields: dict[str, str] = {}
        with httpx.stream("GET", address, headers=self._headers, timeout=20) as answer:
            for line in answer.iter_lines():
                if line.startswith(":"):
                    self.connected.set()
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    self.seen.append((time.monotonic(), fields))
                    fields = {}

    def wait(self, count: int) -> list[dict[str, str]]:
        """What came, once it is so much."""
        for _ in range(200):
            if len(self.seen) >= count:
                break
            time.sleep(0.02)
        return [fields for _, fields in self.seen]

    def join(self) -> None:
        """The stream has ended."""
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_what_is_new_comes_within_a_second(engine: Engine) -> None:
    """Events that the filter means, once each; summits and alerts all; nothing of before."""
    write(engine, batch(some_events()), now=NOW)
    with serving(engine) as client:
        listener = Listener(client, "?party=ALB")
        seen = Register().observe(summit_event("s", "2027-03-01"))
        assert seen.entry
        assert seen.alert
        new = [summit_event("n1", "2027-03-04", ["ALB"]), summit_event("n2", "2027-03-04")]
        written = time.monotonic()
        write(engine, batch(new, summits=[seen.entry], alerts=[seen.alert]), now=NOW)
        write(engine, batch(new), now=NOW)
        found = listener.wait(3)
        assert [fields["event"] for fields in found] == ["event", "summit", "alert"]
        assert orjson.loads(found[0]["data"])["article"]["id"] == "n1"
        assert listener.seen[-1][0] - written < 1.0
    listener.join()


def test_a_page_that_comes_back_gets_what_it_missed(engine: Engine) -> None:
    """From the number that it saw last."""
    write(engine, batch([summit_event("a", "2027-03-01")]), now=NOW)
    with serving(engine) as client:
        last = Store(engine).seq()
        write(engine, batch([summit_event("b", "2027-03-01")]), now=NOW)
        for _ in range(100):
            if client.get("/api/v1/health").json()["events"] == 2:
                break
            time.sleep(0.05)
        listener = Listener(client, last=str(last))
        (missed,) = listener.wait(1)
        assert orjson.loads(missed["data"])["article"]["id"] == "b"
    listener.join()


@pytest.mark.parametrize(
    "path",
    ["/events?typ=CONSULT", "/events?type=consult", "/events?since=2027-03-01T10:00:00",
     "/events?since=soon", "/events?limit=501", "/events?cursor=bm9uc2Vuc2U", "/events?q=%00",
     "/counts?by=name", "/summits?from=x", "/live?since=x"],
)  # fmt: skip
def test_a_wrong_parameter_is_told(client: httpx.Client, path: str) -> None:
    """As a problem, not as an empty answer."""
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["/events/x", "/stories/x", "/summits/x", "/nothing"])
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    """As a problem."""
    answer = client.get(f"/api/v1{path}")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_a_store_that_is_down_is_told_and_waited_for(store_url: str) -> None:
    """The dashboard starts before its store, and needs no start after it."""
    engine = database.connect(store_url)
    try:
        with serving(engine) as client:
            answer = client.get("/api/v1/events")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "kasnec store" in answer.json()["detail"]
            database.migrate(engine)
            write(engine, batch([summit_event("a", "2027-03-01")]), now=NOW)
            for _ in range(100):
                if client.get("/api/v1/health").status_code == 200:
                    break
                time.sleep(0.05)
            assert ids(client, "/events") == ["a"]
    finally:
        engine.dispose()


def test_strangers_need_the_token(engine: Engine) -> None:
    """As a bearer, or once for a cookie that says nothing of it; health is told to all."""
    with serving(engine, token=TOKEN) as client:
        assert client.get("/api/v1/health").status_code == 200
        refused = client.get("/api/v1/events")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (
            client.get("/api/v1/events", headers={"authorization": "Bearer no"}).status_code == 401
        )
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert client.get("/api/v1/events", headers=bearer).status_code == 200
        assert client.get("/").headers["location"] == "/login"
        assert "<form" in client.get("/login").text
        assert client.post("/login", data={"token": "wrong"}).status_code == 403
        assert client.post("/login", content=b"x" * 2000).status_code == 413
        signed_in = client.post("/login", data={"token": TOKEN})
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
        cookie = signed_in.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/v1/events").status_code == 200


def test_a_reverse_proxy_may_name_who_is_signed_in(engine: Engine) -> None:
    """Where the settings name its header."""
    with serving(engine, identity_header="X-Forwarded-User") as client:
        assert client.get("/api/v1/events").status_code == 401
        named = client.get("/api/v1/events", headers={"x-forwarded-user": "ana"})
        assert named.status_code == 200


def test_nothing_is_written_and_nobody_reads_along(client: httpx.Client) -> None:
    """No other method, no other name of this host, and a policy on every answer."""
    assert client.post("/api/v1/events").status_code == 405
    assert client.get("/api/v1/events", headers={"host": "evil.example"}).status_code == 400
    for path in ("/", "/api/v1/events", "/api/v1/nothing", "/static/login.css"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::"])
def test_an_open_port_wants_somebody_named(host: str) -> None:
    """Bound to more than this machine, without token and header, it does not start."""
    with pytest.raises(ValueError, match="KASNEC_DASHBOARD_TOKEN_FILE"):
        Dashboard(host=host)
    assert Dashboard(host=host, token=TOKEN).token.get_secret_value() == TOKEN


def test_a_slow_page_is_cut_off(engine: Engine) -> None:
    """It does not hold what it does not read in memory for ever."""

    async def fall_behind() -> int:
        feed = Feed(Store(engine))
        with feed.listen() as changes:
            for number in range(1, 3):
                write(
                    engine,
                    batch([summit_event(f"{number}-{n}", "2027-03-01") for n in range(800)]),
                    now=NOW,
                )
                if number == 1:
                    feed.seq = 1  # as if it had seen the beginning
                await feed._advance()
            return len([change async for change in changes])

    assert asyncio.run(fall_behind()) < 1001


def test_the_command_serves_and_stops_with_a_page_open(store_url: str) -> None:
    """`kasnec dashboard`, on ports of its own, ends with 0 on SIGTERM; a taken port is told."""
    engine = database.connect(store_url)
    database.migrate(engine)
    write(engine, batch(some_events()), now=NOW)
    engine.dispose()
    with socket.socket() as free, socket.socket() as free_too:
        free.bind(("127.0.0.1", 0))
        free_too.bind(("127.0.0.1", 0))
        port, metrics = free.getsockname()[1], free_too.getsockname()[1]
        free.listen()
        environ = {k: v for k, v in os.environ.items() if not k.startswith("KASNEC_")} | {
            "KASNEC_STORE_URL": store_url,
            "KASNEC_DASHBOARD_PORT": str(port),
            "KASNEC_DASHBOARD_METRICS_PORT": str(metrics),
        }
        command = [sys.executable, "-m", "pipeline", "dashboard"]
        refused = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert "KASNEC_DASHBOARD_PORT" in refused.stderr
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            for _ in range(200):
                with suppress(httpx.TransportError):
                    if client.get("/api/v1/health").status_code == 200:
                        break
                time.sleep(0.1)
            assert ids(client, "/events?status=actual") == ["a3", "a1"]
            listener = Listener(client)
            told = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
            assert 'kasnec_http_requests_total{route="/api/v1/events",status="200"} 1.0' in told
            assert "kasnec_live_pages 1.0" in told
            assert client.get("/metrics").status_code == 404
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=15)
        listener.join()
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in log


def ask_all(cases: Any) -> None:
    """Send requests of a kind, and check their answers."""

    @hypothesis_settings(
        max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=cases)
    def ask(case: Any) -> None:
        # What a moment and a cursor must be, a JSON Schema cannot say.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    ask()


def test_no_question_that_the_document_allows_ends_in_an_error(tmp_path: Path) -> None:
    """Schemathesis makes them up: no 500, and every answer is as the document says."""
    engine = database.connect(f"sqlite:///{tmp_path}/store.db")
    database.migrate(engine)
    seen = Register().observe(summit_event("s", "2027-03-01", date="2027-03-20", place="Skopje"))
    assert seen.entry
    assert seen.alert
    write(engine, batch(some_events(), summits=[seen.entry], alerts=[seen.alert]), now=NOW)
    with serving(engine) as client:
        document = schemathesis.openapi.from_url(f"{client.base_url}/api/v1/openapi.json")
        # A stream does not end; it has tests of its own.
        schema = document.exclude(path="/api/v1/live")

        asked = 0
        for operation in schema.get_all_operations():
            assert isinstance(operation, Ok)
            ask_all(operation.ok().as_strategy())
            asked += 1
        assert asked > 10
    engine.dispose()
