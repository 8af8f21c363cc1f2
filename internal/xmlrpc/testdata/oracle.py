"""Speaks XML-RPC for the tests, with Python's own implementation.

Each line of input is JSON: {"loads": document} is answered with the first
parameter of the document, {"dumps": value} with a document that holds it. Values are
[type, content], so that no type is lost: see tagged in oracle_test.go.
"""

import base64
import datetime
import json
import struct
import sys
import xmlrpc.client

STAMP = "%Y%m%dT%H:%M:%S"


def tag(v):
    if v is None:
        return ["nil", ""]
    if isinstance(v, bool):
        return ["bool", str(int(v))]
    if isinstance(v, int):
        return ["int", str(v)]
    if isinstance(v, float):
        return ["double", struct.pack(">d", v).hex()]
    if isinstance(v, str):
        return ["string", v]
    if isinstance(v, bytes):
        return ["base64", base64.b64encode(v).decode()]
    if isinstance(v, datetime.datetime):
        return ["time", v.strftime(STAMP)]
    if isinstance(v, (list, tuple)):
        return ["array", [tag(x) for x in v]]
    return ["struct", {k: tag(x) for k, x in v.items()}]


def untag(pair):
    kind, v = pair
    return {
        "nil": lambda: None,
        "bool": lambda: v == "1",
        "int": lambda: int(v),
        "double": lambda: struct.unpack(">d", bytes.fromhex(v))[0],
        "string": lambda: v,
        "base64": lambda: base64.b64decode(v),
        "time": lambda: datetime.datetime.strptime(v, STAMP),
        "array": lambda: [untag(x) for x in v],
        "struct": lambda: {k: untag(x) for k, x in v.items()},
    }[kind]()


def answer(request):
    if "loads" in request:
        try:
            params, _ = xmlrpc.client.loads(request["loads"], use_builtin_types=True)
        except xmlrpc.client.Fault as f:
            return ["fault", [tag(f.faultCode), tag(f.faultString)]]
        return tag(params[0])
    value = untag(request["dumps"])
    return xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True, encoding="UTF-8")


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
