"""Counts become figures: intervals, the table, the list of targets.

Knows nothing of pictures.
"""
import math

# What the project set itself: recall of ours by cell, from the issue that asked for these icons.
TARGETS = {"easy-16": .85, "easy-20": .95, "easy-24": .98, "easy-32": .99, "easy-48": .995, "easy-48-covered": .95,
           "hard-16": .35, "hard-20": .65, "hard-24": .80, "hard-32": .96, "hard-48": .98, "hard-48-covered": .90}
WRONG_PER_FOUND_MAX, ASK_PER_PHOTO_MAX, MS_EMPTY_MAX, MS_ICON_MAX = 1 / 1000, 5 / 10000, 20, 35
# Settings and programs for one kind of marker: the better one in a cell stands for the kind.
FAMILIES = {"AprilTag 36h11": ("pupil-36h11", "opencv-36h11", "opencv-36h11-tuned"),
            "ArUco 6X6": ("opencv-6x6", "opencv-6x6-tuned"), "QR v1": ("zxing-qr", "opencv-qr")}
Z = 1.959964


def wilson(found, count):
    """95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share, spread = found / count, Z * Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def paired(ours, theirs):
    """Difference of two shares over the same rows, and half its 95 % interval.

    With an extra half row on each side, so that no disagreement at all is not taken as certainty.
    """
    count = len(ours)
    if not count:
        return 0.0, 1.0
    only_ours = sum(a and not b for a, b in zip(ours, theirs))
    only_theirs = sum(b and not a for a, b in zip(ours, theirs))
    b, c, n = only_ours + .5, only_theirs + .5, count + 1
    return (only_ours - only_theirs) / count, Z * math.sqrt(b + c - (b - c) ** 2 / n) / n


def poisson_upper(events):
    """95 % upper bound (one-sided) of a count, by halving."""
    low, high = float(events), events + 20 + 4 * math.sqrt(events)
    for _ in range(80):
        middle = (low + high) / 2
        below = sum(math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(events + 1)) if middle else 1
        low, high = (middle, high) if below > .05 else (low, middle)
    return high


def share(found, count):
    low, high = wilson(found, count)
    return {"found": found, "n": count, "recall": found / count if count else None, "low": low, "high": high}


def short(value):
    """.98, 1.0, .995: as many digits as are needed."""
    text = f"{value:.3f}".rstrip("0")
    text = text + "0" if text.endswith(".") else text
    return text if value >= 1 or text == "0.0" else text.replace("0.", ".", 1)


def cell_figures(rows):
    """Figures of one cell from its rows (see bench.py for what is in them)."""
    count = len(rows)
    out = {"ours": share(sum(row["found"] for row in rows), count),
           "ask": sum(row["asked"] for row in rows), "wrong": sum(row["wrong"] for row in rows),
           "elsewhere": sum(row["elsewhere"] for row in rows)}
    if rows and all(row["peers"] is not None for row in rows):
        names = sorted(rows[0]["peers"])
        out["peers"] = {name: share(sum(row["peers"][name] for row in rows), count) for name in names}
        out["families"] = {}
        for family, members in FAMILIES.items():
            best = max((name for name in members if name in names), key=lambda name: out["peers"][name]["found"], default=None)
            if best:
                out["families"][family] = {"by": best} | out["peers"][best]
        best = max(names, key=lambda name: out["peers"][name]["found"])
        difference, half = paired([row["found"] for row in rows], [row["peers"][best] for row in rows])
        out["best"] = {"by": best} | out["peers"][best] | {"difference": difference, "half": half}
    return out


def spread(figure):
    return f"{short(round(figure['recall'], 3))} ({short(round(figure['low'], 2))}–{short(round(figure['high'], 2))})"


def recall_table(cells):
    """Markdown. `cells`: name > figures, in order."""
    families = list(FAMILIES)
    lines = ["| side px | ours | " + " | ".join(families) + " | ours − best, paired | asked | wrong | target |",
             "|---|---|" + "---|" * len(families) + "---|---|---|---|"]
    for name, cell in cells.items():
        level, side, *covered = name.split("-")
        label = f"{level.upper()} {side}" + (", 10–30 % covered" if covered else "")
        theirs = [short(round(cell["families"][family]["recall"], 3)) if "families" in cell else "–" for family in families]
        gap = f"{100 * cell['best']['difference']:+.1f} ± {100 * cell['best']['half']:.1f}" if "best" in cell else "–"
        target = TARGETS.get(name)
        reached = "–" if target is None else f"≥ {short(target)} " + ("reached" if cell["ours"]["recall"] >= target - 1e-9 else "**missed**")
        lines.append(f"| {label} | {spread(cell['ours'])} | " + " | ".join(theirs)
                     + f" | {gap} | {cell['ask']} | {cell['wrong']} | {reached} |")
    return "\n".join(lines)


def reached(ok):
    return "reached" if ok else "**missed**"


def report(all_figures):
    """Everything that was measured, as Markdown; parts that were not are left out."""
    parts = []
    if "recall" in all_figures:
        settings = all_figures["settings"]
        n = max(cell["ours"]["n"] for cell in all_figures["recall"].values())
        trained = "never trained on" if all_figures["held_out"] else "named by the user or trained on"
        parts.append(f"{n} pictures a row, seed {settings['seed']}, on {all_figures['photos_count']:,} photos {trained}; {all_figures['icons_count']} icons in turn; "
                     f"OpenCV {settings['opencv-contrib-python-headless']}, pupil-apriltags {settings['pupil-apriltags']}, zxing-cpp {settings['zxing-cpp']}"
                     + ("" if settings["tone"] == "linear" else f"; tone {settings['tone']}") + ("; small photos enlarged" if settings["enlarge"] else "") + ". In brackets 95 % intervals.")
        parts.append(recall_table(all_figures["recall"]))
        wrong = all_figures["wrong"]
        rate = wrong["wrong"] / max(1, wrong["found"])
        parts.append(f"Wrong icon, tier `order`: {wrong['wrong']} beside {wrong['found']} found (≤ 1 in 1,000: {reached(rate <= WRONG_PER_FOUND_MAX)}); "
                     f"tier `order` elsewhere in the picture: {wrong['elsewhere']}.")
    if "large" in all_figures:
        large = all_figures["large"]
        parts.append("In a 12-megapixel photo, 3 % as wide as its long side (121 px): "
                     + ", ".join(f"{level.upper()} {spread(large[level])} of {large[level]['n']}" for level in large) + ".")
    if "false" in all_figures:
        parts.append(false_table(all_figures["false"]))
    if "time" in all_figures:
        parts.append(time_table(all_figures["time"]))
    return "\n\n".join(parts) + "\n"


def false_table(counts):
    lines = ["| false finds on photos without any | photos | with a find | per 10,000, 95 % bound | target |", "|---|---|---|---|---|"]
    for name in sorted(counts, key=lambda name: (not name.startswith("ours"), name)):
        row = counts[name]
        target = "–"
        if name == "ours, order":
            target = "0 " + reached(row["photos_with"] == 0)
        elif name == "ours, ask":
            target = "≤ 5 per 10,000 " + reached(row["photos_with"] <= ASK_PER_PHOTO_MAX * row["photos"])
        lines.append(f"| {name} | {row['photos']:,} | {row['photos_with']} | ≤ {row['per_10000_upper']:.1f} | {target} |")
    return "\n".join(lines)


def time_table(times):
    spent = times["cpu_ms_median"]
    lines = [f"| CPU ms for a 1024-px JPEG, one thread, median of {times['photos']} | |", "|---|---|"]
    lines += [f"| {name} | {ms:.1f} |" for name, ms in spent.items() if ms is not None]
    for what, most in (("empty", MS_EMPTY_MAX), ("one-icon", MS_ICON_MAX)):
        if "detection_ms" in times:
            ms = times["detection_ms"][what]
            lines.append(f"| ours, detection alone, {what.replace('one-icon', 'one icon').replace('empty', 'no icon')} | {ms:.1f} (≤ {most}: {reached(ms <= most)}) |")
    return "\n".join(lines)
