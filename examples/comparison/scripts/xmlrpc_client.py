"""Resubmits the failed orders of a file by Billing, with xmlrpc.client: reads each, pushes it, reads it back.

Reads the job as JSON from stdin. An error is tried three times, a second apart; 429 as often as it comes.
"""
import hashlib
import http.client
import json
import sys
import threading
import time
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

JOB = json.load(sys.stdin)
TRIES = 3
ID, NUMBER, STATUS, CREATED, TOTAL, COMMENTS, CURRENCY = 0, 1, 4, 6, 8, 12, 17
local = threading.local()


def call(method, *params):
    """Returns the first row of the answer; None if there is none."""
    for tries in range(TRIES):
        while True:
            if getattr(local, "server", None) is None:
                local.server = xmlrpc.client.ServerProxy(JOB["billing"] + "/RPC2")
            try:
                answer = local.server.Execute(
                    {"Server": "BM", "Method": method, "Lang": "en", "Params": list(params)})
                return answer["Result"][0]
            except xmlrpc.client.Fault:
                return None
            except xmlrpc.client.ProtocolError as error:
                if error.errcode == 429:
                    time.sleep(float(error.headers.get("Retry-After", 1)))
                    continue
                break
            except (OSError, http.client.HTTPException):
                local.server = None
                break
        time.sleep(1)
    return None


def signature(row):
    total = Decimal(str(row[TOTAL])).quantize(Decimal("0.01"))
    text = f"{row[ID]}{row[NUMBER]}{row[CREATED]}{row[CURRENCY]} {total}{row[COMMENTS]}"
    return hashlib.md5(text.rstrip().encode("utf-8")).hexdigest()


def status_of(order):
    row = call("GetOrder_API", order)
    return row and row[STATUS]


def push(order):
    row = call("GetOrder_API", order)
    if row and row[STATUS] == "PF":
        call("OrderStatusChange_API", order, "PD", signature(row))


def main():
    orders = [int(i) for i in JOB["ids"]]
    with ThreadPoolExecutor(JOB["threads"]) as pool:
        list(pool.map(push, orders))
        left, end = orders, time.monotonic() + 60
        while left and time.monotonic() < end:
            statuses = list(pool.map(status_of, left))
            left = [o for o, s in zip(left, statuses) if s != "CP"]
            if left:
                time.sleep(0.5)
    print(json.dumps({"left": len(left)}))


main()
