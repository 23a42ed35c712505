#!/usr/bin/env python3
"""Our icons beside AprilTag 36h11, ArUco 6X6 and QR v1: how often each is found, how small, how dark, how covered.

    make bench-icons                        all of it; PHOTOS=dir COUNT=n SEED=n KEEP=dir are taken
    python benches/icons/bench.py --help    parts of it, other programs, stored pictures

Parts: `recall` by size and condition, `large` (an icon 3 % as wide as a 12-megapixel photo), `false` finds on ordinary
photos, `time` per photo. What is drawn is in scenes.py, the rivals' settings in peers.py. A find is the right identity
(ours: and tier `order`) with its centre within half a side of the true one.

Everything is written below one folder (--work, by default target/bench-icons): pictures of ours, rivals' answers (kept:
a second run with the same seed, photos and icons only runs ours again), rows.jsonl with what happened in every picture,
figures.json. One seed gives one set of pictures, whatever the number of processes or rows.
"""
import argparse
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import cv2
import numpy as np

import figures
import ours
import peers
import plot
import scenes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "bench-icons"
SIDES, COVERED_SIDE = (16, 20, 24, 32, 48), 48
CONDITIONS = ("easy", "hard", "easy-covered", "hard-covered")
MARKS = ("<!-- bench-icons: begin -->", "<!-- bench-icons: end -->")
# Fewer pictures a cell than this are a try: it shows that everything works, in about a minute.
TRY_BELOW = 20
PARTS = ("recall", "large", "false", "time")


class Progress:
    """One line that is rewritten on a terminal, or one line every ten seconds."""

    def __init__(self, what, count):
        self.what, self.count, self.began, self.told = what, count, time.monotonic(), 0.0
        self.tty = sys.stderr.isatty()

    def tell(self, done):
        now = time.monotonic()
        if done < self.count and now - self.told < (.2 if self.tty else 10):
            return
        self.told = now
        line = f"bench: {self.what}: {done}/{self.count}, {now - self.began:.0f} s"
        print(f"\r{line}\x1b[K" if self.tty else line, end="\n" if not self.tty or done >= self.count else "", file=sys.stderr, flush=True)


# --- Work of one process ----------------------------------------------------------------------------------------------

STATE = {}


def begin(options):
    cv2.setNumThreads(1)
    scenes.use_tone(options["tone"])
    STATE.update(options)
    STATE["photos"] = scenes.Photos(options["photos"], options["seed"], options["held_out"], options["enlarge"])
    STATE["markers"] = scenes.Markers(options["icons"])
    STATE["peers"] = peers.all_peers()
    STATE["large"] = scenes.photos_below(options["large"]) if pathlib.Path(options["large"]).is_dir() else []


def make_row(job):
    """Draws one row: our picture into a file, the rivals' straight into the rivals. Returns what is known of it."""
    cell, number, want_peers = job
    markers, folder = STATE["markers"], pathlib.Path(STATE["pictures"]) / cell.name
    scene = scenes.scene(STATE["photos"], cell, STATE["seed"], number)
    camera, middle = scenes.Camera(scene), scene.corners().mean(0)
    (folder / f"{number:05}.jpg").write_bytes(camera.take(markers.get("icon", number)))
    row = {"cell": cell.name, "row": number, "icon": markers.identity("icon", number), "photo": scene.photo,
           "corners": scene.corners().round(2).tolist(), "side": cell.side, "tilt": round(scene.tilt, 1),
           "blur": round(scene.blur, 3), "noise": round(scene.noise, 2), "gain": round(scene.light[0], 3),
           "quality": scene.quality, "covered": round(scene.share, 3), "peers": None}
    if want_peers:
        row["peers"] = {}
        for kind in scenes.KINDS[1:]:
            jpeg = camera.take(markers.get(kind, number))
            if STATE["keep"]:
                (folder / f"{number:05}.{kind}.jpg").write_bytes(jpeg)
            grey, identity = peers.grey(jpeg), markers.identity(kind, number)
            for name, peer in STATE["peers"].items():
                if peers.READS[name] == kind:
                    row["peers"][name] = any(found == identity and np.linalg.norm(corners.mean(0) - middle) <= cell.side / 2
                                             for found, corners in peer.find(grey))
    return row


