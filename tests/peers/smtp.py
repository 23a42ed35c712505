"""A mail server for tests: SMTP over a socket, letters read by Python's own `email`.

usage: smtp.py [ANSWER ...]

Prints `{"port": N}`, then each letter as one line of JSON. The n-th ANSWER is what the end of the
n-th letter gets (`451 later`), `drop` to take it and hang up without a word; then `250 ok`.
"""

import email
import email.policy
import hashlib
import json
import socket
import sys
import threading


def letter(envelope, data):
    message = email.message_from_bytes(data, policy=email.policy.default)
    body = message.get_body(("plain",))
    files = [
        {
            "name": part.get_filename(),
            "type": part.get_content_type(),
            "sha256": hashlib.sha256(part.get_payload(decode=True)).hexdigest(),
        }
        for part in message.iter_attachments()
    ]
    html = message.get_body(("html",))
    pictures = [part["Content-ID"] for part in message.walk() if part["Content-ID"]]
    head = {name: message[name] for name in ("Subject", "From", "To", "Message-ID", "Reply-To")}
    return {**envelope, **head, "text": body.get_content(), "files": files,
            "html": html and html.get_content(), "pictures": pictures,
            "sha256": hashlib.sha256(data).hexdigest()}


def serve(connection, answers):
    lines = connection.makefile("rb")

    def say(text):
        connection.sendall(text.encode() + b"\r\n")

    say("220 peer")
    envelope = {"from": None, "to": []}
    for line in lines:
        verb = line[:4].upper()
        if verb == b"EHLO":
            say("250-peer\r\n250 8BITMIME")
        elif verb == b"MAIL":
            envelope = {"from": line.decode().strip()[10:], "to": []}
            say("250 ok")
        elif verb == b"RCPT":
            envelope["to"].append(line.decode().strip()[8:])
            say("250 ok")
        elif verb == b"DATA":
            say("354 go on")
            data = []
            for part in lines:
                if part == b".\r\n":
                    break
                data.append(part[1:] if part.startswith(b".") else part)
            answer = answers.pop(0) if answers else "250 ok"
            if answer[0] in "2d":
                print(json.dumps(letter(envelope, b"".join(data))), flush=True)
            if answer == "drop":
                break
            say(answer)
        elif verb == b"QUIT":
            say("221 bye")
            break
        else:
            say("502 what")
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    answers = sys.argv[1:]
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, answers), daemon=True).start()


main()
