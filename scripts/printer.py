#!/usr/bin/env python3
"""A printer to test and show with: CUPS' own ippeveprinter, on a message bus of its own.

    python3 scripts/printer.py FOLDER [--port N] [--plain]

FOLDER is made and holds all that the printer leaves: `spool/` every document as it came, `jobs/N.txt` what was asked
for with job N (one NAME=VALUE per line, such as IPP_COPIES=2). While FOLDER/hold exists, a job that prints goes on
printing. --plain takes out the photo paper: letter, legal and A4 alone.

Says `printer-uri-supported="ipp://localhost:PORT/ipp/print"...` once it listens, then goes on until it is killed; this
process becomes the printer, so its end is the printer's, whatever signal it was, and the bus ends with it. Any number
may run at once, beside a system bus and an avahi-daemon or without; nothing here needs root.

Why the bus: ippeveprinter does not start without D-Bus ("Unable to initialize DNS-SD"), even when it is told to
announce nothing (-r off). It does start without avahi-daemon, which it then never hears from. On a Mac it needs neither.
"""
import argparse
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"""

# Runs for each job with the path of its document; its end is the job's.
COMMAND = """#!/bin/sh
env | grep -E '^(IPP_|CONTENT_TYPE=)' > '{folder}/jobs/part' && mv '{folder}/jobs/part' "{folder}/jobs/$IPP_JOB_ID.txt"
while [ -e '{folder}/hold' ]; do sleep 0.05; done
"""


def die_with_parent():
    """Asks Linux to end the process that is being started when this one ends."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def start_bus(folder):
    """Starts a private message bus and gives its address."""
    config = folder / "bus.conf"
    (folder / "bus").unlink(missing_ok=True)
    config.write_text(BUS.format(folder=folder))
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
    )
    address = bus.stdout.readline().decode().strip()
    if not address:
        sys.exit(f"printer: dbus-daemon does not start (a socket's path has at most 107 letters: {folder}/bus)")
    return address


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--plain", action="store_true")
    wanted = parser.parse_args()

    # Debian keeps it where only root looks.
    search = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"
    program = shutil.which("ippeveprinter", path=search)
    if program is None:
        sys.exit("printer: no ippeveprinter here; on Debian: apt-get install cups-ipp-utils dbus")
    folder = wanted.folder.resolve()
    for name in ("spool", "jobs", "keys"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    command = folder / "print.sh"
    command.write_text(COMMAND.format(folder=folder))
    command.chmod(0o755)
    environment = dict(os.environ)
    if sys.platform == "linux":
        environment["DBUS_SYSTEM_BUS_ADDRESS"] = start_bus(folder)
    arguments = [
        program, "-v", "-k", "-r", "off", "-n", "localhost", "-p", str(wanted.port or free_port()),
        "-d", str(folder / "spool"), "-K", str(folder / "keys"), "-c", str(command),
        "-f", "image/jpeg,application/pdf", "-M", "Signet", "-m", "Test",
    ]
    if not wanted.plain:
        # A speed makes it a photo printer: 4x6 in and other photo paper, borderless.
        arguments += ["-s", "10,5"]
    os.execve(program, [*arguments, "Test Printer"], environment)


if __name__ == "__main__":
    main()
