"""``nas-syncd test --notify``: send a test message to every address, and say what came of it."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit
from nas_syncd.errors import ConfigurationError
from nas_syncd.messages import explain
from nas_syncd.models import Reason
from nas_syncd.notify import Letter, Sender, Severity, scheme_of
from nas_syncd.settings import senders_environment


def test_notifications(call: Call) -> int:
    """Send to all addresses at once; only their schemes are shown. The ping is not called: it
    would say that everything is safe.

    Raises:
        ConfigurationError: A setting is wrong, or there is no address.
    """
    settings = call.settings()
    urls = [url.get_secret_value() for url in settings.notify_urls]
    if not urls:
        raise ConfigurationError(explain(Reason("notify.none"), call.language))
    title = call.text("notify.test.title", host=platform.node())
    letter = Letter(0, "", title, call.text("notify.test"), Severity.SUCCESS)
    environment = senders_environment()
    with ThreadPoolExecutor(len(urls)) as pool:
        failures = list(pool.map(lambda url: Sender(environment).send(url, letter), urls))
    told = [
        {"to": scheme_of(url), "sent": failure is None, "detail": failure}
        for url, failure in zip(urls, failures, strict=True)
    ]
    _show(call, told)
    return Exit.DONE if all(one["sent"] for one in told) else Exit.FAILED


def _show(call: Call, told: list[dict[str, Any]]) -> None:
    if call.as_json:
        call.answer({"success": all(one["sent"] for one in told), "notifications": told})
        return
    for one in told:
        if one["sent"]:
            call.say(call.text("notify.tried", to=one["to"]))
        else:
            call.complain(call.text("notify.not_tried", to=one["to"], detail=one["detail"]))
