"""A provider that exists only for tests: `python3 rest.py prodigi|whcc`.

It is made from a written description (`NAME.openapi.json`) and strict about it: a request with a
path, header, field, type or word that the description does not have is refused and kept as a
violation, and so is an answer of its own. What it does with a good request is in `prodigi.py` and
`whcc.py`. The first line it prints is {"listening": PORT}. Nothing outside Python 3 is needed.

Control (POST, JSON), never part of the description:
  /control/script  [{"on": OPERATION, "acts": bool, "then": HOW, "retry_after": S?}, ...]
                   the next request of that operation is done (acts) or not, and answered by HOW:
                   a status, "hang-up", "half", "garbage", "long", "deep", or {"body": TEXT}
  /control/asset   bytes to serve at GET /control/asset
  /control/move    {"order": ID, "to": WHAT}: something happens to an order
  /control/state   what it has: orders, requests, violations
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit


class Description:
    """An OpenAPI 3.0 description, as far as these descriptions go."""

    def __init__(self, path):
        self.root = json.loads(Path(path).read_text())
        self.base = self.root["servers"][0]["url"]
        self.routes = []
        for template, methods in self.root["paths"].items():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
            for method, operation in methods.items():
                self.routes.append((method.upper(), re.compile(pattern), operation))

    def find(self, method, path):
        """The operation of a request and the parts of its path; nothing when there is none."""
        if not path.startswith(self.base + "/"):
            return None, {}
        for known, pattern, operation in self.routes:
            match = pattern.fullmatch(path[len(self.base):])
            if known == method and match:
                return operation, match.groupdict()
        return None, {}

    def faults_of_request(self, operation, parts, query, media_type, body):
        """What is wrong with a request, in words."""
        faults = []
        known = {p["name"]: p for p in operation["parameters"] if p["in"] == "query"}
        for name, values in query.items():
            if name not in known:
                faults.append(f"query: unknown `{name}`")
            elif len(values) != 1:
                faults.append(f"query: `{name}` {len(values)} times")
            else:
                value = values[0]
                if known[name]["schema"]["type"] == "integer":
                    value = int(value) if value.isdecimal() else value
                faults += self.faults(known[name]["schema"], value, f"query.{name}")
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                name = parameter["name"]
                faults += self.faults(parameter["schema"], parts[name], f"path.{name}")
        content = operation.get("requestBody", {}).get("content")
        if content is None:
            return faults + (["body: there should be none"] if body else [])
        media_type = (media_type or "").split(";")[0].strip()
        if media_type not in content:
            return faults + [f"content-type: `{media_type}`"]
        try:
            value = dict(parse_qsl(body.decode(), strict_parsing=True)) \
                if media_type.endswith("urlencoded") else json.loads(body)
        except ValueError as error:
            return faults + [f"body: {error}"]
        return faults + self.faults(content[media_type]["schema"], value, "body")

    def faults_of_answer(self, operation, status, value):
        """What is wrong with an answer, in words."""
        answer = operation["responses"].get(str(status))
        if answer is None:
            return [f"answer: status {status} is not described"]
        return self.faults(answer["content"]["application/json"]["schema"], value, "answer")

    def faults(self, schema, value, where):
        """What is wrong with a value, in words."""
        if "$ref" in schema:
            target = self.root
            for name in schema["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        if value is None:
            return [] if schema.get("nullable") else [f"{where}: null"]
        types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
        kind = types[schema["type"]]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return [f"{where}: no {schema['type']}"]
        return getattr(self, f"_{schema['type']}")(schema, value, where)

    def _object(self, schema, value, where):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        faults = [f"{where}.{n}: missing" for n in schema.get("required", []) if n not in value]
        for name, inner in value.items():
            if name in known:
                faults += self.faults(known[name], inner, f"{where}.{name}")
            elif others is False:
                faults.append(f"{where}.{name}: unknown")
            elif isinstance(others, dict):
                faults += self.faults(others, inner, f"{where}.{name}")
        return faults

    def _array(self, schema, value, where):
        faults = []
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            faults.append(f"{where}: {len(value)} items")
        for place, inner in enumerate(value):
            faults += self.faults(schema["items"], inner, f"{where}[{place}]")
        return faults

    def _string(self, schema, value, where):
        faults = []
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            faults.append(f"{where}: {len(value)} characters")
        if "enum" in schema and value not in schema["enum"]:
            faults.append(f"{where}: `{value}` is none of {schema['enum']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            faults.append(f"{where}: `{value}` does not match")
        if schema.get("format") == "uri":
            url = urlsplit(value)
            if url.scheme not in ("http", "https") or not url.netloc:
                faults.append(f"{where}: `{value}` is no address")
        return faults

    def _integer(self, schema, value, where):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        return [] if low <= value <= high else [f"{where}: {value}"]

    def _boolean(self, schema, value, where):
        return []


class Provider:
    """The description, what is done by it, and what happened so far."""

    def __init__(self, name, shop):
        self.name, self.shop = name, shop
        self.description = Description(Path(__file__).with_name(f"{name}.openapi.json"))
        self.lock = threading.Lock()
        self.script, self.requests, self.violations, self.asset = [], [], [], b""

    def mishap(self, operation):
        """What the script says about the next request of an operation."""
        for place, step in enumerate(self.script):
            if step["on"] == operation["operationId"]:
                return self.script.pop(place)
        return None

    def answer(self, method, target, headers, body):
        """Status, value and mishap for a request."""
        url = urlsplit(target)
        operation, parts = self.description.find(method, url.path)
        if operation is None:
            self.violations.append(f"{method} {url.path}: no such operation")
            return 404, self.shop.refuse(404, ["no such operation"]), None
        name = operation["operationId"]
        self.requests.append(name)
        step = self.mishap(operation)
        if step and not step["acts"]:
            return None, None, step
        query = parse_qs(url.query, keep_blank_values=True)
        if operation.get("security", True) and not self.shop.knows(headers):
            status, value = self.shop.stranger()
        else:
            media_type = headers.get("content-type")
            faults = self.description.faults_of_request(operation, parts, query, media_type, body)
            if faults:
                self.violations += [f"{name}: {fault}" for fault in faults]
                status, value = 400, self.shop.refuse(400, faults)
            else:
                form = (media_type or "").endswith("urlencoded")
                message = dict(parse_qsl(body.decode())) if form else json.loads(body or b"null")
                query = {key: values[0] for key, values in query.items()}
                status, value = getattr(self.shop, name)(**parts, query=query, message=message)
        own = self.description.faults_of_answer(operation, status, value)
        self.violations += [f"{name}: {fault}" for fault in own]
        return status, value, step

    def control(self, path, body):
        """Answers a request of the test."""
        if path == "/control/asset":
            self.asset = body
            return {}
        wish = json.loads(body or b"null")
        if path == "/control/script":
            self.script = wish
            return {}
        if path == "/control/move":
            return self.shop.move(wish["order"], wish["to"])
        if path == "/control/state":
            happened = {"requests": self.requests, "violations": self.violations}
            return {**self.shop.state(), **happened}
        return {"unknown": path}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider = None

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/control/asset" and self.command == "GET":
            return self.reply(200, self.provider.asset)
        if self.path.startswith("/control/"):
            # Moving an order calls others, so nobody waits for it.
            return self.reply(200, json.dumps(self.provider.control(self.path, body)).encode())
        with self.provider.lock:
            answer = self.provider.answer(self.command, self.path, self.headers, body)
        status, value, step = answer
        text = json.dumps(value).encode()
        how = step["then"] if step else None
        if how == "hang-up":
            self.close_connection = True
        elif how == "half":
            self.close_connection = True
            self.reply(status or 200, text[: len(text) // 2], len(text))
        elif how == "garbage":
            self.reply(200, b"<html>\xff\x00 out of order </html>")
        elif how == "long":
            self.reply(200, text[:-1] + b" " * 70_000 + text[-1:])
        elif how == "deep":
            self.reply(200, b'{"order":' * 7_000)
        elif isinstance(how, dict):
            self.reply(200, how["body"].encode())
        elif isinstance(how, int):
            self.reply(how, b"{}", retry_after=step.get("retry_after"))
        else:
            self.reply(status, text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

    def reply(self, status, body, length=None, retry_after=None):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body) if length is None else length))
        if retry_after is not None:
            self.send_header("retry-after", str(retry_after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # Who hangs up on us may.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main(name):
    if name == "prodigi":
        from prodigi import Shop
    else:
        from whcc import Shop
    Handler.provider = Provider(name, Shop())
    server = Server(("127.0.0.1", 0), Handler)
    print(json.dumps({"listening": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
