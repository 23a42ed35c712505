#!/usr/bin/env python3
"""Keeps a hub, two owners and two labs busy for a while and sees whether memory stays flat and the books right.

    python3 scripts/soak.py                  30 minutes
    python3 scripts/soak.py --minutes 2      shorter; less than 10 minutes after the warm-up judge no growth

The real programs, as `scripts/demo.py` starts them (across.py, home.py, url_lab.py), with all of this at once:

    orders      new photos again and again, each once to print-lab, some to web-lab too; originals of 0.2 to 8 MB
    transfers   whole, in parallel halves, broken off and gone on with, not changed, HEAD
    readers     that ask for 8 MB and take nothing more
    strangers   without a grant, with another owner's address, with a changed link, with no right to the API
    mishaps     Mia's line breaks in the middle of everything; Ben's agent stops and comes back
    operators   statements, accounts, ledger, metrics, by the API and by commands; a lab that the brake paused goes on

Every 5 s memory, open files and threads of each program are looked at (memory.py says how). The first sixth of the time
is warm-up. At the end each access is there once, both logs prove it, and owners' reports, labs and hub say the same sum.

Prints a table and what was done; with --json one object, and what happens on stderr. Exits with 1, and says why, when a
program grows by more than memory.py allows, an access is missing or doubled, or an answer is not what it should be.
Everything lies below target/soak, which is emptied first; what was seen each 5 s in memory.txt there. Linux, Python 3.8, target/release/signet.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import sys
import time

import demo
from across import PRICES, Across
from crowd import Crowd, Original, Tally
from memory import JUDGED_MINUTES, Memory, show, too_much

SOAK = demo.ROOT / "target" / "soak"
ROUND_S = 8
# Bytes behind a photo's end, which make it a new photo of that size. A reader that stalls needs one of the largest.
PADDING = [200_000, 1_000_000, 200_000, 2_000_000, 400_000, 8_000_000]
LARGE = max(PADDING)
PHOTOS_KEPT = 60
# Most that may be on its way, and for how long, until something is wrong.
OUTSTANDING_MAX = 80
ARRIVES_S = 240
# Accesses in an hour up to which the hub's brake lets a new lab do as it likes.
BRAKE = 200
# After a mishap an owner's computer may be away for so long.
BACK_S = 60


class Soak:
    def __init__(self, signet, say):
        self.signet, self.say, self.tally = signet, say, Tally()
        self.listening, self.scanned_too = set(), set()
        marked = [photo.source for photo in demo.truth() if photo.expected == ["1 print-10x15"]]
        metrics_port = demo.free_ports(1)[0]
        self.across = Across(self, SOAK / "across", say, demo.Broken, demo.free_ports, demo.digest, marked)
        self.across.settings = {"metrics": f"127.0.0.1:{metrics_port}"}
        self.across.paid_in = {name: "100000.00" for name in PRICES}
        self.across.limits = ["--orders-per-day", "100000", "--spend-per-month", "1000000.00"]
        self.across.manners = ["--breaks", "3"]
        self.random = random.Random(1)
        self.dropped, self.numbers = {}, 0
        # By lab: digests that it is to get, with when they were dropped; those that it has.
        self.due, self.there = {name: {} for name in PRICES}, {name: collections.Counter() for name in PRICES}
        self.braked_at = {name: 0 for name in PRICES}
        self.mishap_at, self.web_read = {}, 0
        self.crowd = Crowd(self.across, self.tally, metrics_port, self.is_away)

    # What the programs say.

    def pump(self, until, what, deadline_s=60):
        """Handles events until something is so."""
        end = time.monotonic() + deadline_s
        while not until():
            if time.monotonic() > end:
                raise demo.Broken(f"after {deadline_s} s still waiting: {what() if callable(what) else what}")
            self.breathe(0.2)

    def breathe(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self.handle(*self.signet.events.get(timeout=left))
            except queue.Empty:
                pass
        self.read_web_lab()

    def handle(self, who, event, _at):
        kind = event.get("event")
        process = self.signet.running.get(who)
        if kind == "exited" and process and process.poll() is not None:
            text = (SOAK / f"{who}.log").read_text(encoding="utf-8", errors="replace")
            raise demo.Broken(f"{who} ended by itself with {process.returncode}: {demo.last_line(text)}")
        if kind == "listening":
            self.listening.add(who)
        elif kind == "scanning" and event["done"]:
            self.scanned_too.add(who)
        elif kind == "filed" and who == "print-lab":
            folder = self.across.lab / "orders" / event["order_key"]
            order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
            self.crowd.grant_url = order["data"]["members"][0]["url"]
            for name in event["files"]:
                self.arrived(who, folder / name)
        elif kind in ("failed", "ended", "hub-lied", "reversed", "unreadable", "warning"):
            self.tally.went_wrong(f"{who}: {json.dumps(event)}")
        elif kind in ("postponed", "waiting", "hub-away", "away", "connected"):
            self.tally.did(f"{who}: {kind}")

    def read_web_lab(self):
        if not self.across.web:
            return
        text = (SOAK / "across" / "web-lab.jsonl").read_bytes()
        for line in text[self.web_read:text.rfind(b"\n") + 1].splitlines():
            self.web_read += len(line) + 1
            event = json.loads(line) if line.startswith(b"{") else {"event": "error", "text": line.decode()}
            if event["event"] == "filed":
                place = SOAK / "across" / "web-lab" / event["order_key"] / event["name"]
                self.arrived("web-lab", place, event["order_key"])
            elif event["event"] != "listening":
                self.tally.went_wrong(f"web-lab: {json.dumps(event)}")

    def arrived(self, lab, path, order_key=None):
        """A lab has an original: whether it is one that was dropped, once. The lab has printed it, so it goes there."""
        sha256 = demo.digest(path)
        path.unlink()
        self.there[lab][sha256] += 1
        self.tally.did(f"originals at {lab}")
        if self.due[lab].pop(sha256, None) is None:
            self.tally.went_wrong(f"{lab} has {path.name} twice, or with other bytes")
            return
        owner, source = self.dropped[sha256]
        if order_key and source.stat().st_size > LARGE:
            self.crowd.originals.append(Original(owner, self.across.link_of(owner, order_key), source, sha256))

    # Orders.

    def drop(self, owner, is_both, padding):
        """A new photo: one of the demo's, with bytes behind its end."""
        source = self.random.choice(self.across.samples)
        self.numbers += 1
        target = owner.photos / ("both" if is_both else "") / f"{self.numbers:05}-{source.name}"
        data = source.read_bytes() + os.urandom(padding)
        sha256 = hashlib.sha256(data).hexdigest()
        self.dropped[sha256] = (owner, target)
        for lab in PRICES if is_both else ["print-lab"]:
            self.due[lab][sha256] = time.monotonic()
        target.write_bytes(data)
        self.tally.did("photos dropped")

    def round(self, number):
        if self.is_near_brake():
            self.go_to_brake()
            return
        for owner in self.across.owners:
            for place in range(3):
                self.drop(owner, place != 0, PADDING[(number + place) % len(PADDING)])
        self.breathe(self.random.uniform(1, 4))
        if number % 12 == 3 and self.across.is_apart:
            self.break_line(self.across.owners[0])
        if number % 24 == 7:
            self.come_and_go(self.across.owners[1])
        self.breathe(ROUND_S / 2)
        self.pump(lambda: self.outstanding() < OUTSTANDING_MAX, "labs to keep up", ARRIVES_S)
        if number % 10 == 9:
            self.look_at_books()
        self.forget_old()
        late = [sha for due in self.due.values() for sha, since in due.items() if time.monotonic() - since > ARRIVES_S]
        if late:
            raise demo.Broken(f"{len(late)} originals are not at their lab after {ARRIVES_S} s")

    def outstanding(self):
        return sum(map(len, self.due.values()))

    def wait_for_all(self):
        looked_at = time.monotonic()

        def all_are_there():
            nonlocal looked_at
            # A photo for both labs may bring the other one past the brake.
            if self.outstanding() and time.monotonic() > looked_at + 20:
                looked_at = time.monotonic()
                for lab in PRICES:
                    if self.state(lab) == "paused":
                        self.let_go(lab)
            return not self.outstanding()

        self.pump(all_are_there, lambda: f"{self.outstanding()} originals to arrive", ARRIVES_S)

    def forget_old(self):
        """A collection that stays as large as it is."""
        here = [path for owner in self.across.owners for path in owner.photos.rglob("*") if path.is_file()]
        on_its_way = {self.dropped[sha][1] for due in self.due.values() for sha in due}
        kept = {original.path for original in self.crowd.originals}
        for path in sorted(here, key=lambda path: path.name)[:-PHOTOS_KEPT]:
            if path not in on_its_way | kept:
                path.unlink()

    # The brake pauses a new lab after 200 originals in an hour. Whoever fetches then is refused for good, so the last
    # ones before that go one at a time.

    def since_brake(self, lab):
        return sum(self.there[lab].values()) + len(self.due[lab]) - self.braked_at[lab]

    def is_near_brake(self):
        return any(BRAKE - 6 <= self.since_brake(lab) <= BRAKE + 6 for lab in PRICES)

    def go_to_brake(self):
        self.crowd.is_at_brake = True
        self.go_past_brake()
        self.crowd.is_at_brake = False

    def go_past_brake(self):
        self.wait_for_all()
        for lab in PRICES:
            if not BRAKE - 6 <= self.since_brake(lab) <= BRAKE + 6:
                continue
            if self.since_brake(lab) <= BRAKE:
                self.drop(self.across.owners[0], lab == "web-lab", PADDING[0])
                self.wait_for_all()
                continue
            try:
                self.pump(lambda lab=lab: self.state(lab) == "paused", "the brake", 20)
            except demo.Broken:
                # The hour is a new one, or the usual hour is another by now.
                self.braked_at[lab] = self.since_brake(lab) + self.braked_at[lab]
                continue
            self.let_go(lab)
            # What is posted until the hub looks again is excused as well.
            self.breathe(12)
            self.braked_at[lab] = self.since_brake(lab) + self.braked_at[lab]

    def let_go(self, lab):
        self.crowd.ask("PUT", f"/v1/operator/providers/{lab}/state", self.crowd.operator, 200,
                       {"state": "active", "why": "it may print so much"})
        self.tally.did("labs paused by the brake, and let go on")
        self.braked_at[lab] = self.since_brake(lab) + self.braked_at[lab]

    def state(self, lab):
        return json.loads(self.crowd.ask("GET", f"/v1/operator/providers/{lab}", self.crowd.operator, 200))["state"]

    # Mishaps.

    def break_line(self, owner):
        self.mishap_at[owner] = time.monotonic()
        self.signet.running[owner.name.lower()].send_signal(signal.SIGUSR1)
        self.tally.did("lines broken")

    def come_and_go(self, owner):
        name = owner.name.lower()
        self.mishap_at[owner] = time.monotonic()
        if (code := self.signet.stop(name)) != 0:
            self.tally.went_wrong(f"{name} ended with {code} after Ctrl-C")
        self.breathe(5)
        self.mishap_at[owner] = time.monotonic()
        self.across.start(owner)
        self.tally.did("agents that went and came back")

    def is_away(self, owner):
        return time.monotonic() - self.mishap_at.get(owner, -BACK_S) < BACK_S

    def look_at_books(self):
        """The same by commands, beside the running programs."""
        self.across.once(self.across.hub, "hub", "statement", "--operator")
        self.across.once(self.across.hub, "hub", "statement", "--provider", "web-lab", "--csv")
        for owner in self.across.owners:
            self.across.once(owner.home, "report")
        self.tally.did("statements and reports drawn up")

    # The whole.

    def begin(self, warm_up_s):
        across = self.across
        across.build()
        across.see_whether_apart()
        for owner in across.owners:
            (owner.photos / "both").mkdir()
        self.pump(lambda: {"mia", "ben"} <= self.scanned_too, "both agents to have looked at what is there")
        password = SOAK / "operator.password"
        password.write_text("a soak that is long enough\n", encoding="utf-8")
        across.once(across.hub, "hub", "operators", "add", "soak", "--role", "admin", "--password-file", password)
        self.crowd.sign_in("soak", password.read_text(encoding="utf-8").strip())
        record = open(SOAK / "memory.txt", "w", encoding="utf-8", buffering=1)
        self.memory = Memory(record, self.signet.program, lambda: self.signet.running, warm_up_s)
        self.memory.restarted.add("ben")
        self.memory.thread.start()
        self.crowd.start()

    def run(self, minutes):
        began, number, told = time.monotonic(), 0, 0
        while (passed := (time.monotonic() - began) / 60) < minutes:
            self.round(number)
            number += 1
            if int(passed) > told:
                told = int(passed)
                self.say("soak", f"{told} of {minutes:g} minutes, {self.tally.counts['photos dropped']} photos, "
                                 f"{self.outstanding()} originals on their way, {len(self.tally.wrong)} things went wrong")

    def end(self):
        """Quiet; then each access is there once, and everybody says the same."""
        self.wait_for_all()
        self.crowd.is_over.set()
        self.memory.end()
        doubled = sum(count - 1 for there in self.there.values() for count in there.values())
        if doubled:
            self.tally.went_wrong(f"{doubled} originals arrived more than once")
        self.across.reconcile([sum(self.there[lab].values()) for lab in ("print-lab", "web-lab")])
        for name in ("mia", "ben", "print-lab", "hub"):
            if (code := self.signet.stop(name)) != 0:
                self.tally.went_wrong(f"{name} ended with {code} after Ctrl-C")


