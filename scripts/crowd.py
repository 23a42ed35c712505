"""Everybody else at a hub: labs that fetch again, readers that stall, strangers, people who read the API.

Part of the soak. Each does something every few seconds, in a thread of its own, until it is over. What they did and what
was not as it should be is put into a tally. Where an owner's computer is away on purpose, being told so is right.
"""
import collections
import hashlib
import http.client
import json
import random
import socket
import ssl
import threading
import urllib.parse

import demo

# A side that takes nothing for a minute is let go.
STALLED_S = 75


class Tally:
    """What was done, and what went wrong."""

    def __init__(self):
        self.counts, self.wrong, self.lock = collections.Counter(), [], threading.Lock()

    def did(self, what):
        with self.lock:
            self.counts[what] += 1

    def went_wrong(self, text):
        with self.lock:
            self.wrong.append(text)
        demo.say("FAILED", text)


class Original:
    """An original that web-lab may fetch, and what it is."""

    def __init__(self, owner, url, path, sha256):
        self.owner, self.url, self.path, self.sha256, self.bytes_count = owner, url, path, sha256, path.stat().st_size


def says_away(answer):
    """Whether an answer, or what broke, is what somebody gets whose owner is away: 503, 504, a broken connection."""
    return isinstance(answer, Exception) or any(isinstance(each, Exception) or each in (503, 504) for each in answer)


