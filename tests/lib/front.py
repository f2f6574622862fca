"""The provider as production has it: HTTP/2 over TLS. nginx stands in front of the
simulator, and the workers trust its certificate in mounts of their own.

    with front.FrontedWorld() as w:
        ...
        w.line.swallow()

`Front` is that nginx alone, for whoever has a world of another kind.
"""

import os
import socket
import subprocess
import threading

from mounts import bound
from world import TMP, Program, World, free_port, wait_for

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

# {log}: where a line for each exchange goes. Nothing of it may be what a bench measures:
# connections stay open however much goes through them.
CONFIG = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    log_format short '$server_protocol $request_method $uri $status';
    access_log {log};
    client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t;
    uwsgi_temp_path t; scgi_temp_path t;
    keepalive_requests 1000000000; keepalive_time 12h;
    upstream simulator {{
        server 127.0.0.1:{to};
        keepalive 512; keepalive_requests 1000000000; keepalive_time 12h;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=4096;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        client_max_body_size 8m; client_body_buffer_size 64k;
        location / {{
            proxy_pass http://simulator;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


class Front:
    """nginx before a server on a port of this machine.

    folder      of its files
    url         https, by its address
    cert        what whoever asks it has to trust
    log         whether asked() tells what it was asked
    """

    def __init__(self, folder, log=True):
        self.folder, self.log, self.port = folder, log, free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.cert = folder / "cert.pem"

    def start(self, to, label):
        """The process, when it listens."""
        self.folder.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-addext", "basicConstraints=critical,CA:FALSE",
             "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=self.folder, check=True, capture_output=True)
        config = self.folder / "nginx.conf"
        config.write_text(CONFIG.format(
            port=self.port, to=to, log="access.log short" if self.log else "off"))
        path = os.environ["PATH"] + ":/usr/sbin"
        nginx = Program("nginx", ["nginx", "-p", f"{self.folder}/", "-c", config,
                                  "-e", self.folder / "error.log"],
                        env={**os.environ, "PATH": path}, log=label + "nginx-out")

        def listens():
            if not nginx.alive():
                raise RuntimeError("nginx ended: " + nginx.text())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for(listens, 20, "nginx listens")
        return nginx

    def asked(self):
        """(protocol, method, path, status) of every exchange that nginx has seen."""
        return [tuple(line.split()) for line in
                (self.folder / "access.log").read_text().splitlines()]


class Line:
    """A proxy of bytes. It can swallow the connections that it has: they stay open,
    and nothing comes through any more; later ones are well."""

    def __init__(self, to):
        self.to = ("127.0.0.1", to)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.number = 0
        self.swallowed = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
                far = socket.create_connection(self.to)
            except OSError:
                return
            self.number += 1
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self.pipe, args=(*ends, self.number),
                                 daemon=True).start()

    def pipe(self, source, sink, number):
        try:
            while data := source.recv(65536):
                if number > self.swallowed:
                    sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def swallow(self):
        self.swallowed = self.number

    def close(self):
        self.server.close()


class FrontedWorld(World):
    """A World whose workers reach the simulator through `line` and nginx; videos
    come through nginx alone."""

    def start_sim(self, listen="127.0.0.1:0"):
        self.front = Front(TMP / (self.label + "nginx"))
        self.sim_args += ["--public-url", self.front.url]
        sim = super().start_sim(listen)
        self.programs.append(self.front.start(self.sim_url.rsplit(":", 1)[1], self.label))
        self.line = Line(self.front.port)
        self.settings = {"APIMART_BASE_URL": f"https://127.0.0.1:{self.line.port}",
                         **self.settings}
        return sim

    def start_worker(self, wait=True, before=(), **more):
        return super().start_worker(
            wait=wait, before=[*bound({BUNDLE: self.front.cert}), *before], **more)

    def __exit__(self, *args):
        super().__exit__(*args)
        if hasattr(self, "line"):
            self.line.close()

    def asked(self):
        return self.front.asked()
