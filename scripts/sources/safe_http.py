"""Connections over http and https that refuse hosts which the user did not mean: loopback, link-local, private."""

import ipaddress
import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection


class PrivateHostError(Exception):
    """The address is none of the public network."""


def public_address(host: str, port: int) -> tuple[str, int]:
    """The first address of `host`, numeric. Raises PrivateHostError if any of its addresses is not public."""
    # The address that was looked at is the one that is asked: a second look-up may answer otherwise.
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        numeric = ipaddress.ip_address(str(address[0]).partition("%")[0])
        mapped = getattr(numeric, "ipv4_mapped", None) or numeric
        if not mapped.is_global or mapped.is_multicast:
            raise PrivateHostError(f"{host} is {numeric}, no public host (allow_private_hosts would let it pass)")
    return str(found[0][4][0]), port


class _Guard:
    host: str
    port: int
    timeout: Any
    source_address: Any
    socket_options: Any

    def _new_conn(self) -> socket.socket:
        try:
            address = public_address(self.host, self.port)
            return create_connection(address, self.timeout, self.source_address, self.socket_options)
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(self, f"{self.host} does not answer") from error
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]


class _GuardedHTTP(_Guard, HTTPConnection):
    pass


class _GuardedHTTPS(_Guard, HTTPSConnection):
    pass


class _GuardedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


def make_pool(*, connections: int, allow_private_hosts: bool) -> urllib3.PoolManager:
    """A pool that keeps up to `connections` open to each host; how many there are at once is up to who asks."""
    pool = urllib3.PoolManager(num_pools=256, maxsize=connections)
    if not allow_private_hosts:
        pool.pool_classes_by_scheme = {"http": _GuardedHTTPPool, "https": _GuardedHTTPSPool}
    return pool
