"""tinyproxy, a real HTTP proxy that wants a user and a password."""

import shutil
import socket

from world import TMP, Program, free_port, wait_for


class TinyProxy:
    """On a port of its own; `url` is the way to it.

    user, password  without which it answers 407
    """

    def __init__(self, user="", password=""):
        self.port = free_port()
        self.conf = TMP / "tinyproxy.conf"
        self.file = TMP / "tinyproxy.txt"
        self.address = f"127.0.0.1:{self.port}"
        login = f"{user}:{password}@" if user else ""
        self.url = f"http://{login}{self.address}"
        self.conf.write_text(
            f'Port {self.port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 200\n'
            f'Allow 127.0.0.1\nLogLevel Connect\nLogFile "{self.file}"\n'
            + (f"BasicAuth {user} {password}\n" if user else ""))
        self.start()

    def start(self):
        self.program = Program("tinyproxy", [
            shutil.which("tinyproxy") or "/usr/bin/tinyproxy", "-d", "-c", self.conf])
        wait_for(self.answers, 20, "tinyproxy")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def asked(self, port):
        """How often it was asked to lead to a port of this machine."""
        return self.file.read_text().count(f"CONNECT 127.0.0.1:{port} ")

    def stop(self):
        self.program.kill()