class Crowd:
    """Begins with `start`, ends with `is_over`. `is_away(owner)` tells whether an owner's computer may be."""

    def __init__(self, across, tally, metrics_port, is_away):
        self.across, self.tally, self.metrics_port, self.is_away = across, tally, metrics_port, is_away
        self.random, self.is_over = random.Random(2), threading.Event()
        # What web-lab may fetch, newest last; an address that is of use to print-lab alone; the operator's token.
        self.originals, self.grant_url, self.operator = collections.deque(maxlen=20), None, None
        # Whether the brake may have a lab paused just now.
        self.is_at_brake = False

    def start(self):
        for seconds, act in ((0.7, self.fetch), (6, self.stall), (2, self.intrude), (1, self.read_api), (5, self.read_metrics)):
            self.every(seconds, act)

    def sign_in(self, name, password):
        said = self.ask("POST", "/v1/operator/session", None, 201, {"name": name, "password": password})
        self.operator = json.loads(said)["token"]

    def went_wrong(self, text):
        """Writes it down; what breaks because all of it ends is no trouble."""
        if not self.is_over.is_set():
            self.tally.went_wrong(text)

    def every(self, seconds, act):
        """Does something again and again until it is over; what goes wrong is written down."""
        def loop():
            turn = 0
            while not self.is_over.wait(seconds):
                try:
                    act(turn)
                except Exception as trouble:  # whatever it is, it belongs into the table
                    self.went_wrong(f"{act.__name__}: {trouble!r}")
                turn += 1
        threading.Thread(target=loop, daemon=True).start()

    def connect(self):
        trust = ssl.create_default_context(cafile=str(self.across.certificate))
        return http.client.HTTPSConnection("127.0.0.1", self.across.hub_port, timeout=60, context=trust)

    def get(self, url, headers=None, method="GET", bytes_max=None):
        """Status, etag, body; what is over `bytes_max` is left and the connection closed."""
        connection = self.connect()
        try:
            connection.request(method, urllib.parse.urlsplit(url).path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers["etag"], answer.read(bytes_max)
        finally:
            connection.close()

    def fetch(self, turn):
        """One of web-lab's originals again, in one of the ways in which labs fetch."""
        if not self.originals:
            return
        original = self.random.choice(list(self.originals))
        ways = [self.whole, self.resumed, self.in_halves, self.unchanged, self.head, self.broken_off]
        way = ways[turn % len(ways)]
        was_away, was_at_brake = self.is_away(original.owner), self.is_at_brake
        try:
            is_right = way(original)
        except (OSError, http.client.HTTPException) as trouble:
            is_right = trouble
        if is_right is True:
            self.tally.did(f"fetched again: {way.__name__.replace('_', ' ')}")
        elif (was_away or self.is_away(original.owner)) and says_away(is_right):
            self.tally.did("fetched again: owner away")
        elif (was_at_brake or self.is_at_brake) and not isinstance(is_right, Exception) and 403 in is_right:
            self.tally.did("fetched again: lab paused")
        else:
            self.went_wrong(f"fetching {way.__name__.replace('_', ' ')}: {is_right!r}")

    def is_it(self, original, data, *statuses):
        return hashlib.sha256(data).hexdigest() == original.sha256 or [*statuses, len(data)]

    def whole(self, original):
        status, _, data = self.get(original.url)
        return self.is_it(original, data, status)

    def resumed(self, original):
        broken, etag, begun = self.get(original.url, bytes_max=self.random.randrange(1, original.bytes_count))
        goes_on, _, rest = self.get(original.url, {"range": f"bytes={len(begun)}-", "if-range": etag or ""})
        return self.is_it(original, begun + rest, broken, goes_on)

    def in_halves(self, original):
        middle, halves = original.bytes_count // 2, [None, None]

        def half(place):
            span = f"bytes={middle}-" if place else f"bytes=0-{middle - 1}"
            try:
                halves[place] = self.get(original.url, {"range": span})
            except (OSError, http.client.HTTPException) as trouble:
                halves[place] = (trouble, None, b"")
        threads = [threading.Thread(target=half, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.is_it(original, halves[0][2] + halves[1][2], halves[0][0], halves[1][0])

    def unchanged(self, original):
        status, etag, _ = self.get(original.url, method="HEAD")
        again, _, data = self.get(original.url, {"if-none-match": etag or ""})
        return (status, again, data) == (200, 304, b"") or [status, again, len(data)]

    def head(self, original):
        status, etag, data = self.get(original.url, method="HEAD")
        return (status == 200 and bool(etag) and not data) or [status, etag, len(data)]

    def broken_off(self, original):
        status, _, data = self.get(original.url, bytes_max=self.random.randrange(1, original.bytes_count // 2))
        return (status == 200 and len(data) > 0) or [status, len(data)]

    def stall(self, _turn):
        """A reader that asks for 8 MB and takes none of it: the hub lets it go."""
        if self.originals:
            threading.Thread(target=self.stalled_reader, args=(self.originals[-1],), daemon=True).start()

    def stalled_reader(self, original):
        connection = self.connect()
        try:
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            plain.settimeout(30)
            plain.connect(("127.0.0.1", self.across.hub_port))
            connection.sock = ssl.create_default_context(cafile=str(self.across.certificate)).wrap_socket(
                plain, server_hostname="127.0.0.1")
            connection.request("GET", urllib.parse.urlsplit(original.url).path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise http.client.HTTPException(f"answered {answer.status}")
            answer.read(1)
            if self.is_over.wait(STALLED_S):
                return
            answer.read()
            self.went_wrong(f"a reader that took nothing for {STALLED_S} s was served to the end")
        except (OSError, http.client.HTTPException) as trouble:
            is_let_go = isinstance(trouble, (http.client.IncompleteRead, ConnectionError, ssl.SSLError))
            if is_let_go or self.is_away(original.owner) or self.is_at_brake:
                self.tally.did("stalled readers let go")
            else:
                self.went_wrong(f"a stalled reader: {trouble!r}")
        finally:
            connection.close()

    def intrude(self, turn):
        """Somebody who may not."""
        if not self.originals or not self.grant_url:
            return
        original, grant = self.originals[-1], self.grant_url
        mia, ben = (self.across.id_of(owner) for owner in self.across.owners)
        other = grant.replace(mia, ben) if mia in grant else grant.replace(ben, mia)
        head, _, name = original.url.rpartition("/")
        changed = head[:-1] + ("A" if head[-1] != "A" else "B")
        tries = [
            ("without a grant", grant, {}, {401}),
            ("at another owner", other, {}, {404, 401}),
            ("with a forged grant", grant, {"authorization": "DPoP e30.e30.AAAA", "dpop": "e30.e30.AAAA"}, {401, 403}),
            ("with a changed link", f"{changed}/{name}", {}, {401}),
            ("at no owner", original.url.replace("/o/", "/o/x"), {}, {404}),
            ("at the API without a secret", f"{self.across.url}/v1/provider", {}, {401}),
            ("at the API with a wrong secret", f"{self.across.url}/v1/provider/statement",
             {"authorization": "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, {401}),
            ("at the operators' API with a lab's secret", f"{self.across.url}/v1/operator/balances",
             {"authorization": f"Bearer {self.across.web_api_secret}"}, {401, 403}),
        ]
        what, url, headers, wanted = tries[turn % len(tries)]
        try:
            status, _, data = self.get(url, headers)
        except (OSError, http.client.HTTPException) as trouble:
            status, data = trouble, b""
        if (status in wanted or (status == 403 and self.is_at_brake)) and len(data) < 4096:
            self.tally.did("strangers refused")
        elif any(map(self.is_away, self.across.owners)) and says_away([status]):
            self.tally.did("strangers who found the owner away")
        else:
            self.went_wrong(f"a stranger {what}: {status!r}, {len(data)} bytes")

    def ask(self, method, path, token, wanted, body=None):
        connection = self.connect()
        try:
            headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status != wanted:
                raise demo.Broken(f"{method} {path}: {answer.status} {data[:200]!r}")
            return data
        finally:
            connection.close()

    def read_api(self, turn):
        """What labs and operators look at."""
        lab = ["/v1/provider", "/v1/provider/statement", "/v1/provider/accesses", "/v1/provider/offers", "/v1/provider/notices"]
        operator = ["balances", "ledger", "ledger/audit", "agents", "providers", "actions"]
        paths = [(path, self.across.web_api_secret) for path in lab]
        paths += [(f"/v1/operator/{name}", self.operator) for name in operator]
        paths += [("/v1/openapi.json", None), ("/v1/health", None)]
        path, token = paths[turn % len(paths)]
        self.ask("GET", path, token, 200)
        self.tally.did("API reads")

    def read_metrics(self, _turn):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or not text.endswith(b"# EOF\n"):
                raise demo.Broken(f"metrics: {answer.status}")
            self.tally.did("metrics read")
        finally:
            connection.close()
