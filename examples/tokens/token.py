"""Signs a client's token, without any library. Run: JWT_SECRET=… python3 token.py USER 'progress_*' [PATTERN…]"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time


def token(secret: str, user: str, subscribe: list[str], publish: list[str] = (), seconds: int = 3600) -> str:
    """A JWT (HS256) that lets `user` subscribe and publish to these channel patterns for so many seconds."""
    claims = {"sub": user, "exp": int(time.time()) + seconds, "subscribe": list(subscribe), "publish": list(publish)}
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    signed = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{signed}.{base64url(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    print(token(os.environ["JWT_SECRET"], sys.argv[1], sys.argv[2:]))
