#!/usr/bin/env python3
"""Talks to a running sandbox with what Python itself brings: XML-RPC and HTTP.

Reads the line of JSON that the sandbox prints from stdin:

    .ci/python_clients.py <greeting.json

Ends with 1 and one line on stderr when an answer is not what it should be.
Needs nothing but the standard library of Python 3.
"""
import base64
import hashlib
import json
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
PATIENCE = 10  # seconds
OLD_EVENT = 1  # seconds; a push before the old event has run out is a violation


class Different(Exception):
    """An answer that is not what it should be."""


def same(what, got, want):
    if got != want:
        raise Different(f"{what} is {got!r}, not {want!r}")


def http(method, url, body=None, header=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, header or {}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


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


def failed_order(greeting, billing):
    """Lets a maintenance fail an order, and returns its id in Billing."""
    control = greeting["control"]
    http("POST", control + "/maintenance", {"on": True})
    order = http("POST", control + "/orders", {"type": "SO", "comments": "Zażółć <&> gęślą"})[0]
    number = int(order["internalId"])
    end = time.monotonic() + PATIENCE
    while billing.execute("GetOrder_API", number)[STATUS] != "PF":
        if time.monotonic() > end:
            raise Different(f"order {number} did not fail within {PATIENCE} s")
        time.sleep(0.05)
    http("POST", control + "/maintenance", {"on": False})
    time.sleep(OLD_EVENT)
    return number


def check_billing(greeting):
    billing = Billing(greeting["billing"])
    number = failed_order(greeting, billing)
    row = billing.execute("GetOrder_API", number)
    same("the number of columns", len(row), COLUMNS)
    same("OrderID", row[ID], number)
    same("OrderTypeID", row[TYPE], "SO")
    same("OrderStatusID", row[STATUS], "PF")
    same("Total", row[TOTAL], 12.5)
    same("Comments", row[COMMENTS], "Zażółć <&> gęślą")
    same("ExpirationDate", row[13], NULL)

    same("the refusal of an unknown order", billing.refused("GetOrder_API", 99999999),
         "Table Order does not contain row with ID 99999999.")
    text = billing.refused("OrderStatusChange_API", number, "PD", "0" * 32)
    if "signature" not in text:
        raise Different(f"the refusal of a wrong signature is {text!r}, which names no signature")
    same("the status after a wrong signature", billing.execute("GetOrder_API", number)[STATUS], "PF")
    same("the answer to a right signature", billing.execute("OrderStatusChange_API", number, "PD", signature(row)),
         ["Operation done."])
    if billing.execute("GetOrder_API", number)[STATUS] == "PF":
        raise Different(f"order {number} is PF still after a push that was accepted")


def check_operations(greeting):
    operations = xmlrpc.client.ServerProxy(greeting["operations"] + "/RPC2")
    get_user_token = getattr(operations, "pem.APS.getUserToken")
    refused = get_user_token({"user_id": 99999999})
    same("the status for an unknown user", refused["status"], -1)
    if not refused["error_message"]:
        raise Different("the refusal of an unknown user has no error_message")
    answer = get_user_token({"user_id": 1})
    same("the status of a token", answer["status"], 0)
    orders = http("GET", greeting["commerce"] + "/aps/2/services/order-manager/orders?limit(0,1)",
                  header={"APS-Token": answer["result"]["aps_token"]})
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


def check_simple_api(greeting):
    for token in simple_tokens(greeting):
        orders = http("GET", greeting["simpleapi"] + "/orders?limit=1", header={
            "Authorization": "Bearer " + token, "X-Subscription-Key": greeting["simpleLogin"]["subscriptionKey"]})
        same("the number of orders on a page", len(orders["data"]), 1)


def main():
    socket.setdefaulttimeout(PATIENCE)
    greeting = json.loads(sys.stdin.readline())
    check_billing(greeting)
    check_operations(greeting)
    check_simple_api(greeting)
    same("the list of violations", http("GET", greeting["control"] + "/violations"), [])


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # whatever it is, the reader wants one line
        sys.exit(f"python_clients: {type(error).__name__}: {error}")
