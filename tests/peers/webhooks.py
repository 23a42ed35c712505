#!/usr/bin/env python3
"""A receiver and a sender of webhooks that know Standard Webhooks and nothing of Signet.

    webhooks.py receive SECRET          listens on a free port of 127.0.0.1 and prints it; prints each event as a JSON
                                        line with `verified`; answers 202 when the signature is right, else 401
    webhooks.py send SECRET URL BODY [SECONDS]  posts BODY, signed now or SECONDS ago, and prints the status
    webhooks.py verify SECRET           reads {"headers": {...}, "body": "..."} from stdin and prints whether the
                                        signature is right

Signing and verifying are the package `standardwebhooks`; it is found by PYTHONPATH.
"""
import datetime
import http.server
import json
import sys
import urllib.error
import urllib.request

from standardwebhooks import Webhook, WebhookVerificationError


def receive(secret):
    webhook = Webhook(secret)

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                webhook.verify(body, headers)
                verified = True
            except WebhookVerificationError:
                verified = False
            line = {"verified": verified, "headers": headers, "body": body.decode()}
            print(json.dumps(line), flush=True)
            self.send_response(202 if verified else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    server.serve_forever()


def send(secret, url, body, seconds="0"):
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=float(seconds))
    headers = {
        "content-type": "application/cloudevents+json",
        "webhook-id": "msg_of_the_peer",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_of_the_peer", at, body),
    }
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            print(answer.status)
    except urllib.error.HTTPError as error:
        print(error.code)


def verify(secret):
    message = json.load(sys.stdin)
    try:
        Webhook(secret).verify(message["body"].encode(), message["headers"])
        print("verified")
    except WebhookVerificationError:
        print("refused")


{"receive": receive, "send": send, "verify": verify}[sys.argv[1]](*sys.argv[2:])
