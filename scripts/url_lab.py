#!/usr/bin/env python3
"""A lab that knows nothing but webhooks and URLs: it checks who sent an order, then fetches by the address in it.

    python3 scripts/url_lab.py FOLDER --port 8730 --secret whsec_… [--cacert hub.pem] [--breaks 3]

Part of the demo. Orders are Standard Webhooks (HMAC-SHA256); pictures are filed below FOLDER under the order's key. It
tries again for a while, as such labs do. Prints one JSON object for each picture: key, name, sha256, tries. With
--breaks N every Nth picture breaks off halfway and goes on from there.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import http.server
import itertools
import json
import pathlib
import ssl
import threading
import time
import urllib.error
import urllib.request


def is_signed(secret, headers, body):
    """Whether a message has the sender's signature and is not old."""
    ident, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdecimal() or abs(time.time() - int(at)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, f"{ident}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(each, f"v1,{wanted}") for each in headers.get("webhook-signature", "").split())


class Lab(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not is_signed(self.server.secret, self.headers, body):
            return self.answer(401)
        event = json.loads(body)
        # An answer that did not arrive has the same message sent again.
        with self.server.lock:
            is_new = self.headers["webhook-id"] not in self.server.known
            self.server.known.add(self.headers["webhook-id"])
        if not is_new:
            return self.answer(202)
        if event["type"].startswith("org.signet.order.cancel"):
            return self.answer(200)
        threading.Thread(target=fetch, args=(self.server, event["data"]), daemon=True).start()
        return self.answer(202)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_words):
        pass


def fetch(server, order):
    for member in order["members"]:
        for tries in range(1, 61):
            outcome = fetch_once(server, order, member)
            if outcome == "later":
                time.sleep(0.5)
                continue
            print(json.dumps({"order_key": order["order_key"], "name": member["name"], "tries": tries, **outcome}), flush=True)
            break


def fetch_once(server, order, member):
    try:
        data = download(server, member["url"], server.breaks and next(server.turns) % server.breaks == 0)
    except urllib.error.HTTPError as error:
        return "later" if error.code in (402, 429, 503) else {"event": "refused", "status": error.code}
    except (OSError, http.client.HTTPException):
        return "later"
    if hashlib.sha256(data).hexdigest() != member["sha256"]:
        return "later"
    folder = server.folder / order["order_key"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / pathlib.PurePath(member["name"]).name).write_bytes(data)
    return {"event": "filed", "sha256": member["sha256"]}


def download(server, url, is_broken):
    with urllib.request.urlopen(url, timeout=30, context=server.trust) as answer:
        if not is_broken:
            return answer.read()
        etag, begun = answer.headers["etag"], answer.read(int(answer.headers["content-length"]) // 2)
    request = urllib.request.Request(url, headers={"range": f"bytes={len(begun)}-", "if-range": etag})
    with urllib.request.urlopen(request, timeout=30, context=server.trust) as answer:
        return begun + answer.read() if answer.status == 206 else answer.read()


def main():
    parser = argparse.ArgumentParser(description="A lab that knows nothing but webhooks and URLs.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--cacert")
    parser.add_argument("--breaks", type=int, metavar="N")
    arguments = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Lab)
    server.folder, server.secret = arguments.folder, arguments.secret
    server.known, server.lock = set(), threading.Lock()
    server.breaks, server.turns = arguments.breaks, itertools.count(1)
    server.trust = ssl.create_default_context(cafile=arguments.cacert) if arguments.cacert else None
    print(json.dumps({"event": "listening"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
