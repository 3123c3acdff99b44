"""The room's proxy: what the network reaches, in front of the hub and everybody's server.

PyPI's configurable-http-proxy, with what a room needs: more than ten requests at a time, requests
that may last, messages as large as JupyterLab's (`setup.jupyterlab`), bytes that stay bytes, and
TLS.
"""

import argparse
import asyncio
import functools
import os
import ssl

from configurable_http_proxy import configproxy, handlers, log
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.websocket import websocket_connect

AT_A_TIME = 1000  # requests; Tornado's ten are not enough for forty people who begin together
LARGEST_MESSAGE = 1_000_000_000  # bytes of a message or a file


class BytesAsBytes(handlers.ProxyHandler):
    """Does what the library leaves out, so that browser and server speak of the same."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """What the server has chosen of it, which then decides how messages are written."""
        return self.ws_client.selected_subprotocol if self.ws_client else None

    def on_message(self, message: str | bytes) -> None:
        """Pass bytes on as bytes: as text, the server would close the connection."""
        if self.ws_client:
            self.proxy.update_last_activity(self.target["prefix"])
            self.ws_client.write_message(message, binary=isinstance(message, bytes))


async def pass_on(args: argparse.Namespace) -> None:
    """Pass requests on until the process is ended.

    args: as JupyterHub gives them to its proxy.
    """
    log.setLevel(args.log_level.upper())
    # a request has no time limit: a start that others delay may take longer than Tornado's 20 s
    AsyncHTTPClient.configure(
        None,
        max_clients=AT_A_TIME,
        max_body_size=LARGEST_MESSAGE,
        defaults={"request_timeout": 0},
    )
    handlers.websocket_connect = functools.partial(
        websocket_connect, max_message_size=LARGEST_MESSAGE
    )
    configproxy.ProxyHandler = BytesAsBytes
    tls = None
    if args.ssl_cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(args.ssl_cert, args.ssl_key)
    proxy = configproxy.PythonProxy(
        {
            "auth_token": os.environ["CONFIGPROXY_AUTH_TOKEN"],
            "error_target": args.error_target,
            # the library, which knows no TLS, would tell the hub that the browser speaks http
            "custom_headers": {"x-forwarded-proto": "https"} if tls else {},
        }
    )
    proxy.proxy_app.settings["websocket_max_message_size"] = LARGEST_MESSAGE
    HTTPServer(proxy.proxy_app, ssl_options=tls, max_body_size=LARGEST_MESSAGE).listen(
        args.port, args.ip
    )
    HTTPServer(proxy.api_app).listen(args.api_port, args.api_ip)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("ip", "api-ip", "error-target", "log-level", "ssl-cert", "ssl-key"):
        parser.add_argument(f"--{name}")
    for name in ("port", "api-port"):
        parser.add_argument(f"--{name}", type=int)
    asyncio.run(pass_on(parser.parse_args()))
