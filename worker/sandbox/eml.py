"""A real message, read out of the text of an .eml file with the standard library; nothing in it is trusted.

Its verdict is what ``X-Sandbox-Disposition`` says, if that is one of the ten. Else the first of these that holds:
a file whose name is risky to open (content.RISKY): MALICIOUS; ``dmarc=fail`` in Authentication-Results: SPOOF;
a link to an IP address or to a name in punycode: SUSPICIOUS; ``X-Spam-Flag: YES``: SPAM; a ``List-Unsubscribe``
or ``List-Id`` header: BULK; none of them: NONE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from worker.sandbox.content import Content, File, Header, Link, Person
from worker.sandbox.mail import TEN
from worker.sandbox.markup import Page, links_of, site_of

if TYPE_CHECKING:
    from datetime import datetime
    from email.policy import Policy

    from worker.sandbox.wire import Json

# Beyond these the parser of the standard library would need minutes or gigabytes for one hostile message.
MOST_PARTS, MOST_HEADER_LINES, LONGEST_DECODED, LONGEST_TEXT = 1000, 20_000, 8000, 256 * 1024
MOST_HEADERS, MOST_LINKS, MOST_RECIPIENTS = 500, 1000, 100
VERDICTS = {"pass": "pass", "neutral": "neutral", "fail": "fail", "softfail": "fail", "none": "none"}
CHECK = re.compile(r"\b(spf|dkim|dmarc)=([a-z]{1,16})")
SERVER = re.compile(r"\[(?:IPv6:)?([0-9a-fA-F.:]{2,45})\]")
ENCRYPTED = 1  # the lowest bit of the flags of the first entry of a ZIP archive, which are its seventh byte
