"""Where a webhook may lead: to the outside, and never into the network that nerapp runs in.

Whoever may set a webhook must not make nerapp knock at its own neighbours (SSRF). Two things are checked:
the words of an address, when it is entered and before each try; and every network address that its host has,
before each try, and it is that very network address that is then connected to (webhooks.wire). A name that
leads elsewhere a moment later (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext

from webhooks.errors import AddressRefused, HostUnknown

Address = IPv4Address | IPv6Address

MAX_LENGTH = 500
#: Public by number, and yet the cloud's own: Azure's platform answers here from inside every machine.
_OURS = {IPv4Address("168.63.129.16")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """An address in its parts."""

    tls: bool
    host: str
    port: int
    path: str


def target_of(url: str) -> Target:
    """An address that may be sent to, as far as its words tell. Raises AddressRefused."""
    if len(url) > MAX_LENGTH:
        raise _refused(gettext("it is longer than {limit} characters").format(limit=MAX_LENGTH))
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused(gettext("it holds characters that no address has"))
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise _refused(gettext("it cannot be understood")) from None
    if parts.scheme not in ("https", "http"):
        raise _refused(gettext("it does not begin with https://"))
    if parts.scheme == "http" and not settings.WEBHOOK_ALLOW_HTTP:
        raise _refused(gettext("http is not allowed here, only https"))
    if "@" in parts.netloc:
        raise _refused(gettext("it holds a name or a password; messages are signed instead"))
    if not host:
        raise _refused(gettext("it names no host"))
    if parts.fragment:
        raise _refused(gettext("it has a part after #, which is never sent"))
    tls = parts.scheme == "https"
    port = port if port is not None else (443 if tls else 80)
    if port not in settings.WEBHOOK_PORTS:
        raise _refused(gettext("its port {port} is not among those allowed").format(port=port))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(tls=tls, host=host, port=port, path=path)


def addresses_of(target: Target) -> list[Address]:
    """The network addresses of its host, all of which must be open to us. Raises AddressRefused."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise HostUnknown(
            pointer="/url", problem=gettext("its host {host} has no address").format(host=target.host)
        ) from None
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found))
    for address in addresses:
        # One of them is enough: whoever controls the name chooses which one is tried.
        if not is_open(address):
            raise _refused(
                gettext("its host leads to {address}, which is not on the public internet").format(
                    address=address
                )
            )
    return addresses


def is_open(address: Address) -> bool:
    """May nerapp connect there? The public internet, and the networks that the operator has named."""
    if any(address in network for network in settings.WEBHOOK_NETWORKS if network.version == address.version):
        return True
    inner = _inner(address)
    if inner is not None:
        return is_open(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not getattr(address, "is_site_local", False)
        and address not in _OURS
    )


def _inner(address: Address) -> IPv4Address | None:
    """The IPv4 address that is reached by an IPv6 address which only wraps it."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _refused(problem: str) -> AddressRefused:
    return AddressRefused(pointer="/url", problem=problem)
