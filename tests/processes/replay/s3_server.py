"""An S3 server of a few lines, so that pyarrow's own client can be tried without the network."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.denied: frozenset[str] = frozenset()
        """Methods that are answered with 403."""
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        place = f"127.0.0.1:{self.server_address[1]}"
        options = f"region=us-east-1&scheme=http&endpoint_override={place}"
        return f"s3://key:secret@{path}?{options}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16  # head and body in one packet
    server: Server

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def handle_expect_100(self):
        goes_on = super().handle_expect_100()
        self.wfile.flush()  # else the client waits a second for it
        return goes_on

    def _begin(self):
        split = urlsplit(self.path)
        self.key = unquote(split.path).lstrip("/")
        self.query = {k: v[0] for k, v in parse_qs(split.query, keep_blank_values=True).items()}
        body = self._body()
        if self.command in self.server.denied:
            self._answer(403, _error("AccessDenied", "Access Denied"))
            return None
        return body

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return data
        plain = b""
        while data:
            head, _, data = data.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            if size == 0:
                return plain
            plain, data = plain + data[:size], data[size + 2 :]
        return plain

    def _answer(self, status: int, body: bytes = b"", **headers: str):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self):
        body = self._begin()
        if body is None:
            return
        with self.server.lock:
            if "uploadId" in self.query:
                parts = self.server.parts[self.query["uploadId"]]
                parts[int(self.query["partNumber"])] = body
            else:
                self.server.objects[self.key] = body
        self._answer(200, ETag='"etag"')

    def do_POST(self):
        if self._begin() is None:
            return
        with self.server.lock:
            if "uploads" in self.query:
                upload = f"upload-{len(self.server.parts)}"
                self.server.parts[upload] = {}
                result = f"<UploadId>{upload}</UploadId>"
                self._answer(200, _xml("InitiateMultipartUploadResult", result))
                return
            parts = self.server.parts[self.query["uploadId"]]
            self.server.objects[self.key] = b"".join(parts[n] for n in sorted(parts))
        self._answer(200, _xml("CompleteMultipartUploadResult", "<ETag>etag</ETag>"))

    def do_HEAD(self):
        if self._begin() is None:
            return
        data = self.server.objects.get(self.key)
        if "/" not in self.key.rstrip("/"):
            self._answer(200)
        elif data is None:
            self._answer(404)
        else:
            self._answer(200, Content_Length=str(len(data)))

    def do_GET(self):
        if self._begin() is None:
            return
        if "list-type" in self.query:
            self._list()
            return
        data = self.server.objects.get(self.key)
        if data is None:
            self._answer(404, _error("NoSuchKey", "no such key"))
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        self._answer(206, data[first : last + 1])

    def _list(self):
        prefix, mark = self.query.get("prefix", ""), self.query.get("delimiter", "")
        bucket = self.key.rstrip("/")
        contents, folders = "", set()
        for key in sorted(self.server.objects):
            name = key.removeprefix(f"{bucket}/")
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix) :]
            if mark and mark in rest:
                folders.add(prefix + rest.split(mark)[0] + mark)
                continue
            size = len(self.server.objects[key])
            contents += f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size></Contents>"
        for folder in sorted(folders):
            contents += f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
        self._answer(200, _xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{contents}"))

    def do_DELETE(self):
        if self._begin() is None:
            return
        with self.server.lock:
            self.server.objects.pop(self.key, None)
        self._answer(204)


def _xml(name: str, content: str) -> bytes:
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return f'<?xml version="1.0"?><{name} {space}>{content}</{name}>'.encode()


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextmanager
def serve():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
