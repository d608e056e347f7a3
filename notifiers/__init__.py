"""Channels that carry messages to people, and the delivery that paces, folds and repeats them."""

from typing import Any

from .console import Console
from .dingtalk import Dingtalk
from .email import Email
from .feishu import Feishu
from .webhook import Webhook
from .wecom import Wecom

#: Kind -> class. The kind is the word in ``watchkeeper.yaml``.
BUILTIN: dict[str, type[Any]] = {
    "console": Console,
    "dingtalk": Dingtalk,
    "email": Email,
    "feishu": Feishu,
    "webhook": Webhook,
    "wecom": Wecom,
}

__all__ = ["BUILTIN"]
