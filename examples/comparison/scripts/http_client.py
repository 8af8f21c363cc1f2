"""Resubmits all failed orders by Order Management, with http.client: lists them, pushes each, reads each back.

Reads the job as JSON from stdin. An error is tried three times, a second apart; 429 as often as it comes.
"""
import http.client
import json
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

JOB = json.load(sys.stdin)
BASE = urllib.parse.urlsplit(JOB["orders"])
HEADERS = {"APS-Token": JOB["token"], "Content-Type": "application/json"}
TRIES = 3
local = threading.local()


def call(method, path, body=None):
    """Returns the status and the answer."""
    for tries in range(TRIES):
        while True:
            if getattr(local, "connection", None) is None:
                local.connection = http.client.HTTPConnection(BASE.netloc, timeout=30)
            try:
                local.connection.request(method, BASE.path + path, body, HEADERS)
                answer = local.connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                local.connection.close()
                local.connection = None
                break
            if answer.status == 429:
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                continue
            if answer.status < 500:
                return answer.status, json.loads(text) if text else None
            break
        time.sleep(1)
    return 0, None


def failed():
    found = []
    while True:
        status, page = call("GET", f"?in(status,(PF)),sort(+orderDate),limit({len(found)},100)")
        if status not in (200, 206):
            sys.exit(f"the list was answered with {status}")
        found += [o["orderId"] for o in page]
        if len(page) < 100:
            return found


def push(order):
    return call("POST", f"/{order}/push", json.dumps({"ofStatus": "PD"}))[0]


def status_of(order):
    return (call("GET", f"/{order}")[1] or {}).get("status")


def main():
    orders = failed()
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
