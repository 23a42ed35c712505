#!/usr/bin/env python3
"""Shows Signet at work: a lab and an owner's agent, real processes talking HTTP on loopback.

    python3 scripts/demo.py                 with the sample photos of tests/data/samples
    python3 scripts/demo.py --photos DIR    with copies of your own; icons are stamped on some of them

Everything happens below target/demo, which is emptied first. Originals are never touched. Ends with a table and
target/demo/summary.json; the exit code is 1, with a line that says why, when anything did not happen as it should.
Needs Python 3.8 and target/release/signet, nothing else; exiftool is used when it is installed.
"""
import argparse
import hashlib
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from across import Across
from faces import Faces
from three_ways import RULES, ThreeWays, printer_here

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO = ROOT / "target" / "demo"
SAMPLES = ROOT / "tests" / "data" / "samples"
ADDRESS = "mailto:ada@example.org"
PHOTOS_MAX = 60
# How long a collection has to be quiet, as `signet.toml` has it, and a little.
SETTLE_S = 1.5
KINDS = {".jpg", ".jpeg", ".png", ".webp"}
# What is stamped on the user's own pictures: icons, and the orders that rules/family.toml makes of them.
STAMPS = [
    (["print-10x15"], ["1 print-10x15"]),
    (["print-13x18"], ["1 print-13x18"]),
    (["share"], ["share"]),
    (["print-20x30"], ["1 print-20x30"]),
    (["print-10x15", "copies-2"], ["2 print-10x15"]),
    (["canvas"], ["1 canvas"]),
    (["print-10x15", "do-not-share"], []),
]
STARTED = time.monotonic()


class Broken(Exception):
    """Something did not happen as it should; the text says what."""


# Showing ----------------------------------------------------------------------------

COLOURS = {"you": "36", "agent": "32", "lab": "35", "stranger": "33", "demo": "90", "FAILED": "31"}


def say(who, text):
    label = f"{who:<8}"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        label = f"\033[{COLOURS.get(who, '0')}m{label}\033[0m"
    print(f"{time.monotonic() - STARTED:6.1f} s  {label}  {text}", flush=True)


def money(minor, currency="EUR"):
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02} {currency}"