def count_false(path):
    """How often each rival sees something in a photo that has nothing."""
    picture = scenes.load(path)
    if picture is None:
        return None
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return {name: len(peer.find(grey)) for name, peer in STATE["peers"].items()}


def make_large(job):
    """One 12-megapixel picture with an icon; every other one is a photo held upright."""
    level, number, folder = job
    place, scene, corners = scenes.large(STATE["large"], level, STATE["seed"], number)
    markers = STATE["markers"]
    picture = place(scenes.Camera(scene).picture(markers.get("icon", number)))
    jpeg = scenes.jpeg(picture, scene.quality)
    if number % 2:
        jpeg = scenes.sideways(jpeg)
        corners = np.c_[picture.shape[0] - corners[:, 1], corners[:, 0]]
    path = pathlib.Path(folder) / f"{level}-{number:05}.jpg"
    path.write_bytes(jpeg)
    return {"cell": f"{level}-large", "row": number, "path": str(path), "icon": markers.identity("icon", number), "photo": scene.photo,
            "corners": corners.round(1).tolist(), "side": .03 * max(picture.shape[:2]), "upright": bool(number % 2)}


def time_peers(path):
    """CPU ms of each rival for one JPEG, its decoding included."""
    jpeg, spent = pathlib.Path(path).read_bytes(), {}
    for name, peer in STATE["peers"].items():
        began = time.thread_time()
        peer.find(peers.grey(jpeg))
        spent[name] = 1e3 * (time.thread_time() - began)
    return spent


def prove():
    """A large, easy marker has to be found where it was drawn, and one seed has to give one picture; else no figure
    would mean anything."""
    cell = scenes.Cell("easy", 96)
    for number in range(3):
        scene = scenes.scene(STATE["photos"], cell, STATE["seed"], number)
        first, again = (scenes.Camera(scene).take(STATE["markers"].get("apriltag", number)) for _ in range(2))
        found = dict(STATE["peers"]["pupil-36h11"].find(peers.grey(first)))
        corners = found.get(STATE["markers"].identity("apriltag", number))
        if first != again or corners is None or np.abs(corners.mean(0) - scene.corners().mean(0)).max() > .5:
            raise SystemExit("the generator is broken: a large, easy marker is not where it was drawn")


