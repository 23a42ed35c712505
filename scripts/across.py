"""Two owners whose computers nobody can call, a hub, and two labs that fetch through it.

Part of the demo. Each owner's agent runs as if behind a home router (scripts/home.py): it calls out, no address leads
in. One lab is `signet lab`, whose grants are bound to its key; the other (scripts/url_lab.py) knows nothing but URLs.
"""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
WEB_LAB = """signet = "provider/1"
name = "web-lab"
orders_url = "http://127.0.0.1:{port}/orders"
secret = "{secret}"
currency = "EUR"
[fees]
original_minor = {fee}
[products.print-10x15]
price_minor = 31
size_mm = [102, 152]
dpi_min = 60
"""
RULES = """# Each marked photo goes to the lab with a key; those in the folder both go to the other one too.
[[rule]]
name = "print"
when = 'has("print-10x15")'
order = {{ product = "print-10x15", provider = "print-lab" }}
reason = "the print icon is on the photo"

[[rule]]
name = "print-too"
when = 'path.folder == "both" && has("print-10x15")'
order = {{ product = "print-10x15", provider = "web-lab" }}
reason = "it lies in the folder both"
""".replace("{{", "{").replace("}}", "}")
PRICES = {"print-lab": 25, "web-lab": 40}
PAID_IN = {"print-lab": "5.00", "web-lab": "8.00"}


class Owner:
    """One computer at home."""

    def __init__(self, name, folder):
        self.name, self.home, self.photos = name, folder / name.lower(), folder / f"{name.lower()}-photos"
        self.dropped = {}
        self.port = None


