"""A Flask back end that publishes over HTTP. Run: pip install flask && python app.py (with Anywire on port 8000)."""

import json
import os
import urllib.request
import uuid

from flask import Flask, jsonify, request

ANYWIRE = os.environ.get("ANYWIRE_URL", "http://127.0.0.1:8000")
TOKEN = os.environ.get("ANYWIRE_TOKEN")

app = Flask(__name__)


def publish(channel: str, event: str, data: object) -> dict:
    """Publishes one event; resolves when it is on disk. The key makes a repetition harmless."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    body = json.dumps({"channel": channel, "event": event, "data": data}).encode()
    call = urllib.request.Request(f"{ANYWIRE}/anywire/publish", body, headers)
    with urllib.request.urlopen(call, timeout=10) as answer:
        return json.load(answer)


@app.post("/orders")
def create_order():
    order = {"id": str(uuid.uuid4()), **request.get_json()}
    return jsonify(order=order, published=publish("orders", "created", order)), 201


if __name__ == "__main__":
    app.run(port=5001)
