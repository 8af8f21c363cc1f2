"""Talks to a running sandbox with what Python itself brings: XML-RPC and HTTP.

Reads the line of JSON that the sandbox prints from stdin. The sandbox has 6 completed orders, and 12 that failed.
Ends with 1 and one line on stderr when an answer is not what it should be. Needs nothing but the standard library.
"""
import base64
import hashlib
import json
import re
import socket
import sys
import time
import urllib.parse
import urllib.request
import xmlrpc.client
from decimal import Decimal

NULL = -2147483648
COLUMNS = 19
ID, NUMBER, STATUS, TYPE, CREATED, TOTAL, COMMENTS, CURRENCY = 0, 1, 4, 5, 6, 8, 12, 17
COMMENT = "Zażółć <&> gęślą"
PATIENCE = 10  # seconds
COMPLETED, FAILED, RESELLER = 6, 12, 4  # orders


class Different(Exception):
    """An answer that is not what it should be."""


def same(what, got, want):
    if got != want:
        raise Different(f"{what} is {got!r}, not {want!r}")


def call(method, url, body=None, header=None):
    """Returns the answer and its headers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, header or {}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer), answer.headers


def http(*args):
    return call(*args)[0]


def until(what, want, read):
    end = time.monotonic() + PATIENCE
    while (got := read()) != want:
        if time.monotonic() > end:
            raise Different(f"{what} is {got!r} after {PATIENCE} s, not {want!r}")
        time.sleep(0.05)


def pages(what, total, size, read):
    """Reads pages of a size until there is none, and returns the orders, which must differ."""
    found = []
    while page := read(len(found), size):
        if len(page) > size:
            raise Different(f"a page of {what} has {len(page)} rows, not {size}")
        found += page
    same(f"the number of {what}", len(found), total)
    same(f"the number of different {what}", len({json.dumps(o, sort_keys=True) for o in found}), total)
    return found


class Billing:
    def __init__(self, base):
        self.rpc = xmlrpc.client.ServerProxy(base + "/RPC2")

    def execute(self, method, *params):
        answer = self.rpc.Execute({"Server": "BM", "Method": method, "Lang": "en", "Params": list(params)})
        return answer["Result"][0]

    def refused(self, method, *params):
        """Returns the text with which a call is refused."""
        try:
            answer = self.execute(method, *params)
        except xmlrpc.client.Fault as fault:
            same("the code's type", type(fault.faultCode), int)
            return base64.b64decode(fault.faultString, validate=True).decode("utf-8")
        raise Different(f"{method} was answered with {answer!r}, not refused")


def signature(row):
    total = Decimal(str(row[TOTAL])).quantize(Decimal("0.01"))
    text = f"{row[ID]}{row[NUMBER]}{row[CREATED]}{row[CURRENCY]} {total}{row[COMMENTS]}"
    return hashlib.md5(text.rstrip().encode("utf-8")).hexdigest()


def check_order_manager(greeting):
    """Returns the failed orders that were not resubmitted, the newest last."""
    orders = greeting["commerce"] + "/aps/2/services/order-manager/orders"
    token = {"APS-Token": greeting["commerceToken"]}

    def lists(query):
        return lambda start, size: http("GET", f"{orders}?{query}sort(+orderDate),limit({start},{size})", None, token)

    pages("orders", COMPLETED + FAILED, 5, lists(""))
    failed = pages("failed orders", FAILED, 5, lists("in(status,(PF)),"))
    pages("failed orders of the reseller", RESELLER, 3, lists("eq(status,PF),eq(vendorAccountId,1000101),"))
    same("the statuses of failed orders", {o["status"] for o in failed}, {"PF"})

    url = orders + "/" + failed[0]["orderId"]
    order = http("GET", url, None, token)
    same("the number of the order", order["orderNumber"], failed[0]["orderNumber"])
    if "PD" not in order["possiblePushToStatus"] or not order["errorDetails"]:
        raise Different(f"a failed order has no reason, or cannot be pushed to PD: {order!r}")
    http("POST", url + "/push", {"ofStatus": "PD"}, token)
    until("the status after a push", "CP", lambda: http("GET", url, None, token)["status"])
    return failed[1:]


def check_billing(greeting, order):
    billing = Billing(greeting["billing"])
    number = int(order["internalId"])
    row = billing.execute("GetOrder_API", number)
    same("the number of columns", len(row), COLUMNS)
    same("OrderID", row[ID], number)
    same("OrderTypeID", row[TYPE], "SO")
    same("OrderStatusID", row[STATUS], "PF")
    same("Total", row[TOTAL], 12.5)
    same("Comments", row[COMMENTS], COMMENT)
    same("ExpirationDate", row[13], NULL)

    same("the refusal of an unknown order", billing.refused("GetOrder_API", 99999999),
         "Table Order does not contain row with ID 99999999.")
    text = billing.refused("OrderStatusChange_API", number, "PD", "0" * 32)
    if "signature" not in text:
        raise Different(f"the refusal of a wrong signature is {text!r}, which names no signature")
    same("the status after a wrong signature", billing.execute("GetOrder_API", number)[STATUS], "PF")
    same("the answer to a right signature", billing.execute("OrderStatusChange_API", number, "PD", signature(row)),
         ["Operation done."])
    until("the status after a push", "CP", lambda: billing.execute("GetOrder_API", number)[STATUS])


def check_operations(greeting):
    operations = xmlrpc.client.ServerProxy(greeting["operations"] + "/RPC2")
    get_user_token = getattr(operations, "pem.APS.getUserToken")
    refused = get_user_token({"user_id": 99999999})
    same("the status for an unknown user", refused["status"], -1)
    if not refused["error_message"]:
        raise Different("the refusal of an unknown user has no error_message")
    answer = get_user_token({"user_id": 1})
    same("the status of a token", answer["status"], 0)
    orders = http("GET", greeting["commerce"] + "/aps/2/services/order-manager/orders?limit(0,1)", None,
                  {"APS-Token": answer["result"]["aps_token"]})
    same("the number of orders that the token shows", len(orders), 1)


def simple_tokens(greeting):
    """Signs in to Simple API in both ways, and returns the two tokens."""
    login = greeting["simpleLogin"]
    basic = base64.b64encode(f"{login['user']}:{login['password']}".encode()).decode()
    own = http("POST", greeting["simpleapi"] + "/token", {"marketplace": "us"}, {
        "Authorization": "Basic " + basic, "X-Subscription-Key": login["subscriptionKey"]})
    form = urllib.parse.urlencode({
        "grant_type": "password", "client_id": login["clientId"], "scope": "openid",
        "username": login["user"], "password": login["password"]}).encode()
    realm = f"{login['keycloak']}/realms/{login['realm']}"
    with urllib.request.urlopen(realm + "/protocol/openid-connect/token", form) as answer:
        keycloak = json.load(answer)
    return own["token"], keycloak["access_token"]


def check_simple_api(greeting, left):
    orders = greeting["simpleapi"] + "/orders"
    for order, token in zip(left, simple_tokens(greeting)):
        header = {"Authorization": "Bearer " + token, "X-Subscription-Key": greeting["simpleLogin"]["subscriptionKey"]}

        def page(start, size, query=""):
            answer = http("GET", f"{orders}?{query}offset={start}&limit={size}", None, header)
            same("the offset of a page", answer["pagination"]["offset"], start)
            return answer["data"]

        pages("orders", COMPLETED + FAILED, 7, page)
        url = f"{orders}/{order['internalId']}"
        failed = [o["id"] for o in page(0, 100, "statusCode=PF&")]
        if order["internalId"] not in failed:
            raise Different(f"the order {order['internalId']} is not among the failed ones: {failed}")
        same("the status of the order", http("GET", url, None, header)["status"], "error")
        http("PATCH", url, {"statusCode": "PD"}, header)
        until("the status after a push", "completed", lambda: http("GET", url, None, header)["status"])


def check_connect(greeting, approved):
    requests = greeting["connect"] + "/requests"
    header = {"Authorization": "ApiKey " + greeting["connectKey"]}
    ranges = []

    def page(start, size):
        query = f"eq(type,purchase)&eq(status,approved)&ordering(created)&limit={size}&offset={start}"
        found, headers = call("GET", f"{requests}?{query}", None, header)
        ranges.append(headers["Content-Range"])
        return found

    found = pages("requests", approved, 4, page)
    if not re.fullmatch(rf"items 0-3/{approved}", ranges[0]):
        raise Different(f"the first Content-Range is {ranges[0]!r}")
    same("a request", http("GET", f"{requests}/{found[0]['id']}", None, header)["id"], found[0]["id"])


def main():
    socket.setdefaulttimeout(PATIENCE)
    greeting = json.loads(sys.stdin.readline())
    left = check_order_manager(greeting)
    check_billing(greeting, left.pop())
    check_operations(greeting)
    check_simple_api(greeting, left)
    check_connect(greeting, COMPLETED + 4)
    print("python: ok")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # whatever it is, the reader wants one line
        sys.exit(f"python: {type(error).__name__}: {error}")
