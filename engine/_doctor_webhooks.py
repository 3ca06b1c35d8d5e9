"""What `listen doctor` says of requests to addresses that users give."""

import ipaddress

from engine._doctor_check import OK, WARN, Check
from engine.config import Config

__all__ = ["outgoing"]

METADATA = ipaddress.ip_address("169.254.169.254")


def outgoing(config: Config) -> Check:
    """Where requests may go."""
    name, settings = "webhooks", config.webhook
    if not settings.allow:
        return Check(name, OK, "to public addresses, ports 80, 443 and from 1024 on")
    ranges = ", ".join(settings.allow)
    networks = [ipaddress.ip_network(text) for text in settings.allow]
    if any(METADATA in network for network in networks):
        advice = "leave out of webhook.allow what holds cloud credentials (169.254.169.254)"
        return Check(name, WARN, f"users may have requests made to {ranges}", advice)
    return Check(name, OK, f"to public addresses, and to {ranges}")
