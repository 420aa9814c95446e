"""A small Hub on 127.0.0.1 for tests. It answers the requests of huggingface_hub, and keeps everything in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

TOKEN = "hf_of_the_owner"
LARGE_FILES = (".parquet", ".safetensors")
API = re.compile(r"/api/(model|dataset|space)s/([^/]+/[^/]+)(?:/([a-z-]+)/([^/]+)(?:/(.*))?)?")
FILE = re.compile(r"/(?:(dataset|space)s/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
LFS = re.compile(r"/(?:(dataset|space)s/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")


class Refusal(Exception):
    """An error of the Hub: its status, the code by which clients recognise it, and other headers."""

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})}


@dataclass(frozen=True)
class File:
    content: bytes
    is_large: bool = False

    @property
    def oid(self) -> str:
        """The name by which git, or its large file storage, knows the content."""
        if self.is_large:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        """The file's entry in a listing."""
        large = {"lfs": {"oid": self.oid, "size": len(self.content), "pointerSize": 1}} if self.is_large else {}
        return {"type": "file", "path": path, "oid": self.oid, "size": len(self.content), **large}


@dataclass
class Repository:
    private: bool
    # Every commit with all of its files, the newest last.
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    # The files of proposals that nobody has merged.
    pull_requests: list[dict[str, File]] = field(default_factory=list)

    def commit(self, files: dict[str, File]) -> str:
        sha = secrets.token_hex(20)
        self.commits[sha] = files
        return sha

    @property
    def newest(self) -> dict[str, File]:
        return list(self.commits.values())[-1]

    def resolve(self, revision: str) -> str:
        """The commit of a revision. `main` is the newest commit."""
        revision = list(self.commits)[-1] if revision == "main" else revision
        if revision not in self.commits:
            raise Refusal(404, "RevisionNotFound")
        return revision


