"""Runs `signet` as its users do: `icons export` and `look --json`.

In:  the program, pictures. Out: sightings, one list per picture, in the pictures' order.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

# A command line holds so many paths on every system.
PATHS_MAX = 2000


def arguments_of(program, home, *words):
    # A home that is not there: nobody's settings, the built-in icons.
    return [str(program), "--home", str(home), "--json", *map(str, words)]


def export(program, home, folder):
    done = subprocess.run(arguments_of(program, home, "icons", "export", folder), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"`signet icons export` failed: {done.stderr.strip()}")


def look(program, home, paths, workers, tell=lambda done: None, cost=None):
    """Sightings by path. `cost`, when a list, gets the CPU ms between one answer and the next (Linux; else time gone by)."""
    seen = {}
    for first in range(0, len(paths), PATHS_MAX):
        seen |= look_at(program, home, paths[first:first + PATHS_MAX], workers, lambda done: tell(first + done), cost)
    return seen


def look_at(program, home, paths, workers, tell, cost):
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(arguments_of(program, home, "look", "--workers", workers, *paths),
                                   stdout=subprocess.PIPE, stderr=errors, text=True)
        seen, answers, last = {}, 0, None
        for line in process.stdout:
            if cost is not None:
                now = cpu_ms(process.pid)
                if last is not None:
                    cost.append(now - last)
                last = now
            answer = json.loads(line)
            answers += 1
            if answer["error"]:
                print(f"bench: {answer['path']}: {answer['error']}", file=sys.stderr)
            else:
                seen[answer["path"]] = answer["icons"]
            tell(answers)
        if process.wait() not in (0, 1) or answers < len(paths):
            errors.seek(0)
            raise SystemExit(f"`signet look` failed: {errors.read().strip()}")
    return seen


def cpu_ms(pid):
    """CPU time of all threads of a process."""
    try:
        total = 0
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e6
    except OSError:
        return time.monotonic() * 1e3


def stages(root, photo):
    """ms that detection alone needs for an empty photo and for one with an icon, as `cargo bench --bench detection` says."""
    done = subprocess.run(["cargo", "bench", "--locked", "--quiet", "--bench", "detection", "--", str(photo)],
                          cwd=root, capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith("detection/look/"):
            found[words[0].rsplit("/", 1)[1]] = float(words[1])
    if done.returncode:
        print(f"bench: no figures for detection alone: {(done.stderr.strip() or 'cargo bench failed').splitlines()[-1]}", file=sys.stderr)
    return found


def centre(sighting):
    corners = sighting["corners"]
    return [sum(corner[axis] for corner in corners) / 4 for axis in (0, 1)]


def judge(sightings, name, middle, side):
    """What one picture's sightings are worth: `found`, `asked`, `wrong`, `elsewhere`."""
    def near(sighting):
        x, y = centre(sighting)
        return ((x - middle[0]) ** 2 + (y - middle[1]) ** 2) ** .5 <= side / 2
    orders = [s for s in sightings if s["tier"] == "order"]
    found = any(s["name"] == name and near(s) for s in orders)
    return {"found": found, "asked": not found and any(s["name"] == name and near(s) for s in sightings),
            "wrong": any(s["name"] != name and near(s) for s in orders), "elsewhere": any(not near(s) for s in orders)}
