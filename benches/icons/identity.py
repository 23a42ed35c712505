"""Which icon is it, and is it one of ours: measured with a family of drawings that no network was trained on.

In:  the program, a folder of SVG icons (`npm pack @phosphor-icons/core`, its assets/regular), a folder of photos.
Out: a table on stdout; figures.json and seen.json in the work folder.

1. A new home; `signet icons add` enrols drawings in a seeded order until there are --enrolled, beside the house set.
   What it refuses is counted and not enrolled.
2. Others of the family, framed in the same way but never enrolled, are strangers: also those that `add` refused as too
   much like an enrolled one, which nobody could tell apart for sure; figures are given with and without these.
3. Every row of every cell is one scene of `scenes.py` with an enrolled icon, and the same scene with two strangers.
4. `signet look --json` looks at all of them.

Right and wrong count among icons found at their place. Bounds are 95 % (Wilson). Glyphs repeat (each stranger is shown
about ten times), so the bounds are for these glyphs under new conditions rather than for all glyphs there could be.

Run it after `make bench-icons` has fetched what the generator needs:

    target/bench-icons/venv/bin/python benches/icons/identity.py --glyphs package/assets/regular --photos PHOTOS

It may be stopped at any time; `--again` starts with the same homes and icons.

Knows nothing of how detection works.
"""
import argparse
import json
import multiprocessing
import pathlib
import random
import re
import shutil
import subprocess

import cv2
import numpy as np

import figures
import ours
import scenes

SIDES, LEVELS = (24, 32, 48, 64, 96), ("easy", "hard")
STRANGERS_A_ROW = 2
BATCH = 10
STATE = {}


def signet(program, home, *words):
    return subprocess.run(ours.arguments_of(program, home, *words), capture_output=True, text=True)


def new_home(program, home):
    shutil.rmtree(home, ignore_errors=True)
    done = signet(program, home, "--yes", "init", "--owner", "Bench", "--address", "mailto:bench@example.org")
    if done.returncode:
        raise SystemExit(f"`signet init` failed: {done.stderr.strip()}")


def name_of(path):
    return re.sub("[^a-z0-9-]", "-", path.stem.lower())


def enrol(program, home, paths, wanted):
    """Adds drawings until there are enough; gives their paths, and what was refused with the reason."""
    taken, refused = [], {}
    for path in paths:
        if len(taken) == wanted:
            break
        done = signet(program, home, "icons", "add", name_of(path), path)
        if done.returncode:
            refused[path] = done.stderr.strip()
        else:
            taken.append(path)
    return taken, refused


def frame(job):
    """Frames one drawing in a scratch home with the house set alone, or in none at all."""
    program, scratch, path = job
    home = pathlib.Path(scratch) / multiprocessing.current_process().name
    if not (home / "signet.toml").exists():
        new_home(program, home)
    done = signet(program, home, "icons", "add", name_of(path), path)
    if done.returncode:
        return path, None
    file = home / "icons" / f"{name_of(path)}.svg"
    svg = file.read_text()
    file.unlink()
    return path, svg


def begin(options):
    cv2.setNumThreads(1)
    STATE.update(options, photos=scenes.Photos(options["photos"], options["seed"], True), markers={})


def marker(name):
    if name not in STATE["markers"]:
        if len(STATE["markers"]) > 60:
            STATE["markers"].clear()
        STATE["markers"][name] = scenes.Marker.icon(STATE["icons"] / f"{name}.png")
    return STATE["markers"][name]


def draw(job):
    level, side, number, shown = job
    scene = scenes.scene(STATE["photos"], scenes.Cell(level, side), STATE["seed"], number)
    camera, rows = scenes.Camera(scene), []
    for kind, name in shown:
        path = STATE["pictures"] / f"{level}-{side}-{number:05}-{kind}-{name}.jpg"
        path.write_bytes(camera.take(marker(name)))
        rows.append({"path": str(path), "kind": kind, "name": name, "level": level, "side": side,
                     "middle": scene.corners().mean(0).tolist()})
    return rows


