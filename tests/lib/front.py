"""The provider as production has it: HTTP/2 over TLS. nginx stands in front of the
simulator, and the workers trust its certificate in mounts of their own.

    with front.FrontedWorld() as w:
        ...
        w.line.swallow()
"""

import os
import socket
import subprocess
import threading

from mounts import bound
from world import TMP, Program, World, free_port, wait_for

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

CONFIG = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{ worker_connections 512; }}
http {{
    log_format short '$server_protocol $request_method $uri $status';
    access_log access.log short;
    client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t;
    uwsgi_temp_path t; scgi_temp_path t;
    upstream simulator {{ server 127.0.0.1:{to}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        client_max_body_size 8m;
        location / {{
            proxy_pass http://simulator;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


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
        port = free_port()
        self.front = TMP / (self.label + "nginx")
        self.sim_args += ["--public-url", f"https://127.0.0.1:{port}"]
        sim = super().start_sim(listen)
        self.start_nginx(port)
        self.line = Line(port)
        self.settings = {"APIMART_BASE_URL": f"https://127.0.0.1:{self.line.port}",
                         **self.settings}
        return sim

    def start_nginx(self, port):
        self.front.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=self.front, check=True, capture_output=True)
        config = self.front / "nginx.conf"
        config.write_text(CONFIG.format(port=port, to=self.sim_url.rsplit(":", 1)[1]))
        path = os.environ["PATH"] + ":/usr/sbin"
        nginx = Program("nginx", ["nginx", "-p", f"{self.front}/", "-c", config,
                                  "-e", self.front / "error.log"],
                        env={**os.environ, "PATH": path}, log=self.label + "nginx-out")
        self.programs.append(nginx)

        def listens():
            if not nginx.alive():
                raise RuntimeError("nginx ended: " + nginx.text())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        wait_for(listens, 20, "nginx listens")

    def start_worker(self, wait=True, before=(), **more):
        return super().start_worker(
            wait=wait, before=[*bound({BUNDLE: self.front / "cert.pem"}), *before], **more)

    def __exit__(self, *args):
        super().__exit__(*args)
        if hasattr(self, "line"):
            self.line.close()

    def asked(self):
        """(protocol, method, path, status) of every exchange that nginx has seen."""
        return [tuple(line.split()) for line in
                (self.front / "access.log").read_text().splitlines()]
