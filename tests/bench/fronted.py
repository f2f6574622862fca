"""An arena whose provider is what production has: HTTP/2 over TLS, by nginx before the
simulator, on core 1 with everything else. All subjects trust its certificate in the way
that theirs read."""

from front import Front
from subjects import Arena
from world import TMP


class Fronted(Arena):
    def start_sim(self, listen="127.0.0.1:0"):
        front = Front(TMP / (self.label + "nginx"), log=False)
        self.sim_args += ["--public-url", front.url]  # videos come through it, too
        super().start_sim(listen)
        self.nginx = front.start(self.sim_url.rsplit(":", 1)[1], self.label)
        self.programs.append(self.nginx)
        self.settings = {
            "APIMART_BASE_URL": front.url,
            "APIMART_CA_FILE": str(front.cert), "ASSET_CA_FILE": str(front.cert),  # ours
            "SSL_CERT_FILE": str(front.cert),  # the peers
            "PEER_POLL_CONNECTIONS": "128",  # streams here: a tick's polls at once
            **self.settings}
        return self.sim

    def provider(self):
        return [*super().provider(), self.nginx]
