"""Which addresses tools may reach: public ones, and those of hosts that the project allows."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.tools.settings import ToolSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 addresses that stand for an IPv4 one, which is in their last 32 bits: compatible, mapped, translated, and those
# of NAT64 (RFC 6052); a gateway would send what is for them to that.
_LAST_BITS = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        # Site-local (RFC 3879), NAT64 of one's own (RFC 8215), discard, 6to4 relays, benchmarks, documentation.
        ("fec0::/10", "64:ff9b:1::/48", "100::/64", "192.88.99.0/24", "198.18.0.0/15", "2001:db8::/32", "5f00::/16"),
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("1.1.1.1", "10.0.0.1", "100.64.0.1", "::ffff:127.0.0.1")]
    [True, False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    return address.is_global and not address.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if any(address in network for network in _LAST_BITS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return None


async def resolve(settings: ToolSettings, host: str, port: int) -> list[str]:
    """The addresses of a host that may be reached, in the order to try them.

    Raises:
        ToolError: There is none, or one of them may not be reached: then the host is refused as a whole.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ToolError(f'the host "{host}" cannot be found: {error}', hint="check the name, and the network") from None
    texts = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not settings.allows(host, port):
        for text in texts:
            if not is_public(ipaddress.ip_address(text)):
                shown = "" if text == host else f" has the address {text}, which"
                raise ToolError(
                    f'the host "{host}"{shown} is private, local or reserved: HTTP tools do not reach it',
                    hint=f'allow it if you mean it: `allowed_hosts: ["{host}:{port}"]` of the tools\' settings',
                    permanent=True,
                )
    return texts