# --- Parts ------------------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, options):
        self.o = options
        self.work = pathlib.Path(options.work).resolve()
        self.home, self.icons = self.work / "no-home", self.work / "icons"
        self.pictures = self.work / "pictures"
        self.icons.mkdir(parents=True, exist_ok=True)
        for old in self.icons.glob("*"):
            old.unlink()
        ours.export(options.signet, self.home, self.icons)
        # Own photos were never trained on; of the shared ones only those that were held out.
        held_out = not options.photos and not options.all_photos
        self.photos = pathlib.Path(options.photos or options.shared / "photos")
        if not self.photos.is_dir():
            raise SystemExit(f"there are no photos in {self.photos}: name a folder of your own, PHOTOS=dir")
        self.settings = {"photos": str(self.photos), "seed": options.seed, "held_out": held_out, "tone": options.tone, "enlarge": options.enlarge,
                         "icons": str(self.icons), "large": str(options.shared / "camera" / "12mp"), "pictures": str(self.pictures), "keep": options.keep}
        begin(self.settings)
        packages = ("numpy", "opencv-contrib-python-headless", "pupil-apriltags", "zxing-cpp")
        self.versions = {name: importlib.metadata.version(name) for name in packages}
        self.fingerprint = {"version": scenes.VERSION, "peers": peers.VERSION, "seed": options.seed, "tone": options.tone, "enlarge": options.enlarge, "photos": STATE["photos"].digest(),
                            "icons": STATE["markers"].digest(), **self.versions}
        self.figures = {"settings": {k: v for k, v in self.fingerprint.items()}, "photos_count": STATE["photos"].count(),
                        "held_out": held_out, "icons_count": len(STATE["markers"].names), "program": self.program()}

    def program(self):
        version = subprocess.run([self.o.signet, "--version"], capture_output=True, text=True).stdout.strip()
        return f"{version}, {hashlib.sha256(pathlib.Path(self.o.signet).read_bytes()).hexdigest()[:16]}"

    def take_earlier(self):
        """Figures of parts measured before, with the same program, pictures and rivals."""
        path = self.work / "figures.json"
        if path.exists():
            earlier = json.loads(path.read_text())
            if all(earlier.get(key) == self.figures[key] for key in ("settings", "held_out", "program")):
                self.figures = earlier | self.figures

    def pool(self):
        return multiprocessing.get_context("spawn").Pool(self.o.jobs, begin, (self.settings,))

    def cells(self):
        listed = []
        for condition in self.o.conditions:
            level, *covered = condition.split("-")
            sides = [side for side in self.o.sides if side == COVERED_SIDE] or [COVERED_SIDE] if covered else self.o.sides
            listed += [scenes.Cell(level, side, bool(covered)) for side in sides]
        return listed

    def stored(self, cell):
        """Rows drawn before, by number; none when anything that matters was different."""
        path = self.pictures / f"{cell.name}.jsonl"
        if not path.exists():
            return {}
        with open(path) as file:
            if json.loads(file.readline() or "{}") != self.fingerprint:
                return {}
            rows = [json.loads(line) for line in file if line.endswith("\n")]
        return {row["row"]: row for row in rows if (self.pictures / cell.name / f"{row['row']:05}.jpg").exists()}

    def draw(self):
        """Rows of all cells: {cell: [row]}. What is missing is drawn now."""
        known, jobs = {}, []
        for cell in self.cells():
            (self.pictures / cell.name).mkdir(parents=True, exist_ok=True)
            known[cell] = self.stored(cell)
            path = self.pictures / f"{cell.name}.jsonl"
            if not known[cell]:
                path.write_text(json.dumps(self.fingerprint) + "\n")
            for number in range(self.o.count):
                row = known[cell].get(number)
                if row is None or (self.o.peers and row["peers"] is None):
                    jobs.append((cell, number, self.o.peers))
        if jobs:
            progress, by_name = Progress("pictures" + (" and rivals" if self.o.peers else ""), len(jobs)), {c.name: c for c in known}
            files = {cell.name: open(self.pictures / f"{cell.name}.jsonl", "a") for cell in known}
            with self.pool() as pool:
                for done, row in enumerate(pool.imap_unordered(make_row, jobs, chunksize=4), 1):
                    known[by_name[row["cell"]]][row["row"]] = row
                    files[row["cell"]].write(json.dumps(row) + "\n")
                    files[row["cell"]].flush()
                    progress.tell(done)
            for file in files.values():
                file.close()
        return {cell: [rows[number] for number in range(self.o.count)] for cell, rows in known.items()}

    def recall(self):
        drawn = self.draw()
        paths = {str(self.pictures / cell.name / f"{row['row']:05}.jpg"): row for cell, rows in drawn.items() for row in rows}
        progress = Progress("ours", len(paths))
        seen = ours.look(self.o.signet, self.home, list(paths), self.o.jobs, progress.tell)
        for path, row in paths.items():
            middle = np.mean(row["corners"], 0)
            row["sightings"] = seen.get(path, [])
            row |= ours.judge(row["sightings"], row["icon"], middle, row["side"])
        with open(self.work / "rows.jsonl", "w") as file:
            for row in paths.values():
                file.write(json.dumps(row) + "\n")
        self.figures["recall"] = {cell.name: figures.cell_figures(rows) for cell, rows in drawn.items()}
        found = sum(row["found"] for row in paths.values())
        wrong = sum(row["wrong"] for row in paths.values())
        self.figures["wrong"] = {"found": found, "wrong": wrong, "elsewhere": sum(row["elsewhere"] for row in paths.values())}

    def large(self):
        if not STATE["large"]:
            print("\n12-megapixel photos: left out, there are none in camera/12mp of --shared")
            return
        count, folder = max(2, self.o.count // 5), self.work / "large"
        folder.mkdir(exist_ok=True)
        jobs = [(level, number, str(folder)) for level in scenes.LEVELS for number in range(count)]
        progress = Progress("12-megapixel pictures", len(jobs))
        rows = []
        with self.pool() as pool:
            for row in pool.imap_unordered(make_large, jobs):
                rows.append(row)
                progress.tell(len(rows))
        rows.sort(key=lambda row: (row["cell"], row["row"]))
        progress = Progress("ours on them", len(rows))
        seen = ours.look(self.o.signet, self.home, [row["path"] for row in rows], self.o.jobs, progress.tell)
        for row in rows:
            row["sightings"] = seen.get(row["path"], [])
            row |= ours.judge(row["sightings"], row["icon"], np.mean(row["corners"], 0), row["side"])
            if not self.o.keep:
                pathlib.Path(row["path"]).unlink()
        with open(self.work / "rows-large.jsonl", "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        self.figures["large"] = {}
        for level in scenes.LEVELS:
            mine = [row for row in rows if row["cell"] == f"{level}-large"]
            self.figures["large"][level] = figures.share(sum(row["found"] for row in mine), len(mine)) | {
                "ask": sum(row["asked"] for row in mine), "wrong": sum(row["wrong"] for row in mine)}

    def false_finds(self):
        folder = self.photos
        # A try with a few pictures looks at a few photos.
        paths = scenes.photos_below(folder)[:None if self.o.count >= TRY_BELOW else 20 * self.o.count]
        counts = {}
        if self.o.peers:
            progress = Progress("rivals on ordinary photos", len(paths))
            with self.pool() as pool:
                for done, found in enumerate(pool.imap_unordered(count_false, map(str, paths), chunksize=8), 1):
                    for name, finds in (found or {}).items():
                        counts.setdefault(name, []).append(finds)
                    progress.tell(done)
        progress = Progress("ours on ordinary photos", len(paths))
        seen = ours.look(self.o.signet, self.home, [str(path) for path in paths], self.o.jobs, progress.tell)
        lines = []
        for tier in ("order", "ask"):
            counts[f"ours, {tier}"] = [sum(icon["tier"] == tier for icon in icons) for icons in seen.values()]
            never_trained = [seen[str(path)] for path in paths if scenes.is_held_out(path) and str(path) in seen]
            counts[f"ours, {tier}, held out"] = [sum(icon["tier"] == tier for icon in icons) for icons in never_trained]
        for path, icons in seen.items():
            lines += [json.dumps({"path": path, "icon": icon}) + "\n" for icon in icons]
        with open(self.work / "false.jsonl", "w") as file:
            file.writelines(lines)
        self.figures["false"] = {name: {"photos": len(finds), "finds": sum(finds), "photos_with": sum(map(bool, finds)),
                                        "per_10000_upper": 1e4 * figures.poisson_upper(sum(map(bool, finds))) / max(1, len(finds))}
                                 for name, finds in counts.items()}

    def cost(self):
        count, folder = min(60, max(4, self.o.count // 5)), self.work / "time"
        folder.mkdir(exist_ok=True)
        empty, marked = [], []
        for number in range(count):
            picture, name = STATE["photos"].take(number)
            scale = scenes.LONG_PX / max(picture.shape[:2])
            size = [round(side * scale) for side in picture.shape[1::-1]]
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
            scene = scenes.scene(STATE["photos"], scenes.Cell("easy", 48), self.o.seed, number, (picture, name))
            camera = scenes.Camera(scene)
            for listed, what, marker in ((empty, "empty", None), (marked, "icon", STATE["markers"].get("icon", number))):
                path = folder / f"{what}-{number:03}.jpg"
                path.write_bytes(scenes.jpeg(camera.picture(marker), 90))
                listed.append(str(path))
        out = {}
        for what, paths in (("ours, no icon", empty), ("ours, one icon", marked)):
            spent = []
            ours.look(self.o.signet, self.home, paths, 1, cost=spent)
            out[what] = median(spent)
        if self.o.peers:
            spent = [time_peers(path) for path in empty]
            out |= {name: median([row[name] for row in spent]) for name in spent[0]}
        self.figures["time"] = {"photos": count, "cpu_ms_median": out}
        alone = [ours.stages(ROOT, path) for path in empty[:3]] if self.o.stages and self.o.count >= TRY_BELOW else []
        alone = [row for row in alone if {"empty", "one-icon"} <= set(row)]
        if alone:
            self.figures["time"]["detection_ms"] = {what: median([row[what] for row in alone]) for what in ("empty", "one-icon")}

    def run(self):
        began = time.monotonic()
        prove()
        self.take_earlier()
        for part in self.o.only:
            getattr(self, {"false": "false_finds", "time": "cost"}.get(part, part))()
        self.figures["seconds"] = round(time.monotonic() - began)
        (self.work / "figures.json").write_text(json.dumps(self.figures, indent=1) + "\n")
        text = figures.report(self.figures)
        (self.work / "figures.md").write_text(text)
        print(text)
        if "recall" in self.figures:
            (self.work / "icons.svg").write_text(plot.svg(self.figures))
        if self.o.publish:
            publish(text, self.figures)
        print(f"bench: {self.figures['seconds']} s; figures.json, figures.md, icons.svg and rows.jsonl (every picture) are in {self.work}")


def median(values):
    return float(np.median(values)) if values else None


def publish(text, all_figures):
    """Puts table and curves where readers find them: README.md between its marks, docs/icons.svg."""
    readme = ROOT / "README.md"
    before, mark, rest = readme.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        raise SystemExit("README.md has lost the marks between which the figures stand")
    readme.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")
    (ROOT / "docs" / "icons.svg").write_text(plot.svg(all_figures))


def listed(kind, allowed=None):
    def parse(text):
        values = tuple(kind(word) for word in text.split(",") if word)
        for value in values:
            if allowed and value not in allowed:
                raise argparse.ArgumentTypeError(f"{value} is none of {', '.join(allowed)}")
        return values
    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signet", default=ROOT / "target" / "release" / "signet", metavar="PATH", help="the program to measure")
    parser.add_argument("--photos", metavar="DIR", help="backgrounds of your own; by default those of --shared that training never saw")
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path(os.environ.get("SIGNET_SHARED") or ROOT.parent / "shared"),
                        metavar="DIR", help="holds photos/ and camera/12mp/")
    parser.add_argument("--all-photos", action="store_true", help="also those of --shared that the networks were trained on")
    parser.add_argument("--count", type=int, default=400, metavar="N", help=f"pictures per cell; below {TRY_BELOW}, false finds and times are only tried, too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sides", type=listed(float), default=SIDES, metavar="PX,..")
    parser.add_argument("--conditions", type=listed(str, CONDITIONS), default=CONDITIONS, metavar="NAME,..", help=", ".join(CONDITIONS))
    parser.add_argument("--only", type=listed(str, PARTS), default=PARTS, metavar="PART,..", help=", ".join(PARTS))
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="ours alone")
    parser.add_argument("--tone", choices=scenes.TONES, default="linear", help="what is averaged: light, or 8-bit values")
    parser.add_argument("--enlarge", action="store_true", help="photos smaller than 1024 px are enlarged to it")
    parser.add_argument("--work", default=WORK, metavar="DIR", help="where pictures and figures go and are taken from again")
    parser.add_argument("--keep", action="store_true", help="write the rivals' pictures, too")
    parser.add_argument("--publish", action="store_true", help="put table and curves into README.md and docs/icons.svg")
    parser.add_argument("--no-stages", dest="stages", action="store_false", help="without `cargo bench --bench detection`")
    parser.add_argument("--jobs", type=int, default=2)
    Bench(parser.parse_args()).run()
    # pupil-apriltags sometimes crashes while it is being cleaned up; nothing is left to be cleaned.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