def judge(row, sightings):
    """The best sighting at the icon's place: name and tier, or nothing."""
    def near(sighting):
        x, y = ours.centre(sighting)
        return np.hypot(x - row["middle"][0], y - row["middle"][1]) <= row["side"] / 2
    here = sorted((s for s in sightings if near(s)), key=lambda s: (s["tier"] != "order", -s["score"]))
    return {"found": here[0]["name"], "tier": here[0]["tier"], "score": here[0]["score"]} if here else {"found": None, "tier": None}


def line(label, rows, near):
    mine = [row for row in rows if row["kind"] == "enrolled"]
    others = [row for row in rows if row["kind"] == "stranger"]
    apart = [row for row in others if row["name"] not in near]
    found = [row for row in mine if row["tier"]]
    ordered = [row for row in mine if row["tier"] == "order"]
    right = lambda group: sum(row["found"] == row["name"] for row in group)
    taken = lambda group, tier="order": sum(row["tier"] == tier for row in group)
    return {"cell": label, "enrolled": len(mine), "found": len(found), "found_right": right(found), "ordered": len(ordered),
            "ordered_wrong": len(ordered) - right(ordered), "strangers": len(others), "strangers_ordered": taken(others),
            "strangers_asked": taken(others, "ask"), "apart": len(apart), "apart_ordered": taken(apart),
            "apart_asked": taken(apart, "ask")}


def show(rows):
    print("cell      enrolled  found  ordered  right/found  wrong/ordered | strangers  ordered  asked | not near any  ordered  asked")
    for r in rows:
        print(f"{r['cell']:9} {r['enrolled']:8}  {r['found']:5}  {r['ordered']:7}  {r['found_right']:5}/{r['found']:<5}"
              f"  {r['ordered_wrong']:5}/{r['ordered']:<5}   | {r['strangers']:9}  {r['strangers_ordered']:7}  {r['strangers_asked']:5} |"
              f" {r['apart']:12}  {r['apart_ordered']:7}  {r['apart_asked']:5}")


def prepare(options, program, work):
    """Enrols, frames the strangers, exports both as pictures; gives who is who."""
    home, gallery = work / "home", work / "gallery"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    paths = sorted(options.glyphs.glob("*.svg"))
    random.Random(options.seed).shuffle(paths)
    new_home(program, home)
    taken, refused = enrol(program, home, paths, options.enrolled)
    too_near = {path for path, why in refused.items() if "resembles" in why}
    print(f"enrolled {len(taken)}; refused {len(too_near)} as too near, {len(refused) - len(too_near)} for their drawing", flush=True)
    rest = [path for path in paths if path not in taken and (path not in refused or path in too_near)]
    with multiprocessing.Pool(options.workers) as pool:
        framed = dict(pool.imap(frame, [(program, work / "scratch", path) for path in rest[:options.strangers]]))
    # A home whose files are laid in by hand: only to be exported.
    new_home(program, gallery)
    shutil.copytree(home / "icons", gallery / "icons", dirs_exist_ok=True)
    strangers = [path for path, svg in framed.items() if svg]
    for path in strangers:
        (gallery / "icons" / f"{name_of(path)}.svg").write_text(framed[path])
    done = signet(program, gallery, "icons", "export", work / "icons")
    if done.returncode:
        raise SystemExit(done.stderr)
    facts = {"enrolled": sorted(map(name_of, taken)), "strangers": list(map(name_of, strangers)),
             "refused": {path.stem: why for path, why in refused.items()}}
    (work / "facts.json").write_text(json.dumps(facts, indent=1))
    return facts


def near_ones(program, home, work, names):
    """Of the strangers, those that `add` refuses beside the enrolled ones."""
    near, copy = set(), work / "asked"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy, dirs_exist_ok=True)
    for name in names:
        done = signet(program, copy, "icons", "add", f"{name}-stranger"[-64:].lstrip("-"), work / "gallery" / "icons" / f"{name}.svg")
        if "resembles" in done.stderr:
            near.add(name)
        else:
            signet(program, copy, "icons", "remove", f"{name}-stranger"[-64:].lstrip("-"))
    return near


