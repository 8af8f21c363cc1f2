"""Makes vectors.json: signatures by RFC 5849, written from its text and from
nothing else, with Python's own URL parser in place of ours.

    python3 vectors.py > vectors.json

The first four are also those of commerce/WIRE.md#2.2, which come from oauthlib;
the script fails if it does not arrive at the same.
"""
import base64
import hashlib
import hmac
import json
import sys
from urllib.parse import parse_qsl, quote, urlsplit

ORDERS = "https://host/aps/2/services/order-manager/orders"
PORTS = {"http": 80, "https": 443}


def escape(text):
    return quote(text, safe="-._~")


def signature(method, url, key, secret, nonce, timestamp):
    u = urlsplit(url)
    host = u.hostname.lower()
    if ":" in host:
        host = "[" + host + "]"
    if u.port and u.port != PORTS[u.scheme]:
        host += ":%d" % u.port
    params = parse_qsl(u.query, keep_blank_values=True, strict_parsing=False)
    params += [
        ("oauth_consumer_key", key),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", str(timestamp)),
        ("oauth_version", "1.0"),
    ]
    pairs = sorted((escape(n), escape(v)) for n, v in params)
    normalized = "&".join(n + "=" + v for n, v in pairs)
    where = "%s://%s%s" % (u.scheme, host, u.path or "/")
    base = "&".join([method.upper(), escape(where), escape(normalized)])
    mac = hmac.new((escape(secret) + "&").encode(), base.encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


KNOWN = {
    "like(orderNumber,*CL000058)": "Zdx5SoEfNg6aoXvZguHO+h6TpxI=",
    "in(status,(PF,LO)),sort(-orderDate),limit(0,100)": "jpg7nfal0cZk0FowNYzzpO5XZsE=",
    "eq(a,b%20c)&ge(orderDate,2026-11-01T00:00:00Z)": "BkQZjheJd6tvgJ/BDrUqoy2mPjo=",
    "like(x,a%2Cb)": "f/46oTXIJnVQW6OV1/6wAr0BJjk=",
}

CASES = [("of the facts: " + q, "GET", ORDERS + "?" + q, "key", "sec") for q in KNOWN] + [
    ("no query", "GET", ORDERS, "key", "sec"),
    ("a push", "POST", ORDERS + "/32542b3c-6f91-4037-abe5-ecf5f0752eef/push", "key", "sec"),
    ("no path", "GET", "https://host", "key", "sec"),
    ("no path, but a query", "GET", "https://host?a", "key", "sec"),
    ("a port that https implies", "GET", "https://host:443/x", "key", "sec"),
    ("a port that https does not imply", "GET", "https://host:80/x", "key", "sec"),
    ("a port that http implies", "GET", "http://host:80/x", "key", "sec"),
    ("a port of its own", "GET", "https://host:8443/x", "key", "sec"),
    ("an IPv6 address", "GET", "https://[2001:DB8::1]:6308/x", "key", "sec"),
    ("capitals in the host", "GET", "https://Brand.Example.NET/X", "key", "sec"),
    ("a path with escapes", "GET", "https://host/a%2Fb%20c/d%C5%BC;e,f", "key", "sec"),
    ("a plus is a space", "GET", ORDERS + "?sort(+orderDate),limit(0,100)", "key", "sec"),
    ("an escaped plus is a plus", "GET", ORDERS + "?sort(%2BorderDate),limit(0,100)", "key", "sec"),
    ("one name with many values", "GET", "https://host/x?a=2&a=10&a=1&a&b=%26%3D", "key", "sec"),
    ("a value with =", "GET", "https://host/x?a=b=c&=d&e=", "key", "sec"),
    ("empty parts", "GET", "https://host/x?&&a&&", "key", "sec"),
    ("names that sort otherwise once escaped", "GET", "https://host/x?a~=1&a(=2&aa=3&a%C5%BC=4&a-=5", "key", "sec"),
    ("escapes in small letters", "GET", "https://host/x?like(x,%c5%bc%2c)", "key", "sec"),
    ("letters of RFC 3986", "GET", "https://host/x?-._~!$'()*,;:@/?", "key", "sec"),
    ("a key and a secret with reserved characters", "GET", "https://host/x?a", "k/e+y=%", "s&e/c+r=t%"),
]

NONCE, TIMESTAMP = "abc", 1700000000
vectors = []
for name, method, url, key, secret in CASES:
    sig = signature(method, url, key, secret, NONCE, TIMESTAMP)
    query = url.partition("?")[2]
    if url.startswith(ORDERS) and KNOWN.get(query, sig) != sig:
        sys.exit("%s: %s, but oauthlib says %s" % (name, sig, KNOWN[query]))
    vectors.append({"name": name, "method": method, "url": url, "consumerKey": key, "consumerSecret": secret,
                    "nonce": NONCE, "timestamp": TIMESTAMP, "signature": sig})
json.dump(vectors, sys.stdout, indent=1, ensure_ascii=False)
print()
