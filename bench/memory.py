#!/usr/bin/env python3
"""Runs the server with its defaults in a control group that allows little memory, with readers and publishers.

    sudo bench/memory.py --limit-mib 128 --readers 5000 --rate 1000 --seconds 600

It prints what the server uses, every tenth of the time, and ends with status 1 if the server died, refused a publication, or
used more in the last third than in the second. It needs the right to make a control group (v1 or v2); without it, --no-group only watches.
"""

import argparse
import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

CHANNELS = 500
BATCH = 10


class Group:
    """A control group below the one this program is in, so that whatever limits that one limits it too."""

    def __init__(self, limit_mib: int):
        lines = [line.strip().split(":", 2) for line in open("/proc/self/cgroup")]
        v1 = [path for _, controllers, path in lines if "memory" in controllers.split(",")]
        root, own = ("/sys/fs/cgroup/memory", v1[0]) if v1 else ("/sys/fs/cgroup", lines[-1][2])
        files = ("memory.limit_in_bytes", "memory.usage_in_bytes") if v1 else ("memory.max", "memory.current")
        self.folder = pathlib.Path(root + own) / f"anywire-memory-{os.getpid()}"
        self.folder.mkdir()
        self.limit, self.usage = (self.folder / name for name in files)
        self.limit.write_text(str(limit_mib << 20))

    def enter(self):
        (self.folder / "cgroup.procs").write_text("0")

    def used_mib(self) -> float:
        return int(self.usage.read_text()) / (1 << 20)

    def remove(self):
        self.folder.rmdir()


def anonymous_mib(pid: int) -> float:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024


async def read(host: str, port: int, number: int, heard: list[int]):
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 16)
    target = f"/anywire/sse?channels=c{number % CHANNELS}"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n".encode())
    while piece := await reader.read(1 << 16):
        heard[0] += piece.count(b"\ndata: ")


async def publish(host: str, port: int, rate: int, until: float, sent: list[int], refused: list[str]):
    reader, writer = await asyncio.open_connection(host, port)
    begin, count = time.monotonic(), 0
    while time.monotonic() < until:
        events = [{"channel": f"c{(count + i) % CHANNELS}", "data": {"number": count + i, "text": "x" * 200}} for i in range(BATCH)]
        body = json.dumps({"events": events}).encode()
        head = f"POST /anywire/publish HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"(?i)content-length: (\d+)", answer)[1])
        text = await reader.readexactly(length)
        if " 200 " not in answer.split("\r\n")[0]:
            refused.append(text.decode())
        count += BATCH
        sent[0] += BATCH
        await asyncio.sleep(max(0, begin + count / rate - time.monotonic()))


async def load(server: subprocess.Popen, host: str, port: int, options, used) -> bool:
    heard, sent, refused, samples = [0], [0], [], []
    readers = []
    for number in range(options.readers):
        readers.append(asyncio.create_task(read(host, port, number, heard)))
        if number % 100 == 99:
            await asyncio.sleep(0.05)
    begin = time.monotonic()
    publisher = asyncio.create_task(publish(host, port, options.rate, begin + options.seconds, sent, refused))
    for tenth in range(30):
        await asyncio.sleep(max(0, begin + (tenth + 1) * options.seconds / 30 - time.monotonic()))
        if server.poll() is not None:
            print(f"the server ended with {server.returncode} after {time.monotonic() - begin:.0f} s")
            return False
        samples.append(anonymous_mib(server.pid))
        if tenth % 3 == 2:
            line = f"{time.monotonic() - begin:5.0f} s  {samples[-1]:6.1f} MiB of its own  {used():6.1f} MiB in the group"
            print(f"{line}  {sent[0]} published  {heard[0]} heard", flush=True)
    await publisher
    for reader in readers:
        reader.cancel()
    middle, end = max(samples[10:20]), max(samples[20:])
    flat = end <= middle * 1.05 + 2
    print(f"at most {middle:.1f} MiB in the second third, {end:.1f} MiB in the last: {'flat' if flat else 'it grows'}")
    print(f"{len(refused)} refused{': ' + refused[0] if refused else ''}")
    return flat and not refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="target/release/anywire")
    parser.add_argument("--limit-mib", type=int, default=128)
    parser.add_argument("--readers", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--no-group", action="store_true")
    options = parser.parse_args()
    group = None if options.no_group else Group(options.limit_mib)
    with tempfile.TemporaryDirectory() as data:
        server = subprocess.Popen(
            [options.server, "serve", "--listen", "127.0.0.1:0", "--data", data],
            stdout=subprocess.PIPE, text=True, preexec_fn=group.enter if group else None,
        )
        try:
            host, port = server.stdout.readline().rsplit("://", 1)[1].strip().rsplit(":", 1)
            used = group.used_mib if group else lambda: float("nan")
            passed = asyncio.run(load(server, host, int(port), options, used))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
            if group:
                group.remove()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