def report(rows, near, work):
    table = [line(f"{level}-{side}", [r for r in rows if (r["level"], r["side"]) == (level, side)], near)
             for level in LEVELS for side in SIDES]
    total = line("all", rows, near)
    show([*table, total])
    for label, part, whole in (("right among found", total["found_right"], total["found"]),
                               ("right among ordered", total["ordered"] - total["ordered_wrong"], total["ordered"]),
                               ("strangers ordered", total["strangers_ordered"], total["strangers"]),
                               ("strangers ordered, none near", total["apart_ordered"], total["apart"]),
                               ("strangers asked about", total["strangers_asked"], total["strangers"])):
        low, high = figures.wilson(part, whole)
        print(f"{label}: {part}/{whole} = {part / max(whole, 1):.5f} (95 %: {low:.5f} to {high:.5f})")
    for row in rows:
        if row["tier"] and row["found"] != row["name"] and (row["tier"] == "order" or row["kind"] == "enrolled"):
            print(f"  {row['kind']} {row['name']} {row['tier']} as {row['found']}: {row['level']} {row['side']} px, score"
                  f" {row['score']:.2f}" + (" (near)" if row["name"] in near else ""))
    (work / "figures.json").write_text(json.dumps({"cells": table, "total": total, "near": sorted(near)}, indent=1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--program", default="target/release/signet", type=pathlib.Path)
    arguments.add_argument("--glyphs", required=True, type=pathlib.Path)
    arguments.add_argument("--photos", required=True, type=pathlib.Path)
    arguments.add_argument("--work", default="target/bench-identity", type=pathlib.Path)
    arguments.add_argument("--enrolled", type=int, default=100)
    arguments.add_argument("--strangers", type=int, default=370, help="drawings; with all others at most 500 icons")
    arguments.add_argument("--count", type=int, default=200, help="scenes a cell: so many enrolled, twice as many strangers")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--again", action="store_true", help="with the homes and icons of the run before")
    options = arguments.parse_args()
    work, program = options.work.resolve(), options.program.resolve()
    facts = json.loads((work / "facts.json").read_text()) if options.again else prepare(options, program, work)
    home, pictures, icons, rows = work / "home", work / "pictures", work / "icons", []
    names, others = facts["enrolled"], facts["strangers"]
    state = {"photos": options.photos, "seed": options.seed, "icons": icons, "pictures": pictures}
    with multiprocessing.Pool(options.workers, begin, (state,)) as pool:
        # A few scenes of every cell at a time: whenever it is stopped, seen.json covers all cells alike.
        for first in range(0, options.count, BATCH):
            shutil.rmtree(pictures, ignore_errors=True)
            pictures.mkdir()
            jobs = []
            for cell, (level, side) in enumerate((level, side) for level in LEVELS for side in SIDES):
                for number in range(first, min(first + BATCH, options.count)):
                    at = cell * options.count + number
                    shown = [("enrolled", names[at % len(names)])]
                    shown += [("stranger", others[(STRANGERS_A_ROW * at + k) % len(others)]) for k in range(STRANGERS_A_ROW)]
                    jobs.append((level, side, number, shown))
            batch = [row for group in pool.imap(draw, jobs, 4) for row in group]
            seen = ours.look(program, home, [row["path"] for row in batch], options.workers)
            for row in batch:
                row.update(judge(row, seen[row["path"]]))
            rows += batch
            (work / "seen.json").write_text(json.dumps(rows))
            wrong = sum(row["tier"] == "order" and row["found"] != row["name"] for row in rows)
            print(f"{len(rows)} pictures, {wrong} ordered wrongly", flush=True)
    shown = {row["name"] for row in rows if row["kind"] == "stranger"}
    report(rows, near_ones(program, home, work, sorted(shown)), work)


if __name__ == "__main__":
    main()