def main():
    parser = argparse.ArgumentParser(description="Keeps a hub, owners and labs busy; sees whether memory stays flat.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--program", default=demo.ROOT / "target" / "release" / "signet", help="the program to look at")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.program).resolve()
    output = sys.stdout
    if arguments.json:
        sys.stdout = sys.stderr
    if not program.is_file():
        demo.say("FAILED", f"{program} is not there: `make soak` builds it first")
        return 1
    shutil.rmtree(SOAK, ignore_errors=True)
    SOAK.mkdir(parents=True)
    for name in ("SIGNET_HOME", "SIGNET_LOG"):
        os.environ.pop(name, None)
    signet = demo.Signet(program, SOAK)
    soak = Soak(signet, demo.say)
    table = []
    try:
        soak.begin(arguments.minutes * 60 / 6)
        soak.run(arguments.minutes)
        soak.end()
    except KeyboardInterrupt:
        soak.tally.went_wrong("stopped by Ctrl-C")
    except Exception as trouble:  # whatever it is, the table is shown
        soak.tally.went_wrong(str(trouble) if isinstance(trouble, demo.Broken) else repr(trouble))
    finally:
        soak.crowd.is_over.set()
        if hasattr(soak, "memory"):
            table = soak.memory.table()
        signet.end()
        soak.across.end()
    wrong = soak.tally.wrong + list(too_much(table))
    if arguments.json:
        found = {"minutes": arguments.minutes, "processes": table, "counts": soak.tally.counts, "wrong": wrong}
        print(json.dumps(found), file=output)
    else:
        print("\n" + "\n".join(show(table)) + "\n")
        for what, count in sorted(soak.tally.counts.items()):
            print(f"{count:>7}  {what}")
    for text in wrong:
        demo.say("FAILED", text)
    if not wrong:
        is_judged = any(row["minutes"] >= JUDGED_MINUTES for row in table)
        demo.say("soak", f"the books are right, {'and memory is flat' if is_judged else 'it was too short to judge memory'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
