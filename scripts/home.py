#!/usr/bin/env python3
"""Runs a program as a computer at home behind a router: it calls out to the ports that are named, nobody calls in.

    python3 scripts/home.py --out 8443,8720 -- signet run

The program gets a network namespace of its own with nothing in it but loopback. The ports of this computer that are
named answer there too: they are listened on inside and connected to from outside, as a router does it. Without the
right to make namespaces (Linux, root or user namespaces) the program runs on this computer's own loopback; the first
line on stderr says which of both it is. Ends as the program does. SIGUSR1 breaks every connection that leads out, as a
router does that starts anew.
"""
import argparse
import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

NEW_USER, NEW_NET = 0x10000000, 0x40000000
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1


def move_out():
    """Puts this process into a network of its own, with its loopback up."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NET | (0 if user == 0 else NEW_USER)) != 0:
        raise OSError(ctypes.get_errno(), "no namespace")
    if user != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    with socket.socket() as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(any_socket, GET_FLAGS, request), 16)[0]
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", b"lo", flags | UP))


def live_inside(router, ports, command):
    """The child: moves out, hands the listening sockets to the router, becomes the program."""
    try:
        move_out()
        listeners = [socket.create_server(("127.0.0.1", port)) for port in ports]
        socket.send_fds(router, [b"+"], [listener.fileno() for listener in listeners])
    except (OSError, AttributeError):
        router.send(b"-")
    router.close()
    os.execvp(command[0], command)


async def pump(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def route(listeners):
    writers = set()

    def break_all():
        for writer in writers:
            writer.transport.abort()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, break_all)

    async def connect(port, reader, writer):
        try:
            out_reader, out_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, out_writer}
        writers.update(both)
        await asyncio.gather(pump(reader, out_writer), pump(out_reader, writer))
        writers.difference_update(both)
        for each in both:
            each.close()

    for port, listener in listeners.items():
        await asyncio.start_server(lambda r, w, port=port: connect(port, r, w), sock=listener)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description="Runs a program as if behind a home router.")
    parser.add_argument("--out", default="", metavar="PORTS", help="ports of this computer that it can call")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    ports = [int(port) for port in arguments.out.split(",") if port]
    router, inside = socket.socketpair()
    child = os.fork()
    if child == 0:
        router.close()
        live_inside(inside, ports, arguments.command)
    inside.close()
    word, descriptors, _, _ = socket.recv_fds(router, 1, len(ports) + 1)
    is_apart = word == b"+"
    print("home: a network of its own, no way in" if is_apart else
          "home: no namespaces here, it runs on this computer's loopback", file=sys.stderr, flush=True)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _frame: os.kill(child, number))
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    router_id = os.fork() if is_apart else None
    if router_id:
        signal.signal(signal.SIGUSR1, lambda number, _frame: os.kill(router_id, number))
    elif is_apart:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        # Goes when the program's keeper goes.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        asyncio.run(route({port: socket.socket(fileno=number) for port, number in zip(ports, descriptors)}))
    while True:
        try:
            ended, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        if ended == child:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
