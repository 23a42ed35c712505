"""Somebody who agreed to be recognised is in the picture: asked first, ordered where a second photo says so, erased.

Part of the demo. Needs the face networks that scripts/setup.sh fetches into target/models/faces and the portraits of
../shared/faces (or of SIGNET_SHARED); says so where they are missing.
"""
import json
import os
import pathlib
import struct

# As nothing else is called, so that every byte of the home can be searched for it.
NAME = "Grandma Ermintrude"
ENROLLED = ["img1.jpg", "img2.jpg", "img4.jpg", "img5.jpg", "img6.jpg"]
# Photos, and when they are said to be taken: two of one hour, one of another day.
FIRST, SECOND, LATER = ("img7.jpg", "2026-07-01"), ("img10.jpg", "2026-07-01"), ("img11.jpg", "2026-08-09")
RULE = f"""[[rule]]
name = "of-grandma"
when = 'has("{NAME}")'
order = {{ product = "print-10x15", provider = "lab" }}
hold = "0"
reason = "she is on the photo"
"""


def missing(root):
    """What is not here, in words; nothing where all is."""
    if not (root / "target" / "models" / "faces" / "model.toml").is_file():
        return "the face networks are not here: `make setup` fetches them when it can"
    if not all((portraits(root) / name).is_file() for name in ENROLLED):
        return "there are no portraits in ../shared/faces"
    return None


def portraits(root):
    return pathlib.Path(os.environ.get("SIGNET_SHARED", root.parent / "shared")) / "faces"


def taken_at(jpeg, moment):
    """A JPEG that says when it was taken: an Exif segment behind its first two bytes."""
    text = moment.encode() + b"\0"
    # A little-endian TIFF: one entry that leads to the Exif directory, one entry in that, its text.
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack("<HHHIII", 1, 0x9003, 2, len(text), 44, 0) + text
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


class Faces:
    """An owner of their own; `demo` brings the program, events and waiting."""

    def __init__(self, demo, folder, say, broken, free_ports, root):
        self.demo, self.signet, self.folder, self.say, self.broken, self.root = demo, demo.signet, folder, say, broken, root
        self.home, self.lab, self.photos = folder / "owner", folder / "lab", folder / "photos"
        self.ports = free_ports(2)

    def once(self, *arguments):
        return self.signet.once(self.home, *arguments)

    def json(self, *arguments):
        return [json.loads(line) for line in self.once("--json", *arguments).splitlines()]

    def wait(self, until, what):
        self.demo.pump(until, what, 60)

    def show(self):
        lacks = missing(self.root)
        if lacks:
            self.say("demo", f"faces are not shown: {lacks}")
            return
        self.build()
        self.enrol()
        self.signet.start("grandchild", self.home, "run")
        self.wait(lambda: "grandchild" in self.demo.scanned_too, "the agent to have looked at what is there")
        self.ask_and_order()
        self.approve()
        self.erase()

    def build(self):
        self.folder.mkdir()
        self.photos.mkdir()
        lab, owner = (f"127.0.0.1:{port}" for port in self.ports)
        card = self.folder / "card.json"
        self.signet.once(self.lab, "lab", "invite", "Cleo", "--card", card, "--name", "lab", "--listen", lab, "--allow", owner)
        self.once("--yes", "init", "--owner", "Cleo", "--address", "mailto:cleo@example.org", "--photos", self.photos,
                  "--provider", card, "--purpose", "print", "--listen", owner, "--local")
        for rules in (self.home / "rules").glob("*.toml"):
            rules.unlink()
        self.signet.start("family-lab", self.lab, "lab")

    def enrol(self):
        networks = self.root / "target" / "models" / "faces"
        for network in self.json("models", "pull", "faces", "--from", networks):
            self.say("you", f"pulled {network['name']} ({network['licence']})")
        pictures = [portraits(self.root) / name for name in ENROLLED]
        told = self.json("people", "add", NAME, *pictures, "--consent-by", NAME)[0]
        self.say("you", f"{NAME} agreed to be recognised: {told['pictures']} pictures looked at, none kept")
        (self.home / "rules" / "grandma.toml").write_text(RULE, encoding="utf-8")
        self.say("you", "a rule orders a print of each photo that she is on")

    def drop(self, photo, clock):
        name, day = photo
        jpeg = (portraits(self.root) / name).read_bytes()
        (self.photos / name).write_bytes(taken_at(jpeg, f"{day.replace('-', ':')} {clock}"))

    def orders(self):
        """State and reason of the order of each photo that has one."""
        return {pathlib.Path(order["relative"]).name: order for order in self.json("orders", "list")}

    def states(self, wanted):
        return lambda: {name: order["state"] for name, order in self.orders().items()} == wanted

    def ask_and_order(self):
        self.drop(FIRST, "10:00:00")
        self.wait(self.states({FIRST[0]: "ask"}), lambda: f"her first photo to be asked about: {self.orders()}")
        self.say("agent", f"{FIRST[0]}: it asks: {self.orders()[FIRST[0]]['reason']}")
        self.drop(SECOND, "10:20:00")
        done = {FIRST[0]: "done", SECOND[0]: "done"}
        self.wait(self.states(done), lambda: f"two photos of one hour to be ordered: {self.orders()}")
        self.say("agent", f"{SECOND[0]} shows her in the same hour: both are ordered, and the lab has both")

    def approve(self):
        self.drop(LATER, "18:00:00")
        every = [FIRST[0], SECOND[0], LATER[0]]
        self.wait(self.states({**dict.fromkeys(every[:2], "done"), LATER[0]: "ask"}),
                  lambda: f"her photo of another day to be asked about: {self.orders()}")
        self.once("orders", "approve", self.orders()[LATER[0]]["order_key"])
        self.wait(self.states(dict.fromkeys(every, "done")), lambda: f"the approved order to be done: {self.orders()}")
        self.say("you", f"{LATER[0]}, of another day, asked; you said yes, and the lab has it")
        names = [path for path in self.lab.rglob("*") if path.is_file() and NAME.encode() in path.read_bytes()]
        if names:
            raise self.broken(f"the lab was told who is on the photo: {names}")

    def erase(self):
        """Whoever is removed is in no byte of the home but the owner's own rule files."""
        self.once("people", "remove", NAME)
        self.say("you", f"removed {NAME} while the agent runs")
        (self.home / "rules" / "grandma.toml").unlink()
        named = lambda: [path.relative_to(self.home) for path in self.home.rglob("*")
                         if path.is_file() and NAME.encode() in path.read_bytes()]
        self.wait(lambda: not named(), lambda: f"her name to be gone from {[str(path) for path in named()]}")
        count = sum(path.is_file() for path in self.home.rglob("*"))
        self.say("demo", f"her name is in none of the {count} files of the home; {len(self.orders())} orders are kept without it")
        if self.signet.stop("grandchild") != 0 or self.signet.stop("family-lab") != 0:
            raise self.broken("the agent or the lab did not end well")
