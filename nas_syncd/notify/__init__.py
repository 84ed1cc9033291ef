"""Telling people who are not looking: alarms and their ends, and a dead man's switch.

::

    alarms    what is to be told, and when (pure)        channel   one address and its thread
    outbox    what was not sent yet, kept in order       send      the child that uses Apprise
    ping      the dead man's switch
"""

from nas_syncd.notify.alarms import Alarms, Facts, Kind, Limits, News, Severity, Waiting
from nas_syncd.notify.channel import Channel, Sender, scheme_of
from nas_syncd.notify.outbox import Letter, Outbox, address_key
from nas_syncd.notify.ping import Pinger, ping

__all__ = [
    "Alarms",
    "Channel",
    "Facts",
    "Kind",
    "Letter",
    "Limits",
    "News",
    "Outbox",
    "Pinger",
    "Sender",
    "Severity",
    "Waiting",
    "address_key",
    "ping",
    "scheme_of",
]
