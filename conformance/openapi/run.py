#!/usr/bin/env python3
"""Holds a running server to the API description it serves itself, with requests that schemathesis makes up.

    python3 conformance/openapi/run.py                      ANYWIRE_BIN names the server; else target/release, target/debug
    python3 conformance/openapi/run.py --max-examples 200   what follows goes to schemathesis

The server runs on a free loopback port with a directory of its own. Checked of every answer: no 5xx; status,
content type, headers and body as described; a request as described is not refused, apart from those in
schemathesis.toml; another method gets 405. SSE and WebSocket do not end by themselves and are left to the cases; a
poll waits at most a second here. Schemathesis is installed into .cache/venv-schemathesis. Ends with 0 if nothing was
found, 1 if something was, 2 if schemathesis could not be installed (0 if ANYWIRE_ALLOW_MISSING names schemathesis).
"""

import copy
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / ".cache" / "venv-schemathesis"
PROGRAM = VENV / "bin" / "schemathesis"
REQUIREMENTS = HERE / "requirements.txt"
INSTALLED = VENV / "installed.txt"

# About several requests in a row, or about refusing what the description does not allow: the server is
# lenient in places (unknown query parameters, two spellings of true), and says so. Everything else is
# checked.
LEFT_OUT = [
    "negative_data_rejection",
    "missing_required_header",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
]
# The same requests each time, so that a finding can be repeated.
SEED = "20260123"
EXAMPLES_MAX = "40"
WAIT_S_MAX = 1
# The parameters of the command `video`.
VIDEO = ["message", "language"]
INSTALL_S_MAX = 600
RUN_S_MAX = 900
STOP_S_MAX = 30


def install() -> bool:
    """Makes the environment once for each version of requirements.txt."""
    wanted = REQUIREMENTS.read_text()
    if PROGRAM.exists() and INSTALLED.exists() and INSTALLED.read_text() == wanted:
        return True
    try:
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
        pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True, timeout=INSTALL_S_MAX)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"openapi: schemathesis could not be installed: {error}", file=sys.stderr)
        return False
    INSTALLED.write_text(wanted)
    return True


def binary() -> pathlib.Path:
    named = os.environ.get("ANYWIRE_BIN")
    candidates = [pathlib.Path(named).resolve()] if named else [ROOT / "target" / kind / "anywire" for kind in ("release", "debug")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    sys.exit(f"openapi: there is no server at {candidates[0]}; run cargo build -p anywire, or set ANYWIRE_BIN")


def start(directory: pathlib.Path) -> tuple[subprocess.Popen, str]:
    """Starts a server and returns it with its URL."""
    settings = ["--set", "stop_ms=1000", "--set", "logging.level=error", "--set", "jobs.uploads_open_max=10000"]
    # A video of every message that is made up would take hours: here the command only takes its parameters.
    arguments = ["true", *(f"--{name}={{{name}}}" for name in VIDEO)]
    settings += ["--set", f"jobs.commands.video.argv={json.dumps(arguments)}"]
    command = [binary(), "serve", "--listen", "127.0.0.1:0", "--data", directory / "data", *settings]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANYWIRE_")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=inherited)
    line = server.stdout.readline()
    if " is ready at " not in line:
        stop(server)
        sys.exit(f"openapi: the server did not start; it said {line!r}")
    return server, line.rsplit(" ", 1)[1].strip()


def stop(server: subprocess.Popen) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def description(url: str, directory: pathlib.Path) -> pathlib.Path:
    """The description the server serves, with polls that do not wait long and with the one command this server has."""
    with urllib.request.urlopen(f"{url}/api/openapi.json", timeout=30) as answer:
        document = json.load(answer)
    for parameter in document["paths"]["/anywire/poll"]["get"]["parameters"]:
        if parameter.get("name") == "wait":
            parameter["schema"]["maximum"] = WAIT_S_MAX
            parameter["example"] = WAIT_S_MAX
    # Which parameters a command must have and may have is a matter of its configuration; this is that of
    # start().
    named, *others = document["components"]["schemas"]["RunCommand"]["anyOf"]
    video, unknown = copy.deepcopy(named), copy.deepcopy(named)
    value = video["properties"]["parameters"]["additionalProperties"]
    video["properties"]["command"] = {"type": "string", "const": "video"}
    video["properties"]["parameters"] = {"type": "object", "properties": dict.fromkeys(VIDEO, value), "required": VIDEO, "additionalProperties": False}
    video["required"] = ["command", "parameters"]
    unknown["properties"]["command"]["not"] = {"const": "video"}
    document["components"]["schemas"]["RunCommand"]["anyOf"] = [video, unknown, *others]
    path = directory / "openapi.json"
    path.write_text(json.dumps(document))
    return path


def judge(url: str, directory: pathlib.Path, further: list[str]) -> int:
    command = [PROGRAM, "--config-file", HERE / "schemathesis.toml", "run", description(url, directory), "--url", url, "--exclude-checks", ",".join(LEFT_OUT)]
    command += ["--exclude-path", "/anywire/sse", "--exclude-path", "/anywire/ws", "--exclude-path", "/api/video-progress/{id}"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES_MAX, "--seed", SEED]
    # One: two threads that parse Python at once meet a race in CPython 3.11 (AST constructor recursion depth
    # mismatch).
    command += ["--workers", "1", "--request-timeout", "90", "--continue-on-failure", "--warnings", "off"]
    command += ["--suppress-health-check", "all"]
    # Its database of examples stays in the temporary directory.
    paths = {"PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "hooks", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([*command, *further], cwd=directory, env={**os.environ, **paths}, timeout=RUN_S_MAX).returncode


def main() -> int:
    if not install():
        return 0 if "schemathesis" in os.environ.get("ANYWIRE_ALLOW_MISSING", "").split(",") else 2
    with tempfile.TemporaryDirectory(prefix="anywire-openapi-") as name:
        directory = pathlib.Path(name)
        server, url = start(directory)
        try:
            found = judge(url, directory, sys.argv[1:])
            if server.poll() is not None:
                print(f"openapi: the server ended with {server.returncode} meanwhile", file=sys.stderr)
                return 1
        except subprocess.TimeoutExpired:
            print(f"openapi: schemathesis did not end within {RUN_S_MAX} s", file=sys.stderr)
            return 1
        finally:
            stop(server)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
