"""Google's token endpoint and a machine's metadata server, on a free port of this machine, with real signatures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

ACCOUNT = "studio@my-social-app.iam.gserviceaccount.com"


class Google:
    """What was asked of it, and how it answers: with tokens of `lifetime` seconds, or `status` and no token."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        self._public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        self._signer = crypt.RSASigner.from_string(private)  # type: ignore[no-untyped-call]
        self._private = private
        self.url = ""
        self.lifetime = 3600
        self.status = 200
        self.audiences: list[str] = []

    def key_file(self, folder: Path) -> Path:
        """Such a file as the console makes for a service account."""
        told = {
            "type": "service_account",
            "client_email": ACCOUNT,
            "private_key_id": "1",
            "private_key": self._private,
            "token_uri": f"{self.url}/token",
        }
        path = folder / "key.json"
        path.write_text(json.dumps(told))
        return path

    def token_for(self, assertion: str) -> str:
        """An ID token for who signed `assertion` with the account's key. Raises ValueError."""
        claims = jwt.decode(assertion, certs={"1": self._public}, audience="https://oauth2.googleapis.com/token")  # type: ignore[no-untyped-call]
        assert claims["iss"] == ACCOUNT
        return self.issue(claims["target_audience"])

    def issue(self, audience: str) -> str:
        self.audiences.append(audience)
        now = int(time.time())
        claims = {"iss": "https://accounts.google.com", "aud": audience, "iat": now, "exp": now + self.lifetime}
        return bytes(jwt.encode(self._signer, claims | {"number": len(self.audiences)})).decode()  # type: ignore[no-untyped-call]

    def audience_of(self, authorization: str) -> str:
        """As Cloud Run's front looks at the header: whom the token is for. Raises ValueError for any other."""
        scheme, _, token = authorization.partition(" ")
        assert scheme == "Bearer"
        return str(jwt.decode(token, certs={"1": self._public})["aud"])  # type: ignore[no-untyped-call]


@contextmanager
def google() -> Iterator[Google]:
    """Serve until the block ends: `/token` for key files, `/computeMetadata/` for machines of Google's."""
    state = Google()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if state.status != 200:
                self._answer(state.status, json.dumps({"error": "invalid_grant"}))
                return
            self._answer(200, json.dumps({"id_token": state.token_for(form["assertion"][0])}))

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            audience = parse_qs(asked.query).get("audience")
            assert self.headers["Metadata-Flavor"] == "Google"
            self._answer(200, state.issue(audience[0]) if audience else json.dumps({"email": ACCOUNT}))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
