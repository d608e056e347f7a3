"""``access:`` what is not said by a role."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Access(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    #: user -> environments of which that user, and every token of that user, may change something; none: all
    environments: dict[str, list[Literal["DEV", "TEST", "STAGING", "PROD"]]] = {}

    def limits(self, user: str) -> frozenset[str]:
        """Empty: no limit. Names of users differ by more than upper and lower case."""
        wanted = user.casefold()
        return frozenset(one for name, some in self.environments.items() if name.casefold() == wanted for one in some)
