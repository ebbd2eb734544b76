"""A member of a consumer group that keeps its name through a rebalance.

When the broker answers "illegal generation" the group has moved on without us, but still knows us.
aiokafka (0.14) then forgets its member id and joins as somebody new, and leaves its old self
behind: a ghost that the others wait for until its session times out. With a broker that never
misses a ghost (noida-db 0.2.3) no partition was assigned again in three of four runs of a second
worker joining under load; with this class, in none of four. Kafka's own Java client keeps the id
unless the broker says that it is unknown, and so does this one.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import UnknownMemberIdError


class FaithfulCoordinator(GroupCoordinator):  # type: ignore[misc, unused-ignore]
    """aiokafka's coordinator, with a member id that only the broker can take away."""

    member_id: str
    _unknown = False

    async def _send_req(self, request: Any) -> Any:
        response = await super()._send_req(request)
        self._unknown = UnknownMemberIdError.errno in _error_codes(response)
        return response

    def reset_generation(self) -> None:
        """Forget the generation; the member id only if the broker does not know it, or we left."""
        member_id = self.member_id
        super().reset_generation()
        if not self._unknown and not self._closing.done():
            self.member_id = member_id


def _error_codes(response: Any) -> set[int]:
    """Of a response about the whole group, or of one about each partition of each topic."""
    if hasattr(response, "error_code"):
        return {response.error_code}
    return {code for _, partitions in getattr(response, "topics", ()) for _, *_, code in partitions}


def install() -> None:
    """Let aiokafka's consumers of this process be such members; it offers no other way in."""
    consumer.GroupCoordinator = FaithfulCoordinator  # type: ignore[attr-defined, unused-ignore]