class Across:
    """The hub and who is around it; `demo` brings the program, events and waiting."""
    # More that the hub's settings say, what both labs paid in, how much owners agree to, how the lab with URLs behaves.
    settings, paid_in, limits, manners = {}, PAID_IN, [], []

    def __init__(self, demo, folder, say, broken, free_ports, digest, samples):
        self.demo, self.signet, self.folder = demo, demo.signet, folder
        self.say, self.broken, self.digest, self.samples = say, broken, digest, samples
        self.hub, self.lab = folder / "hub", folder / "print-lab"
        self.hub_port, self.lab_port, self.web_port, *ports = free_ports(5)
        self.owners = [Owner("Mia", folder), Owner("Ben", folder)]
        for owner, port in zip(self.owners, ports):
            owner.port = port
        self.secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
        self.url = f"https://127.0.0.1:{self.hub_port}"
        self.certificate = self.hub / "keys" / "tls.pem"
        self.web, self.web_api_secret = None, None
        self.is_apart = True

    def once(self, home, *arguments):
        return self.signet.once(home, *arguments)

    def json(self, home, *arguments):
        return [json.loads(line) for line in self.once(home, "--json", *arguments).splitlines()]

    def build(self):
        """Hub, labs, owners; everything that a person does, once."""
        self.folder.mkdir()
        self.once(self.hub, "hub", "init", "--name", "Demo hub", "--listen", f"127.0.0.1:{self.hub_port}",
                  "--public-url", self.url)
        hub_toml = self.hub / "hub.toml"
        text = hub_toml.read_text(encoding="utf-8")
        hub_toml.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in self.settings.items()) + text,
                            encoding="utf-8")
        self.signet.start("hub", self.hub, "hub")
        self.wait(lambda: self.answers("/v1/health") == 200, "the hub to answer")
        self.say("hub", f"listens at {self.url} with a certificate of its own")
        for owner in self.owners:
            self.once(self.lab, "lab", "invite", owner.name, "--card", self.card(owner), "--name", "print-lab",
                      "--listen", f"127.0.0.1:{self.lab_port}", "--allow", f"127.0.0.1:{self.hub_port}")
        lab_toml = self.lab / "lab.toml"
        lab_toml.write_text(f'trust = "{self.certificate}"\n' + lab_toml.read_text(encoding="utf-8"), encoding="utf-8")
        self.once(self.hub, "hub", "providers", "add", "print-lab", "--card", self.card(self.owners[0]),
                  "--price", f"original={PRICES['print-lab']}")
        told = self.json(self.hub, "hub", "providers", "add", "web-lab", "--secret", "--currency", "EUR", "--purposes", "print",
                         "--price", f"original={PRICES['web-lab']}")
        self.web_api_secret = told[0]["secret"]
        for name, amount in self.paid_in.items():
            self.once(self.hub, "hub", "providers", "top-up", name, amount, "--note", "paid in")
        self.say("hub", "has two providers: print-lab with its key, web-lab that knows only URLs; both paid in")
        self.start_web_lab()
        self.signet.start("print-lab", self.lab, "lab")
        for owner in self.owners:
            self.join(owner)

    def card(self, owner):
        return self.folder / f"card-{owner.name.lower()}.json"

    def start_web_lab(self):
        log = open(self.folder / "web-lab.jsonl", "w", encoding="utf-8")
        self.web = subprocess.Popen(
            [sys.executable, str(HERE / "url_lab.py"), str(self.folder / "web-lab"), "--port", str(self.web_port),
             "--secret", self.secret, "--cacert", str(self.certificate), *self.manners], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def join(self, owner):
        """What one owner does: a home, agree with both labs, join the hub."""
        owner.photos.mkdir()
        self.once(owner.home, "--yes", "init", "--owner", owner.name, "--address", f"mailto:{owner.name.lower()}@example.org",
                  "--photos", owner.photos, "--provider", self.card(owner), "--purpose", "print",
                  "--listen", f"127.0.0.1:{owner.port}", "--local", *self.limits)
        web_card = self.folder / "web-lab.toml"
        web_card.write_text(WEB_LAB.format(port=self.web_port, secret=self.secret, fee=PRICES["web-lab"]), encoding="utf-8")
        self.once(owner.home, "--yes", "consent", "allow", web_card, "--local", "--through-hub", "clear", *self.limits)
        for rules in (owner.home / "rules").glob("*.toml"):
            rules.unlink()
        (owner.home / "rules" / "both.toml").write_text(RULES, encoding="utf-8")
        invite = self.json(self.hub, "hub", "invite", owner.name)[0]
        joined = self.json(owner.home, "--yes", "hub", "join", self.url, invite["code"])[0]
        self.say(owner.name.lower(), f"joined the hub by a code that is good once; both sides show: {joined['check']}")
        self.start(owner)

    def start(self, owner):
        """The owner's agent, behind its router."""
        ports = f"{self.hub_port},{self.lab_port},{self.web_port}"
        self.signet.start(owner.name.lower(), owner.home, "run",
                          before=[sys.executable, str(HERE / "home.py"), "--out", ports, "--"])

    def see_whether_apart(self):
        """Nobody can call the owners' computers."""
        for owner in self.owners:
            log = self.demo_log(owner)
            self.wait(lambda log=log: "home:" in log.read_text(encoding="utf-8"), f"{owner.name}'s computer to start")
            self.is_apart = self.is_apart and "no way in" in log.read_text(encoding="utf-8")
        if not self.is_apart:
            self.say("demo", "this user may not make network namespaces: both owners are on loopback, reachable")
            return
        for owner in self.owners:
            self.demo.pump(lambda owner=owner: owner.name.lower() in self.demo.listening, f"{owner.name}'s agent to listen")
            try:
                socket.create_connection(("127.0.0.1", owner.port), 2).close()
            except OSError:
                continue
            raise self.broken(f"{owner.name}'s computer can be called from outside")
        self.say("demo", "two networks with no way in: both agents listen, and nobody can connect to them")

    def demo_log(self, owner):
        return self.folder.parent / f"{owner.name.lower()}.log"

    def drop(self):
        """Photos with an icon on them, one of each owner in the folder for both labs."""
        names = {owner.name.lower() for owner in self.owners}
        self.wait(lambda: names <= self.demo.scanned_too, "both agents to have looked at what is there")
        for owner, names in zip(self.owners, (self.samples[:2], self.samples[:2])):
            (owner.photos / "both").mkdir()
            for place, source in enumerate(names):
                target = owner.photos / ("both" if place == 0 else "") / source.name
                # Bytes behind its end make it this owner's own version of the picture.
                target.write_bytes(source.read_bytes() + owner.name.encode())
                owner.dropped[self.digest(target)] = ("both" if place == 0 else "one", source.name)
            self.say(owner.name.lower(), f"drops {len(names)} photos, the first one into the folder both")

    def arrived(self):
        """Digests of what each lab has."""
        at_print = [self.digest(path) for path in (self.lab / "orders").glob("*/*")
                    if path.suffix not in (".json", ".jws") and not path.name.startswith(".")]
        at_web = [self.digest(path) for path in (self.folder / "web-lab").glob("*/*") if path.is_file()]
        return sorted(at_print), sorted(at_web)

    def wait_for_orders(self):
        every = sorted(sha for owner in self.owners for sha in owner.dropped)
        both = sorted(sha for owner in self.owners for sha, (where, _) in owner.dropped.items() if where == "both")
        self.wait(lambda: self.arrived() == (every, both),
                  lambda: f"print-lab to have {len(every)} originals and web-lab {len(both)}, they have "
                          f"{[len(each) for each in self.arrived()]}")
        self.say("print-lab", f"has {len(every)} originals from two computers that it cannot call, byte for byte the same")
        self.say("web-lab", f"has {len(both)}, by nothing but their URLs")
        return len(every), len(both)

    def reconcile(self, counts):
        """The books of owners and hub say the same."""
        fees = counts[0] * PRICES["print-lab"] + counts[1] * PRICES["web-lab"]

        def hub_total():
            lines = self.json(self.hub, "hub", "statement", "--operator")
            return -sum(line["minor"] for line in lines
                        if line.get("kind") == "access" and line["account"].startswith("provider:"))
        self.wait(lambda: hub_total() == fees, lambda: f"the hub to post {fees} cents, it has {hub_total()}")
        at_home = 0
        for owner in self.owners:
            accesses = [line for line in self.json(owner.home, "report") if line.get("kind") == "access"]
            at_home += sum(entry["minor"] for line in accesses for entry in line["entries"] if entry["minor"] > 0)
            self.wait(lambda owner=owner: self.is_proven(owner), f"the hub's log to prove {owner.name}'s accesses")
            verified = self.once(owner.home, "report", "--verify").strip().splitlines()
            self.say(owner.name.lower(), f"report --verify: {verified[-1]}")
        if at_home != fees:
            raise self.broken(f"owners wrote {at_home} cents, the hub {fees}")
        said = self.once(self.hub, "hub", "reconcile").strip().splitlines()
        self.say("hub", f"{counts[0] + counts[1]} accesses, {fees / 100:.2f} EUR; reconcile: {said[-1]}")

    def is_proven(self, owner):
        """Whether both logs, its own and the hub's, prove every access."""
        command = self.signet.command(owner.home, "report", "--verify")
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode == 0

    def refuse(self):
        """A lab that was revoked gets nothing more, a stranger nothing at all."""
        mia = self.owners[0]
        order = next((order for order in self.json(mia.home, "orders", "list") if order["provider"] == "web-lab"), None)
        link = self.link_of(mia, order["order_key"])
        self.expect(link, {200}, "web-lab asks once more for what it paid")
        self.once(mia.home, "--yes", "consent", "withdraw", "web-lab")
        self.say("mia", "withdraws what she agreed to with web-lab")
        began = time.monotonic()
        self.wait(lambda: self.status(link) in (403, 404, 410), "web-lab to be refused")
        self.say("web-lab", f"is refused: {self.status(link)} ({time.monotonic() - began:.1f} s after)")
        event = next(json.loads(path.read_text(encoding="utf-8")) for path in (self.lab / "orders").glob("*/order.json"))
        member = event["data"]["members"][0]
        self.expect(member["url"], {401}, "a stranger asks without a grant")
        ben = next(owner for owner in self.owners if self.id_of(owner) not in member["url"])
        holder = next(owner for owner in self.owners if self.id_of(owner) in member["url"])
        self.expect(member["url"].replace(self.id_of(holder), self.id_of(ben)), {404}, "a stranger asks another owner for it")
        self.expect(link.replace("/v1/links/", "/v1/links/../links/"), {400, 404}, "a stranger tries a crooked path")
        self.say("stranger", "without a grant, with another owner's address, by a crooked path: refused each time")

    def link_of(self, owner, order_key):
        """The address that the web lab was given."""
        shown = self.json(owner.home, "orders", "show", order_key)
        text = json.dumps(shown)
        start = text.find(f"{self.url}/o/")
        if start < 0:
            raise self.broken("`signet orders show` names no address at the hub")
        return text[start:text.index('"', start)]

    def id_of(self, owner):
        return json.loads((owner.home / "hub.json").read_text(encoding="utf-8"))["agent_id"]

    def status(self, url):
        trust = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(url, timeout=20, context=trust) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def answers(self, path):
        try:
            return self.status(self.url + path)
        except OSError:
            return None

    def expect(self, url, wanted, what):
        got = self.status(url)
        if got not in wanted:
            raise self.broken(f"{what}: answered {got}, not {' or '.join(map(str, sorted(wanted)))}")

    def wait(self, until, what):
        self.demo.pump(until, what, 60)

    def show(self):
        self.build()
        self.see_whether_apart()
        self.drop()
        self.reconcile(self.wait_for_orders())
        self.refuse()

    def end(self):
        if self.web and self.web.poll() is None:
            self.web.terminate()
            self.web.wait()
