"""What the stand-in for a pro lab in two steps does: see `rest.py`.

Every import is a draft of its own, also with an entry that it knows, so who submits two of them
gets two parcels. A draft is made once: submitted again it answers 412.04.
"""

import hashlib
import urllib.request
import uuid

KEY, SECRET = "test-key", "se cret/1"
PRODUCTS = {2: 65, 3: 165}
ITEM_ATTRIBUTES = {1, 4, 5, 6}
ORDER_ATTRIBUTES = {96: 0, 545: 348, 100: 899}
RECEIVED = "1/1/2026 0:00:00 AM Central Time"


class Shop:
    def __init__(self):
        self.tokens, self.drafts, self.fetched = set(), {}, []

    def knows(self, headers):
        return headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    def stranger(self):
        return 403, self.error("403.01", "Expired or incorrect access token")

    def refuse(self, status, faults):
        return self.error("412.01", "; ".join(faults))

    def error(self, number, message):
        return {"ErrorNumber": number, "Message": message}

    # The operations of the description.

    def accessToken(self, query, message):
        if (message["consumer_key"], message["consumer_secret"]) != (KEY, SECRET):
            return 403, self.error("403.02", "Incorrect consumer key or secret")
        token = str(uuid.uuid4())
        self.tokens.add(token)
        return 200, {"Token": token, "ClientId": "1", "ConsumerKey": KEY}

    def importOrder(self, query, message):
        order, total = message["Orders"][0], 0
        for item in order["OrderItems"]:
            chosen = {attribute["AttributeUID"] for attribute in item["ItemAttributes"]}
            nodes = {asset["ProductNodeID"] for asset in item["ItemAssets"]}
            known = item["ProductUID"] in PRODUCTS and nodes == {10000}
            if not known or not chosen <= ITEM_ATTRIBUTES:
                return 412, self.error("412.02", "Invalid Business Rules")
            total += PRODUCTS[item["ProductUID"]] * item["Quantity"]
        for attribute in order["OrderAttributes"]:
            if attribute["AttributeUID"] not in ORDER_ATTRIBUTES:
                return 412, self.error("412.02", "Invalid Business Rules")
            total += ORDER_ATTRIBUTES[attribute["AttributeUID"]]
        id = str(uuid.uuid4())
        self.drafts[id] = {"entry": message["EntryId"], "made": 0, "order": order}
        priced = {"SequenceNumber": str(order["SequenceNumber"]), "SubTotal": f"{total / 100:.2f}",
                  "Tax": "0.00", "Total": f"{total / 100:.2f}"}
        return 200, {"Account": "1", "ConfirmationID": id, "EntryID": message["EntryId"],
                     "NumberOfOrders": 1, "Orders": [priced], "Received": RECEIVED}

    def submitOrder(self, ConfirmationID, query, message):
        draft = self.drafts.get(ConfirmationID)
        if draft is None:
            return 412, self.error("412.03", "Invalid Confirmation Id")
        if draft["made"]:
            return 412, self.error("412.04", "This entry already submitted")
        draft["made"] += 1
        return 200, {"Confirmation": "Confirmed order submitted.", "ConfirmationID": ConfirmationID,
                     "ConfirmedOrders": 1, "Received": RECEIVED}

    # What tests make happen.

    def move(self, id, to):
        """Fetches the photos of a draft, as the lab does after it was submitted."""
        for item in self.drafts[id]["order"]["OrderItems"]:
            for asset in item["ItemAssets"]:
                with urllib.request.urlopen(asset["AssetPath"], timeout=20) as answer:
                    body = answer.read()
                same = hashlib.md5(body).hexdigest() == asset["ImageHash"]
                self.fetched.append({"sha256": hashlib.sha256(body).hexdigest(), "same": same,
                                     "bytes": len(body)})
        return {}

    def state(self):
        return {"drafts": self.drafts, "fetched": self.fetched}
