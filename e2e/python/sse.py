"""A stream of server-sent events as Python programs read it: `sse.py LIBRARY URL`, where the library is `httpx-sse` or `requests`.

Every block is a JSON line, {"event", "data"}. The program comes back after every end, with the last id it was given.
"""

import json
import sys
import time

import httpx
import requests
from httpx_sse import connect_sse

library, url = sys.argv[1:]


def say(event, data):
    print(json.dumps({"event": event, "data": json.loads(data)}), flush=True)


def by_httpx(last):
    headers = {"Last-Event-ID": last} if last else {}
    with httpx.Client(timeout=60) as client, connect_sse(client, "GET", url, headers=headers) as source:
        for sse in source.iter_sse():
            last = sse.id
            yield last, sse.event, sse.data


def by_requests(last):
    """Line by line, as in the examples of its manual."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
    block = {}
    with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line:
                name, _, value = line.partition(": ")
                block[name] = value
                continue
            last = block.get("id", last)
            yield last, block.get("event", "message"), block["data"]
            block = {}


read = {"httpx-sse": by_httpx, "requests": by_requests}[library]
last = ""
while True:
    try:
        for last, event, data in read(last):
            say(event, data)
    except (httpx.TransportError, requests.RequestException):
        pass
    time.sleep(0.1)
