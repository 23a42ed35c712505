"""How much memory, how many open files and threads running programs have, looked at again and again.

Part of the soak. In: the processes that were started and whose program counts (a worker below one counts by itself, as
`NAME: workers`); a file for all that is seen, a line each. Out: rows with start, end and slope of each. Memory is what
a process alone has written (RssAnon and what of it was swapped out, in /proc): pages of files and of the program itself
come and go with what else the computer does. The slope is Theil and Sen's, the median of the slopes between all pairs
of looks, which one short peak cannot bend.
"""
import pathlib
import statistics
import threading
import time

EVERY_S = 5
# What a program may grow by: 100 KB a minute are 6 MB an hour. One that keeps 1 KB of each photo is found by that.
GROWTH_KB_MIN = 100
# Open files and threads come and go with what is under way; a leak of one a minute is found.
FILES_PER_MIN = 1.0
# Slopes over less than this say nothing.
JUDGED_MINUTES = 10


def theil_sen(points):
    """The median of the slopes between all pairs of (x, y)."""
    slopes = [(y - y0) / (x - x0) for n, (x0, y0) in enumerate(points) for x, y in points[n + 1:] if x > x0]
    return statistics.median(slopes) if slopes else 0.0


def below(process_id):
    """A process and all that it started, as they are now."""
    children = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [process_id]
    for each in found:
        found += children.get(each, [])
    return found


def look(process_id):
    """Memory in KB, open files, threads."""
    folder = pathlib.Path("/proc", str(process_id))
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())

    def kb(name):
        return int(status.get(name, "0").split()[0])
    return kb("RssAnon") + kb("VmSwap"), len(list((folder / "fd").iterdir())), int(status["Threads"])


class Memory:
    """Looks at programs every few seconds until it is ended."""

    def __init__(self, record, program, processes, warm_up_s):
        self.record, self.program, self.processes, self.warm_up_s = record, str(program), processes, warm_up_s
        self.began, self.rows, self.restarted = time.monotonic(), {}, set()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.is_over.wait(EVERY_S):
            self.look_once()

    def look_once(self):
        minute = (time.monotonic() - self.began) / 60
        for name, process in list(self.processes().items()):
            totals = {}
            for process_id in below(process.pid):
                try:
                    if self.program not in pathlib.Path("/proc", str(process_id), "cmdline").read_text().split("\0")[:1]:
                        continue
                    seen = look(process_id)
                except (OSError, ValueError, KeyError):
                    continue
                row = f"{name}: workers" if name in totals else name
                totals[row] = tuple(map(sum, zip(totals.get(row, (0, 0, 0)), seen)))
            for row, seen in totals.items():
                self.rows.setdefault(row, []).append((minute, *seen))
                self.record.write(f"{minute:.2f} {row} {' '.join(map(str, seen))}\n")

    def end(self):
        self.is_over.set()
        self.thread.join()

    def table(self):
        """A row for each program, after the warm-up; start and end are medians of a minute."""
        table = []
        for name, looks in sorted(self.rows.items()):
            kept = [seen for seen in looks if seen[0] * 60 >= self.warm_up_s] or looks[-1:]
            first, last = kept[0][0], kept[-1][0]

            def middle(place, from_minute, to_minute, kept=kept):
                return statistics.median(seen[place] for seen in kept if from_minute <= seen[0] <= to_minute)
            row = {"process": name, "minutes": round(last - first, 1), "peak_kb": max(seen[1] for seen in looks),
                   "is_steady": name.partition(":")[0] not in self.restarted}
            for place, what in enumerate(("memory_kb", "files", "threads"), 1):
                row[what] = {"start": middle(place, first, first + 1), "end": middle(place, last - 1, last),
                             "per_minute": round(theil_sen([(seen[0], seen[place]) for seen in kept]), 2)}
            table.append(row)
        return table


def too_much(table):
    """What grew more than it may, in words."""
    for row in table:
        if not row["is_steady"] or row["minutes"] < JUDGED_MINUTES:
            continue
        memory = row["memory_kb"]["per_minute"]
        if memory > GROWTH_KB_MIN:
            yield f"{row['process']} grows by {memory:.0f} KB a minute, {GROWTH_KB_MIN} are allowed"
        for what in ("files", "threads"):
            if row[what]["per_minute"] > FILES_PER_MIN:
                yield f"{row['process']} has {row[what]['per_minute']:.1f} more {what} each minute"


def show(table):
    """The table for people."""
    yield (f"{'process':<20} {'start MB':>9} {'end MB':>9} {'peak MB':>9} {'KB/min':>8} {'files':>11} {'threads':>11}"
           f" {'minutes':>8}")
    for row in table:
        memory, files, threads = row["memory_kb"], row["files"], row["threads"]
        slope = f"{memory['per_minute']:8.1f}" if row["is_steady"] else f"{'anew':>8}"
        yield (f"{row['process']:<20} {memory['start'] / 1024:9.1f} {memory['end'] / 1024:9.1f} {row['peak_kb'] / 1024:9.1f}"
               f" {slope} {files['start']:>5.0f}>{files['end']:<5.0f} {threads['start']:>5.0f}>{threads['end']:<5.0f}"
               f" {row['minutes']:8.1f}")
