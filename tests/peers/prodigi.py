"""What the stand-in for print on demand does: see `rest.py`.

It sells four things, keeps one order for an idempotency key, fetches photos when it is told to go
on, checks their MD5 and calls back with a CloudEvent.
"""

import hashlib
import json
import urllib.error
import urllib.request

KEY = "test-key"
CENTS = {"GLOBAL-PHO-4X6": 29, "GLOBAL-PHO-8X10": 210, "H-MUG-W": 540, "GLOBAL-CAN-10X10": 2150}
FINISHES = {"gloss", "lustre"}
SHIPPING = {"Budget": 295, "Standard": 495, "StandardPlus": 695, "Express": 1295}
STEPS = ["downloadAssets", "printReadyAssetsPrepared", "allocateProductionLocation",
         "inProduction", "shipping"]
TRACE = "00-0000000000000000"
NOW = "2026-01-01T00:00:00Z"


def cost(cents, currency):
    return {"amount": f"{cents / 100:.2f}", "currency": currency}


class Shop:
    def __init__(self):
        self.orders, self.callbacks, self.fetched = {}, [], []
        self.currency, self.surcharge = "EUR", 0

    def knows(self, headers):
        return headers.get("x-api-key") == KEY

    def stranger(self):
        return 401, {"outcome": "NotAuthorised", "traceParent": TRACE}

    def refuse(self, status, faults):
        outcome = "EntityNotFound" if status == 404 else "ValidationFailed"
        return {"outcome": outcome, "failures": {str(i): f for i, f in enumerate(faults)},
                "traceParent": TRACE}

    def one(self, outcome, order, status=200):
        return status, {"outcome": outcome, "order": order, "traceParent": TRACE}

    def faults(self, items):
        faults = [f"`{item['sku']}` is not sold" for item in items if item["sku"] not in CENTS]
        for item in items:
            for name, value in item.get("attributes", {}).items():
                if name != "finish" or value not in FINISHES:
                    faults.append(f"`{item['sku']}` has no {name} `{value}`")
        return faults

    def price(self, items):
        return sum(CENTS[item["sku"]] * item["copies"] for item in items) + self.surcharge

    # The operations of the description.

    def createQuote(self, query, message):
        faults = self.faults(message["items"])
        if faults:
            return 400, self.refuse(400, faults)
        self.currency = message.get("currencyCode", self.currency)
        items, quotes = self.price(message["items"]), []
        for method, shipping in SHIPPING.items():
            tax = (items + shipping) // 5
            quotes.append({"shipmentMethod": method, "costSummary": {
                "items": cost(items, self.currency), "shipping": cost(shipping, self.currency),
                "totalCost": cost(items + shipping + tax, self.currency),
                "totalTax": cost(tax, self.currency)}})
        return 200, {"outcome": "Created", "quotes": quotes, "traceParent": TRACE}

    def createOrder(self, query, message):
        faults = self.faults(message["items"])
        if faults:
            return 400, self.refuse(400, faults)
        key = message.get("idempotencyKey")
        for order in self.orders.values():
            if key and order["idempotencyKey"] == key:
                return self.one("AlreadyExists", order)
        number = len(self.orders) + 1
        items = []
        for place, item in enumerate(message["items"]):
            asset = {"id": f"ast_{number}{place}", "status": "InProgress", "md5Hash": None}
            items.append({**item, "id": f"ori_{number}{place}", "status": "NotYetDownloaded",
                          "assets": [{**asset, **given} for given in item["assets"]]})
        order = {"id": f"ord_{number}", "created": NOW, "lastUpdated": NOW, "callbackUrl": None,
                 "merchantReference": None, "idempotencyKey": None, "metadata": None,
                 "charges": [], "shipments": [], **message, "items": items,
                 "status": {"stage": "InProgress", "issues": [],
                            "details": {step: "NotStarted" for step in STEPS}}}
        self.orders[order["id"]] = order
        return self.one("Created", order)

    def listOrders(self, query, message):
        reference, top = query.get("merchantReferences"), int(query.get("top", 10))
        orders = [order for order in reversed(self.orders.values())
                  if reference is None or order["merchantReference"] == reference]
        return 200, {"outcome": "Ok", "orders": orders[:top], "hasMore": len(orders) > top,
                     "nextUrl": None, "traceParent": TRACE}

    def getOrder(self, id, query, message):
        if id not in self.orders:
            return 404, self.refuse(404, ["no such order"])
        return self.one("Ok", self.orders[id])

    def getActions(self, id, query, message):
        if id not in self.orders:
            return 404, self.refuse(404, ["no such order"])
        available = "Yes" if self.can_stop(self.orders[id]) else "No"
        return 200, {"outcome": "Ok", "cancel": {"isAvailable": available}, "traceParent": TRACE}

    def cancelOrder(self, id, query, message):
        if id not in self.orders:
            return 404, self.refuse(404, ["no such order"])
        order = self.orders[id]
        if not self.can_stop(order):
            return self.one("ActionNotAvailable", order)
        order["status"]["stage"] = "Cancelled"
        return self.one("Cancelled", order)

    def can_stop(self, order):
        status = order["status"]
        begun = status["details"]["inProduction"] != "NotStarted"
        return status["stage"] in ("InProgress", "AwaitingPayment") and not begun

    # What tests make happen.

    def move(self, id, to):
        order = self.orders[id]
        status, currency = order["status"], self.currency
        if to == "fetch":
            self.fetch(order)
        elif to in STEPS:
            for step in STEPS[: STEPS.index(to)]:
                status["details"][step] = "Complete"
            status["details"][to] = "InProgress"
        elif to == "charge":
            shipping = SHIPPING[order["shippingMethod"]]
            for kind, cents in (("Item", self.price(order["items"])), ("Shipping", shipping)):
                order["charges"].append({"id": f"chg_{len(order['charges'])}", "chargeType": kind,
                                         "totalCost": cost(cents, currency), "items": []})
        elif to == "ship":
            order["shipments"].append({
                "id": "shp_1", "status": "Shipped", "carrier": {"name": "DPD", "service": "Classic"},
                "tracking": {"number": "1Z999", "url": "https://track.example/1Z999"},
                "fulfillmentLocation": {"countryCode": "DE", "labCode": "de1"}})
        elif to == "pay":
            status["stage"] = "AwaitingPayment"
            status["issues"].append({
                "objectId": id, "errorCode": "order.AwaitingPayment", "description": "Needs payment",
                "authorisationDetails": {"authorisationUrl": "https://pay.example/1",
                                         "paymentDetails": cost(960, currency)}})
        elif to in ("Complete", "Cancelled", "InProgress"):
            status["stage"] = to
        else:
            return {"unknown": to}
        self.call_back(order)
        return order

    def fetch(self, order):
        """Fetches the photos and compares them with their MD5."""
        details = order["status"]["details"]
        details["downloadAssets"] = "InProgress"
        for item in order["items"]:
            for asset in item["assets"]:
                try:
                    with urllib.request.urlopen(asset["url"], timeout=20) as answer:
                        body = answer.read()
                except (OSError, urllib.error.URLError) as error:
                    asset["status"] = "Error"
                    self.issue(order, asset, "items.assets.FailedToDownload", str(error))
                    continue
                same = hashlib.md5(body).hexdigest() == asset["md5Hash"]
                self.fetched.append({"sha256": hashlib.sha256(body).hexdigest(), "same": same,
                                     "bytes": len(body), "order": order["id"]})
                asset["status"] = "Complete" if same else "Error"
                if not same:
                    self.issue(order, asset, "items.assets.WrongHash", "other bytes than were said")
                item["status"] = "Ok" if same else "Invalid"
        wrong = any(a["status"] == "Error" for i in order["items"] for a in i["assets"])
        details["downloadAssets"] = "Error" if wrong else "Complete"

    def issue(self, order, asset, code, description):
        order["status"]["issues"].append(
            {"objectId": asset["id"], "errorCode": code, "description": description})

    def call_back(self, order):
        """Tells of a change, unsigned as these calls are."""
        if not order["callbackUrl"]:
            return
        event = {"specversion": "1.0", "type": "com.prodigi.order.status.stage.changed",
                 "source": "http://prodigi/", "id": f"evt_{len(self.callbacks)}", "time": NOW,
                 "datacontenttype": "application/json", "data": {"order": order},
                 "subject": order["id"]}
        request = urllib.request.Request(
            order["callbackUrl"], json.dumps(event).encode(), method="POST",
            headers={"content-type": "application/cloudevents+json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                self.callbacks.append(answer.status)
        except urllib.error.HTTPError as error:
            self.callbacks.append(error.code)
        except OSError as error:
            self.callbacks.append(str(error))

    def state(self):
        return {"orders": list(self.orders.values()), "callbacks": self.callbacks,
                "fetched": self.fetched}