@dataclass
class Hub:
    """The stored repositories, and a transcript of all requests.

    Args:
        endpoint: for `HF_ENDPOINT`.
        token: opens the private repositories, and is needed to write.
        transcript: a line for each request: method, path and status.
    """

    endpoint: str = ""
    token: str = TOKEN
    transcript: list[str] = field(default_factory=list, repr=False)
    # By kind (model, dataset, space) and name.
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict, repr=False)
    large: dict[str, bytes] = field(default_factory=dict, repr=False)
    lock: Lock = field(default_factory=Lock, repr=False)

    def files(self, repo: str, kind: str = "model") -> dict[str, bytes]:
        """The newest files of a repository."""
        return {path: file.content for path, file in self.repositories[kind, repo].newest.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *args: Any) -> None:
        self.hub = hub
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to standard error. The transcript has every request."""

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with self.hub.lock:
                status, headers, content = self.answer(url.path, parse_qs(url.query), body)
        except Refusal as refusal:
            status, headers, content = refusal.status, refusal.headers, b"{}"
        except Exception as error:
            # A fault of this Hub. The transcript is printed when a test fails.
            status, headers, content = 500, {"X-Error-Message": repr(error)}, b"{}"
            self.hub.transcript.append(repr(error))
        self.hub.transcript.append(f"{self.command} {self.path} {status}")
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def answer(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content."""
        if self.command == "PUT" and path.startswith("/large/"):
            # No token is needed: as on the Hub, the address itself is the secret.
            if hashlib.sha256(body).hexdigest() != path.rpartition("/")[2]:
                raise Refusal(400, "BadDigest")
            self.hub.large[path.rpartition("/")[2]] = body
            return 200, {}, b""
        if found := FILE.fullmatch(path):
            kind, repo, revision, name = found.groups()
            return self.send_file(self.repository(kind, repo), unquote(revision), unquote(name))
        if found := LFS.fullmatch(path):
            kind, repo = found.groups()
            self.repository(kind, repo, write=True)
            return 200, {}, json.dumps({"transfer": "basic", "objects": self.uploads(json.loads(body))}).encode()
        if found := API.fullmatch(path):
            kind, repo, action, revision, name = found.groups()
            repository = self.repository(kind, repo, write=action in ("preupload", "commit"))
            sha = repository.resolve(unquote(revision or "main"))
            operations = {
                "preupload": lambda: self.preupload(repository, json.loads(body)),
                "commit": lambda: self.commit(
                    repository, f"{kind}s/{repo}".removeprefix("models/"), body, query.get("create_pr") == ["1"]
                ),
                "tree": lambda: self.tree(repository.commits[sha], unquote(name or ""), query),
                "revision": lambda: self.info(repo, repository, sha),
            }
            if (action or "revision") in operations:
                return 200, {}, json.dumps(operations[action or "revision"]()).encode()
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            return 200, {}, b"{}"
        if path == "/api/whoami-v2" and self.is_owner:
            return 200, {}, json.dumps({"type": "user", "name": "me", "orgs": []}).encode()
        raise Refusal(401 if path == "/api/whoami-v2" else 404, "NotHere")

    @property
    def is_owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def repository(self, kind: str | None, repo: str, write: bool = False) -> Repository:
        """A repository. Without the owner's token, a private repository looks like one that does not exist."""
        found = self.hub.repositories.get((kind or "model", repo))
        if not self.is_owner and (found is None or found.private or write):
            raise Refusal(401, "RepoNotFound")
        if found is None:
            raise Refusal(404, "RepoNotFound")
        return found

    def create(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if not self.is_owner:
            raise Refusal(401, "Unauthorized")
        kind, repo = asked.get("type") or "model", f"{asked.get('organization') or 'me'}/{asked['name']}"
        status = 409 if (kind, repo) in self.hub.repositories else 200
        if status == 200:
            private = asked.get("private", asked.get("visibility") == "private")
            self.hub.repositories[kind, repo] = Repository(private)
            self.hub.repositories[kind, repo].commit({".gitattributes": File(b"*.parquet filter=lfs\n")})
        url = f"{self.hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo}"
        return status, {}, json.dumps({"url": url, "name": repo}).encode()

    def send_file(self, repository: Repository, revision: str, name: str) -> tuple[int, dict[str, str], bytes]:
        sha = repository.resolve(revision)
        file = repository.commits[sha].get(name)
        if file is None:
            # Clients remember by this commit that the file is missing in it.
            raise Refusal(404, "EntryNotFound", {"X-Repo-Commit": sha})
        headers = {"ETag": f'"{file.oid}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            return 200, headers, file.content
        size = len(file.content)
        first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        if first > last:
            raise Refusal(416, "RangeNotSatisfiable", {"Content-Range": f"bytes */{size}"})
        return 206, {**headers, "Content-Range": f"bytes {first}-{last}/{size}"}, file.content[first : last + 1]

    def uploads(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """The address for each large file. A file that is stored already gets none."""
        return [
            {**wanted, "actions": {"upload": {"href": f"{self.hub.endpoint}/large/{wanted['oid']}"}}}
            if wanted["oid"] not in self.hub.large
            else wanted
            for wanted in batch["objects"]
        ]

    def preupload(self, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        modes = []
        newest = repository.newest
        for path in (file["path"] for file in asked["files"]):
            mode = "lfs" if path.endswith(LARGE_FILES) else "regular"
            oid = newest[path].oid if path in newest else None
            modes.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": modes}

    def commit(self, repository: Repository, name: str, body: bytes, proposed: bool) -> dict[str, Any]:
        files = dict(repository.newest)
        for operation in map(json.loads, body.splitlines()):
            key, value = operation["key"], operation["value"]
            if key == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                files[value["path"]] = File(self.hub.large[value["oid"]], is_large=True)
            elif key == "deletedFile" and value["path"] in files:
                del files[value["path"]]
            elif key != "header":
                raise Refusal(404, "EntryNotFound")
        url = f"{self.hub.endpoint}/{name}"
        if proposed:
            repository.pull_requests.append(files)
            sha, number = secrets.token_hex(20), len(repository.pull_requests)
            return {
                "commitOid": sha,
                "commitUrl": f"{url}/commit/{sha}",
                "pullRequestUrl": f"{url}/discussions/{number}",
            }
        sha = repository.commit(files)
        return {"success": True, "commitOid": sha, "commitUrl": f"{url}/commit/{sha}"}

    def tree(self, files: dict[str, File], folder: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, file in files.items():
            if path.startswith(prefix):
                parts = path[len(prefix) :].split("/")
                for inner in (prefix + "/".join(parts[:depth]) for depth in range(1, len(parts))):
                    entries[inner] = {"type": "directory", "path": inner, "oid": "0" * 40, "size": 0}
                entries[path] = file.entry(path)
        if prefix and not entries:
            raise Refusal(404, "EntryNotFound")
        recursive = query.get("recursive", [""])[0].lower() in ("true", "1")
        return [entry for path, entry in sorted(entries.items()) if recursive or "/" not in path[len(prefix) :]]

    def info(self, repo: str, repository: Repository, sha: str) -> dict[str, Any]:
        siblings = [{"rfilename": path} for path in repository.commits[sha]]
        return {"id": repo, "sha": sha, "private": repository.private, "siblings": siblings, "tags": []}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A Hub that has no repositories at first. It runs as long as the tests of the module."""
    stored = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, stored))
    stored.endpoint = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield stored
    server.shutdown()
    server.server_close()
