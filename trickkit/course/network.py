"""Where others find this computer."""

import socket

import psutil


def own_addresses() -> list[str]:
    """This computer's IPv4 addresses on its networks; that of no network where there is none."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = [
        address.address
        for name, of_it in psutil.net_if_addrs().items()
        for address in of_it
        if address.family == socket.AF_INET and name in up
    ]
    return [address for address in found if not address.startswith("127.")] or found