def size(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def wish(product, copies):
    return f"{copies} {product}" if product else "share"


# Processes --------------------------------------------------------------------------

class Signet:
    """The program, and the long-running processes started from it."""

    def __init__(self, program, logs):
        self.program, self.logs = str(program), logs
        self.events = queue.Queue()
        self.running = {}

    def command(self, home, *arguments):
        return [self.program, "--home", str(home), *map(str, arguments)]

    def once(self, home, *arguments):
        """Runs a short command and returns what it printed."""
        command = self.command(home, *arguments)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            shown = " ".join(pathlib.Path(part).name if "/" in part else part for part in command)
            raise Broken(f"`{shown}` ended with {done.returncode}: {last_line(done.stderr)}")
        return done.stdout

    def look(self, paths):
        """What `signet look` says of each photo, by file name."""
        command = [self.program, "--json", "look", *map(str, paths)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise Broken(f"`signet look` ended with {done.returncode}: {last_line(done.stderr)}")
        return {pathlib.Path(line["path"]).name: line for line in lines}

    def start(self, name, home, *arguments, before=()):
        """Starts a long-running command, maybe inside another; its JSON lines arrive in `events` as (name, event)."""
        log = open(self.logs / f"{name}.log", "w", encoding="utf-8")
        process = subprocess.Popen([*before, *self.command(home, "--json", *arguments)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=log, text=True)
        self.running[name] = process

        def follow():
            with open(self.logs / f"{name}.jsonl", "w", encoding="utf-8") as record:
                for line in process.stdout:
                    record.write(line)
                    record.flush()
                    try:
                        self.events.put((name, json.loads(line), time.monotonic()))
                    except ValueError:
                        self.events.put((name, {"event": "unclear", "text": line}, time.monotonic()))
            self.events.put((name, {"event": "exited"}, time.monotonic()))
        threading.Thread(target=follow, daemon=True).start()

    def stop(self, name):
        """Stops a process gently, as Ctrl-C does; returns its exit code."""
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Broken(f"{name} did not stop within 20 s of Ctrl-C") from None

    def end(self):
        """Leaves nothing running, whatever happened."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        for process in self.running.values():
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def last_line(text):
    lines = [line for line in re.sub(r"\033\[[0-9;]*m", "", text).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def free_ports(count):
    """Ports that are free now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


# Photos to drop ---------------------------------------------------------------------

class Photo:
    """One file that will be dropped, and what should come of it."""

    def __init__(self, source, icons, orders, name=None):
        self.source, self.icons, self.expected = pathlib.Path(source), list(icons), list(orders)
        self.name = name or self.source.name
        self.sha256 = digest(self.source)
        self.dropped = None  # when its last byte was written
        self.seen = None     # icons that the agent saw
        self.orders = {}     # order key: Order
        self.trouble = None

    def given_up(self):
        """The user's own pictures may be broken; the samples may not."""
        return self.trouble is not None and self.source.parent != SAMPLES


class Order:
    """One order and how far it is."""

    def __init__(self, event):
        self.key, self.wish = event["order_key"], wish(event.get("product"), event["copies"])
        self.provider = event["provider"]
        self.price_minor, self.state = event["price_minor"], event["state"]
        self.filed = self.identical = self.done = False
        self.fee_minor = None


def truth():
    """The samples with their icons and orders; reads the little TOML that truth.toml needs."""
    photos, current = [], None
    for line in (SAMPLES / "truth.toml").read_text(encoding="utf-8").splitlines():
        if line.strip() == "[[photo]]":
            current = {}
            photos.append(current)
        elif current is not None and re.match(r"\w+\s*=", line):
            key, value = line.split("=", 1)
            current[key.strip()] = json.loads(value)
    return [Photo(SAMPLES / entry["file"], entry["icons"], entry["orders"]) for entry in photos]


def own_photos(signet, folder):
    """Copies of the user's pictures; icons are put on every other one that is large enough and has none."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise Broken(f"{folder} is no folder")
    copies = DEMO / "copies"
    copies.mkdir()
    taken, twins, others = [], {}, 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if path.suffix.lower() not in KINDS:
            others += 1
            if others <= 5:
                say("demo", f"{path.name}: skipped, the demo takes JPEG, PNG and WebP")
        elif len(taken) == PHOTOS_MAX:
            say("demo", f"only the first {PHOTOS_MAX} photos are taken")
            break
        else:
            copy = copies / f"{len(taken):02}-{path.name}"
            shutil.copyfile(path, copy)
            twin = twins.setdefault(digest(copy), path.name)
            if twin != path.name:
                say("demo", f"{path.name}: the same picture as {twin}, left out")
                copy.unlink()
                continue
            taken.append(copy)
    if others > 5:
        say("demo", f"{others - 5} more files skipped, the demo takes JPEG, PNG and WebP")
    if not taken:
        raise Broken(f"there is no JPEG, PNG or WebP in {folder}")
    looks = signet.look(taken)
    photos, stamped, due = [], 0, True
    for copy in taken:
        look = looks.get(copy.name, {})
        icons, orders = STAMPS[stamped % len(STAMPS)]
        percent = stamp_percent(look, len(icons)) if due and not look.get("icons") else None
        due = percent is None
        if percent is None:
            photos.append(Photo(copy, [], []))
            continue
        # A stamped copy is a JPEG, whatever the photo was.
        marked = copies / f"{copy.stem}-marked.jpg"
        signet.once(DEMO / "owner", "icons", "stamp", copy, "--icon", ",".join(icons), "--out", marked,
                    "--size-percent", percent)
        stamped += 1
        photos.append(Photo(marked, icons, orders))
    if not stamped:
        raise Broken(f"no photo in {folder} is large enough, readable and without icons, so none was stamped")
    say("demo", f"{len(photos)} copies of your photos, icons put on {stamped} of them")
    return photos


def stamp_percent(look, count):
    """How large icons have to be, in percent of the long side; None when they do not fit."""
    if look.get("error") or not look.get("width_px"):
        return None
    long_px, short_px = sorted((look["width_px"], look["height_px"]), reverse=True)
    # What the icons are made for: 64 px in a copy of 1024 px. Smaller photos are not enlarged.
    side_px = max(0.12 * long_px, 80)
    fits = side_px * (count + 0.15 * (count + 1)) <= min(look["width_px"], long_px) and side_px * 1.3 <= short_px
    return round(100 * side_px / long_px, 1) if fits else None


# The demo ---------------------------------------------------------------------------

class Demo:
    def __init__(self, signet, deadline_s):
        self.signet, self.deadline_s = signet, deadline_s
        self.watched, self.lab, self.owner = DEMO / "photos", DEMO / "lab", DEMO / "owner"
        self.photos, self.by_hash, self.orders = [], {}, {}
        self.listening, self.scanned, self.strangers, self.rules_seen = set(), False, {}, False
        self.filed_late, self.delays = [], []
        self.ways, self.went = ThreeWays(DEMO), []
        self.across, self.scanned_too = None, set()

    # What the processes say.

    def pump(self, until, what, deadline_s=None):
        """Handles events until something is so."""
        end = time.monotonic() + (deadline_s or self.deadline_s)
        while not until():
            left = end - time.monotonic()
            if left <= 0:
                raise Broken(f"after {deadline_s or self.deadline_s:.0f} s still waiting: {what() if callable(what) else what}")
            try:
                self.handle(*self.signet.events.get(timeout=min(left, 0.5)))
            except queue.Empty:
                pass

    def handle(self, who, event, at):
        kind = event.get("event")
        if kind == "exited" and who in self.signet.running:
            code = self.signet.running[who].wait()
            text = (DEMO / f"{who}.log").read_text(encoding="utf-8", errors="replace")
            raise Broken(f"{who} ended by itself with {code}: {last_line(text)}")
        if kind == "listening":
            self.listening.add(who)
        elif kind == "scanning" and event["done"] and who != "agent":
            self.scanned_too.add(who)
        elif who == "agent":
            self.of_agent(kind, event)
        elif who == "lab":
            self.of_lab(kind, event, at)
        elif kind in ("failed", "filed", "waiting"):
            self.strangers[who] = (kind, event.get("reason", ""))

    def of_agent(self, kind, event):
        photo = self.by_hash.get(event.get("photo"))
        order = self.orders.get(event.get("order_key"))
        if kind == "scanning" and event["done"]:
            self.scanned = True
        elif kind == "photo" and photo:
            again, photo.seen, photo.trouble = photo.seen == event["icons"], event["icons"], None
            if again:
                return
            stays = "   stays at home" if any(icon.startswith("do-not-share") for icon in photo.seen) else ""
            say("agent", f"{photo.name}: {'icons ' + ', '.join(photo.seen) if photo.seen else 'no icon'}{stays}")
        elif kind == "unreadable":
            say("agent", f"{event['path']}: skipped, {event['error']}")
            for photo in self.photos:
                if photo.name == event["path"]:
                    photo.trouble = event["error"]
        elif kind == "planned":
            order = Order(event)
            self.orders[order.key] = order
            if photo:
                photo.orders[order.key] = order
            note = {"ask": "  (asks first: ", "refused": "  (not covered: "}.get(order.state)
            say("agent", f"  order {order.key[:8]}: {order.wish} from {event['provider']}, "
                         f"{money(order.price_minor, event['currency'])}{note + event['reason'] + ')' if note else ''}")
        elif kind == "accessed" and order:
            order.fee_minor = event["fee_minor"]
            say("agent", f"  order {order.key[:8]}: {event['provider']} fetched the {event['member']} "
                         f"({size(event['bytes_count'])}) and pays {money(order.fee_minor, event['currency'])}")
        elif kind == "done" and order:
            order.done = True
            # A lab says so itself when it has filed the photo.
            order.filed = order.filed or order.provider != "lab"
        elif kind == "rules" and not event["mistakes"]:
            self.rules_seen = True
        elif kind == "refused":
            say("agent", f"  REFUSED {event['remote']}: {event['reason']}")
        elif kind in ("postponed", "ended"):
            say("agent", f"  order {event['order_key'][:8]}: {event.get('state', 'later')}: {event['reason']}")
        elif kind in ("warning", "rule-failed", "rules"):
            say("agent", event.get("text") or json.dumps(event))

    def of_lab(self, kind, event, at):
        key = event.get("order_key", "")
        if kind == "filed":
            self.filed_late.append((key, event, at))
        elif kind in ("waiting", "failed"):
            say("lab", f"  order {key[:8]}: {kind}: {event['reason']}")
        for late in list(self.filed_late):
            # The lab may be quicker with its line than the agent with its own.
            if late[0] in self.orders:
                self.filed_late.remove(late)
                self.file(*late)

    def file(self, key, event, at):
        order = self.orders[key]
        photo = next(photo for photo in self.photos if key in photo.orders)
        files = [self.lab / "orders" / key / name for name in event["files"]]
        order.filed = True
        if order.wish == "share":
            order.preview = files[0]
            say("lab", f"  order {key[:8]}: has the preview ({size(event['bytes_count'])})")
            return
        order.identical = len(files) == 1 and digest(files[0]) == photo.sha256
        if photo.dropped is not None:
            self.delays.append(at - photo.dropped)
        say("lab", f"  order {key[:8]}: has the original, "
                   f"{'byte for byte the same' if order.identical else 'BUT IT IS NOT THE SAME'}")

    # The acts.

    def prepare(self):
        lab_port, owner_port = free_ports(2)
        card = DEMO / "card.json"
        self.watched.mkdir()
        # Both are on this computer, so each says that it means that.
        owner_place = f"127.0.0.1:{owner_port}"
        self.signet.once(self.lab, "lab", "invite", "Ada", "--card", card, "--name", "lab",
                         "--listen", f"127.0.0.1:{lab_port}", "--allow", owner_place)
        say("lab", "wrote a card for Ada: products, prices, what it pays for access")
        self.signet.once(self.owner, "--yes", "init", "--owner", "Ada", "--address", ADDRESS,
                         "--photos", self.watched, "--provider", card, "--purpose", "print,share",
                         "--orders-per-day", 200, "--spend-per-month", "2000.00",
                         "--listen", owner_place, "--local")
        say("you", "agreed with the lab once: prints and sharing, at most 200 orders a day, 2000.00 EUR a month")

    def start(self):
        self.signet.start("lab", self.lab, "lab")
        self.signet.start("agent", self.owner, "run")
        self.pump(lambda: {"lab", "agent"} <= self.listening and self.scanned, "lab and agent to start", 60)
        say("demo", "lab and agent are up; from here on nobody clicks anything")

    def drop(self, photos):
        """Puts photos into the watched folder one after another, as cameras and phones do."""
        self.photos = photos
        self.by_hash = {photo.sha256: photo for photo in photos}
        for number, photo in enumerate(photos):
            target = self.watched / photo.name
            data = photo.source.read_bytes()
            if number % 5 == 1:
                with open(target, "wb") as out:
                    part = max(1, len(data) // 6)
                    for start in range(0, len(data), part):
                        out.write(data[start:start + part])
                        out.flush()
                        self.breathe(0.12)
                say("you", f"{photo.name} copied slowly, in pieces")
            else:
                target.write_bytes(data)
                say("you", f"{photo.name} dropped")
            photo.dropped = time.monotonic()
            self.breathe(0.15)
        waiting = lambda: [photo for photo in photos if photo.seen is None and not photo.given_up()]
        self.pump(lambda: not waiting(), lambda: "to be read: " + ", ".join(
            f"{photo.name} ({photo.trouble})" if photo.trouble else photo.name for photo in waiting()))
        # What would leave waits until the folder is quiet: a card that goes for it may still be on its way.
        quiet = time.monotonic() + SETTLE_S
        while time.monotonic() < quiet or (self.missing() and time.monotonic() < quiet + 10 * SETTLE_S):
            self.breathe(0.2)
        self.pump(lambda: not self.open_orders(), lambda: "; ".join(self.open_orders()))
        missing = self.missing()
        if missing and photos[0].source.parent == SAMPLES:
            raise Broken("; ".join(missing))
        for text in missing:
            say("demo", text)

    def breathe(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.handle(*self.signet.events.get(timeout=max(0.01, end - time.monotonic())))
            except queue.Empty:
                pass

    def open_orders(self):
        """Orders on their way, in words."""
        return [f"order {order.key[:8]} `{order.wish}` for {photo.name} is not done"
                for photo in self.photos for order in photo.orders.values()
                if order.state == "ready" and not (order.done and order.filed and order.fee_minor is not None)]

    def missing(self):
        """Orders that should have been made and were not, in words."""
        return [f"no order `{text}` for {photo.name} (icons read: {', '.join(photo.seen or []) or 'none'})"
                for photo in self.photos for text in photo.expected
                if text not in [order.wish for order in photo.orders.values() if order.state == "ready"]]

    def again(self):
        """The same picture under another name, and once more: nothing is ordered again."""
        ordered = [photo for photo in self.photos if any(order.state == "ready" for order in photo.orders.values())]
        if not ordered:
            raise Broken("nothing was ordered: " + "; ".join(self.missing()))
        before = len(self.orders)
        first, last = ordered[0], ordered[-1]
        suffix = pathlib.Path(first.name).suffix
        shutil.copyfile(self.watched / first.name, self.watched / f"second copy{suffix}")
        say("you", f"{first.name} copied once more as `second copy{suffix}`")
        renamed = f"renamed {last.name}"
        os.rename(self.watched / last.name, self.watched / renamed)
        say("you", f"{last.name} renamed to `{renamed}`")
        self.breathe(3)
        orders = [json.loads(line) for line in self.signet.once(self.owner, "--json", "orders", "list").splitlines()]
        if len(self.orders) != before or len(orders) != before:
            raise Broken(f"a copy or a rename ordered again: {before} orders before, {len(orders)} after")
        say("demo", f"still {before} orders: a copy and a new name are the same photo")

    def strangers_try(self):
        """Three who may not: without a grant, with somebody else's grant, with an altered one."""
        key, order = next((key, order) for key, order in self.orders.items() if order.filed)
        event = json.loads((self.lab / "orders" / key / "order.json").read_text(encoding="utf-8"))
        member = event["data"]["members"][0]
        try:
            with urllib.request.urlopen(member["url"], timeout=10) as answer:
                raise Broken(f"a stranger without a grant got an answer: {answer.status}")
        except urllib.error.HTTPError as refusal:
            if refusal.code not in (401, 403):
                raise Broken(f"a stranger without a grant was answered {refusal.code}, not 401 or 403") from None
            say("stranger", f"asks for {order.key[:8]} without a grant: {refusal.code}")
        for name, what in (("thief", "with the lab's grant but another key"),
                           ("forger", "with the lab's key but a grant changed by one letter")):
            home = DEMO / name
            port = free_ports(1)[0]
            self.signet.once(home, "lab", "invite", "Ada", "--card", DEMO / f"{name}-card.json", "--name", name,
                             "--listen", f"127.0.0.1:{port}", "--allow", "127.0.0.1")
            if name == "forger":
                shutil.copyfile(self.lab / "keys" / "lab.key", home / "keys" / "lab.key")
                os.chmod(home / "keys" / "lab.key", 0o600)
                grant = member["grant"]
                place = grant.rindex(".") + 20
                event["data"]["members"][0]["grant"] = grant[:place] + ("A" if grant[place] != "A" else "B") + grant[place + 1:]
            folder = home / "orders" / key
            folder.mkdir(parents=True)
            (folder / "order.json").write_text(json.dumps(event), encoding="utf-8")
            self.signet.start(name, home, "lab")
            self.pump(lambda: name in self.strangers, f"the {name} to be refused", 30)
            outcome, reason = self.strangers[name]
            self.signet.stop(name)
            if outcome != "failed" or "403" not in reason and "401" not in reason:
                raise Broken(f"the {name} was not refused: {outcome} {reason}")
            if any(path.name not in ("order.json", "failed.json") for path in folder.iterdir()):
                raise Broken(f"the {name} got something: {sorted(path.name for path in folder.iterdir())}")
            say("stranger", f"tries {what}: {reason}")

    def side_by_side(self):
        """One photo to three providers at once: the lab, a kiosk's hot folder, a printer."""
        missing = printer_here()
        if missing:
            say("demo", f"the three ways are not shown: {missing} is not installed")
            return
        port = free_ports(1)[0]
        try:
            self.ways.start_printer(port)
        except RuntimeError as trouble:
            raise Broken(str(trouble)) from None
        for name, card in self.ways.cards(port):
            self.signet.once(self.owner, "--yes", "consent", "allow", card, "--local")
            say("you", f"agreed with the {name}, by a file that says how it gets orders")
        (self.owner / "rules" / "side-by-side.toml").write_text(RULES, encoding="utf-8")
        self.pump(lambda: self.rules_seen, "the new rules to be in force", 20)
        first = next((photo for photo in self.photos if photo.expected == ["1 print-10x15"]), None)
        if first is None:
            return
        source = DEMO / f"side-by-side{first.source.suffix}"
        # Bytes behind its end make it another version of the same picture.
        source.write_bytes(first.source.read_bytes() + b"side by side")
        photo = Photo(source, first.icons, ["1 print-10x15"] * 3)
        self.photos.append(photo)
        self.by_hash[photo.sha256] = photo
        (self.watched / "side-by-side").mkdir()
        shutil.copyfile(source, self.watched / "side-by-side" / photo.name)
        say("you", f"{photo.name} dropped into the folder side-by-side")
        self.pump(lambda: len(photo.orders) == 3, lambda: f"three orders for {photo.name}, there are {len(photo.orders)}")
        self.pump(lambda: not self.open_orders(), lambda: "; ".join(self.open_orders()))
        for order in photo.orders.values():
            if order.provider == "lab":
                copies = [path for path in (self.lab / "orders" / order.key).iterdir() if path.name == photo.name]
            else:
                copies = self.ways.copies_at(order.provider, source.stat().st_size)
            order.identical = len(copies) == 1 and digest(copies[0]) == photo.sha256
            if not order.identical:
                raise Broken(f"{photo.name} is not once and whole at the {order.provider}: {copies}")
            self.went.append((photo.name, order.provider, copies[0].relative_to(ROOT)))
            say("demo", f"{order.provider:<8} has {copies[0].relative_to(DEMO)}, byte for byte the same")

    def through_hub(self):
        """Two owners whom nobody can call, a hub, two labs."""
        marked = [photo.source for photo in truth() if photo.expected == ["1 print-10x15"]]
        self.across = Across(self, DEMO / "across", say, Broken, free_ports, digest, marked)
        self.across.show()

    def with_faces(self):
        """Somebody who agreed to be recognised."""
        Faces(self, DEMO / "faces", say, Broken, free_ports, ROOT).show()

    def look_at_previews(self):
        """What left as a preview says whose it is and not where it was taken."""
        for photo in self.photos:
            for order in photo.orders.values():
                if order.wish != "share" or not order.filed:
                    continue
                data = order.preview.read_bytes()
                if ADDRESS.encode() not in data:
                    raise Broken(f"the preview of {photo.name} does not carry the owner's address")
                if gps_in(data) or b"SN-000-4711" in data:
                    raise Broken(f"the preview of {photo.name} still says where or with what it was taken")
                before = "had" if gps_in(photo.source.read_bytes()) else "had no"
                say("demo", f"{photo.name} {before} GPS data; the preview that was shared has none and names {ADDRESS}")
                for path, label in ((photo.source, "original"), (order.preview, "preview ")):
                    tags = exiftool(path)
                    if tags is not None:
                        say("demo", f"  exiftool, {label}: {tags}")

    # The end.

    def finish(self):
        report = self.signet.once(self.owner, "report")
        rows = [json.loads(line) for line in self.signet.once(self.owner, "--json", "report").splitlines()]
        orders = [json.loads(line) for line in self.signet.once(self.owner, "--json", "orders", "list").splitlines()]
        for name in ("agent", "lab"):
            code = self.signet.stop(name)
            if code != 0:
                raise Broken(f"{name} ended with {code} after Ctrl-C")
        accesses = [row for row in rows if row["kind"] == "access"]
        prints = [order for order in self.orders.values() if order.wish != "share" and order.filed]
        seconds = time.monotonic() - STARTED
        summary = {
            "photos": len([photo for photo in self.photos if photo.seen is not None]),
            "icons_found": sum(len(photo.seen or []) for photo in self.photos),
            "orders": len(orders),
            "originals_fetched": len(prints),
            "originals_identical": sum(order.identical for order in prints),
            "accesses": len(accesses),
            "refused_accesses": sum(row["tries_count"] for row in rows if row["kind"] == "refusal"),
            "ledger_sum_minor": sum(entry["minor"] for access in accesses for entry in access["entries"]),
            "seconds": round(seconds, 1),
        }
        (DEMO / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        print("\n`signet report` says:\n")
        print(re.sub(r"(?m)^", "  ", report.rstrip()))
        self.table()
        self.where()
        self.figures(summary, rows)
        self.judge(summary, accesses)

    def table(self):
        wide = max(len(photo.name) for photo in self.photos)
        print(f"\n{'photo':<{wide}}  {'icons':<26}  {'order':<15}  {'price':>9}  {'at the lab':<11}  lab pays")
        for photo in self.photos:
            icons = photo.trouble or ", ".join(photo.seen or []) or "-"
            orders = list(photo.orders.values())
            first = f"{photo.name:<{wide}}  {icons:<26}"
            if not orders:
                print(f"{first}  {'-':<15}")
            for order in orders:
                what = "identical" if order.identical else "preview" if order.wish == "share" and order.filed else order.state
                fee = money(order.fee_minor) if order.fee_minor is not None else "-"
                print(f"{first}  {order.wish:<15}  {money(order.price_minor):>9}  {what:<11}  {fee:>8}")
                first = " " * len(first)

    def where(self):
        """Which file went where, of the photo that went three ways."""
        if self.went:
            print("\nside by side, each byte for byte the same:\n")
        for name, provider, path in self.went:
            way = {"lab": "HTTP", "kiosk": "DPOF hot folder", "printer": "IPP"}[provider]
            print(f"  {name}  ->  {provider:<8} {way:<16} {path}")

    def figures(self, summary, rows):
        accounts = {}
        for row in rows:
            if row["kind"] == "balance":
                accounts[row["account"]] = -row["minor"]
        print()
        print(f"  {summary['photos']} photos looked at, {summary['icons_found']} icons found, {summary['orders']} orders")
        print(f"  {summary['originals_fetched']} originals fetched by the lab, "
              f"{summary['originals_identical']} of them byte for byte the same")
        print(f"  {summary['refused_accesses']} tries of strangers refused")
        print("  " + ", ".join(f"{name} {money(minor)}" for name, minor in sorted(accounts.items()))
              + f"; sum {money(summary['ledger_sum_minor'])}")
        if self.delays:
            print(f"  from file closed to original at the lab: median {statistics.median(self.delays):.2f} s, "
                  f"slowest {max(self.delays):.2f} s")
        print(f"  {summary['seconds']} s in all; everything lies in {DEMO.relative_to(ROOT)}")

    def judge(self, summary, accesses):
        wrong = []
        expected = sum(len(photo.expected) for photo in self.photos)
        missing = self.missing()
        # On pictures that nobody chose, an icon may be overlooked now and then.
        if len(missing) > max(1, expected // 10) or len(missing) == expected:
            wrong.append(f"{len(missing)} of {expected} orders were not made: " + "; ".join(missing))
        done = [order for order in self.orders.values() if order.done]
        if expected == 0:
            wrong.append("no order was expected: nothing was shown")
        if summary["orders"] != len(self.orders):
            wrong.append(f"{summary['orders']} orders are kept, but {len(self.orders)} were planned")
        if summary["originals_identical"] != summary["originals_fetched"]:
            wrong.append("an original at the lab differs from yours")
        if summary["accesses"] != len(done) or len({access["grant_id"] for access in accesses}) != len(accesses):
            wrong.append(f"{len(done)} orders done, but {summary['accesses']} accesses posted")
        if summary["ledger_sum_minor"] != 0:
            wrong.append("the ledger does not sum to zero")
        if summary["refused_accesses"] < 3:
            wrong.append("a stranger's try was not written down")
        for photo in self.photos:
            extra = [order.wish for order in photo.orders.values() if order.wish not in photo.expected]
            if extra and photo.source.parent == SAMPLES:
                wrong.append(f"{photo.name} ordered {', '.join(extra)}, which nobody asked for")
            elif extra:
                say("demo", f"{photo.name} ordered {', '.join(extra)} as well: is there an icon in the picture?")
            if digest(photo.source) != photo.sha256:
                wrong.append(f"{photo.name} was changed")
        if wrong:
            raise Broken("; ".join(wrong))


def gps_in(data):
    """Whether a JPEG, PNG or WebP says where it was taken: a GPS directory in EXIF, or GPS words in XMP."""
    if re.search(rb"exif:GPS|GPSLatitude", data):
        return True
    at = data.find(b"Exif\0\0")
    at = at + 6 if at >= 0 else data.find(b"eXIf") + 4 if b"eXIf" in data else data.find(b"EXIF") + 8
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[at:at + 4])
    if order is None:
        return False
    try:
        start = at + struct.unpack_from(order + "I", data, at + 4)[0]
        count = struct.unpack_from(order + "H", data, start)[0]
        return any(struct.unpack_from(order + "H", data, start + 2 + 12 * i)[0] == 0x8825 for i in range(count))
    except struct.error:
        return False


def exiftool(path):
    """What exiftool, if installed, reads of place, serial number and owner."""
    program = shutil.which("exiftool")
    if not program:
        return None
    done = subprocess.run([program, "-json", "-GPSPosition", "-SerialNumber", "-BodySerialNumber", "-XMP:Identifier", "-XMP:Creator", "-XMP:WebStatement", str(path)],
                          capture_output=True, text=True, timeout=30)
    try:
        tags = json.loads(done.stdout)[0]
    except (ValueError, IndexError):
        return None
    tags.pop("SourceFile", None)
    return "; ".join(f"{name} {str(value)[:32]}" for name, value in tags.items()) or "nothing of place, camera or owner"


def main():
    parser = argparse.ArgumentParser(description="Shows Signet at work on this computer.")
    parser.add_argument("--photos", metavar="DIR", help="copies of your own pictures instead of the samples")
    parser.add_argument("--program", default=ROOT / "target" / "release" / "signet", help="the program to show")
    parser.add_argument("--deadline", type=float, default=100, metavar="SECONDS", help="longest wait for anything")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.program).resolve()
    if not program.is_file():
        say("FAILED", f"{program} is not there: `make demo` builds it first")
        return 1
    folder = arguments.photos and pathlib.Path(arguments.photos).resolve()
    if folder and (folder == DEMO or DEMO in folder.parents):
        say("FAILED", f"{DEMO.relative_to(ROOT)} is emptied by the demo: put the photos elsewhere")
        return 1
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir(parents=True)
    for name in ("SIGNET_HOME", "SIGNET_LOG"):
        os.environ.pop(name, None)
    signet = Signet(program, DEMO)
    demo = Demo(signet, arguments.deadline)
    try:
        demo.prepare()
        photos = own_photos(signet, folder) if folder else truth()
        demo.start()
        demo.drop(photos)
        demo.again()
        demo.look_at_previews()
        demo.strangers_try()
        demo.side_by_side()
        demo.finish()
        demo.with_faces()
        demo.through_hub()
    except Broken as trouble:
        say("FAILED", str(trouble))
        return 1
    except KeyboardInterrupt:
        say("FAILED", "stopped by Ctrl-C")
        return 130
    finally:
        signet.end()
        demo.ways.end()
        if demo.across:
            demo.across.end()
    say("demo", "all as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
