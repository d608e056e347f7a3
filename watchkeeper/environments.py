"""The four environments by any of the words that people have for them."""

from __future__ import annotations

import re
import unicodedata

#: What people call the four environments.
ENVIRONMENTS = {
    "dev": "DEV", "develop": "DEV", "development": "DEV", "开发": "DEV", "开发环境": "DEV",
    "test": "TEST", "testing": "TEST", "qa": "TEST", "sit": "TEST", "测试": "TEST", "测试环境": "TEST",
    "stage": "STAGING", "staging": "STAGING", "uat": "STAGING", "pre": "STAGING", "preprod": "STAGING",
    "预发": "STAGING", "预发布": "STAGING", "预发环境": "STAGING", "预生产": "STAGING", "预生产环境": "STAGING",
    "prod": "PROD", "prd": "PROD", "production": "PROD", "live": "PROD", "生产": "PROD", "生产环境": "PROD",
    "线上": "PROD", "线上环境": "PROD", "正式": "PROD", "正式环境": "PROD",
}  # fmt: skip


def environment_of(text: str) -> str:
    """DEV, TEST, STAGING or PROD for what people call them; any other word as it stands."""
    return ENVIRONMENTS.get(plain(text), text.strip())


def plain(text: str) -> str:
    """A word without spaces, marks of required columns, width of letters and case."""
    return re.sub(r"[\s*:_-]+", "", unicodedata.normalize("NFKC", text)).casefold()
