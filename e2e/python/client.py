"""python-socketio's client, driven by lines: `client.py URL '{"transports": [...], "namespaces": [...], "auth": {...}}'`.

Every event is a JSON line; a command is a JSON line, {"event", "args", "namespace"}, whose acknowledgement is one too. With "resume", the client
remembers the cursor that comes with each event and says it when it connects again. Bytes are {"bytes": "<hex>"} on either side.
"""

import json
import sys
import threading

import socketio

url, options = sys.argv[1], json.loads(sys.argv[2])
namespaces = options.get("namespaces", ["/"])
last = {}
lock = threading.Lock()


def to_line(value):
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(type(value).__name__)


def from_line(value):
    return bytes.fromhex(value["bytes"]) if set(value) == {"bytes"} else value


def say(**line):
    with lock:
        print(json.dumps(line, default=to_line), flush=True)


def remember(cursor):
    """Each message is handled in a thread of its own: the newest cursor counts, not the last one handled."""
    with lock:
        offset = int(cursor.rpartition("-")[2])
        if offset > int(last.get("after", "-0").rpartition("-")[2]):
            last["after"] = cursor


def auth():
    return {**options.get("auth", {}), **last}


class Listener(socketio.ClientNamespace):
    def trigger_event(self, event, *args):
        if event not in ("connect", "disconnect", "connect_error") and options.get("resume"):
            *args, cursor = args
            remember(cursor)
        say(event=event, namespace=self.namespace, args=list(args))


client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5, randomization_factor=0)
for namespace in namespaces:
    client.register_namespace(Listener(namespace))
try:
    client.connect(url, namespaces=namespaces, transports=options["transports"], auth=auth, wait_timeout=60)
except socketio.exceptions.ConnectionError as error:
    say(event="refused", namespace="/", args=[str(error)])
    sys.exit(0)
for text in sys.stdin:
    command = json.loads(text, object_hook=from_line)
    arguments = tuple(command["args"])
    answer = client.call(command["event"], arguments, namespace=command.get("namespace", "/"), timeout=60)
    say(event="$answer", namespace="/", args=[answer, client.transport()])
client.disconnect()
