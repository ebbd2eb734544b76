"""Which alerts somebody wants to be told."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.records import Mode, Status, SummitAlert


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an alert must be; an empty tuple wants all.

    Attributes:
        participants: codes (``ALB``, ``EU``), one of which takes part, or did before the change.
        places: alpha-3 codes of countries or English names of places, before or after the change.
        statuses: of the summit after the change.
        modes: of the event that caused the alert.
    """

    participants: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    modes: tuple[Mode, ...] = ()

    def takes(self, alert: SummitAlert) -> bool:
        """Whether the alert is wanted."""
        states = [alert.summit, *([alert.before] if alert.before else [])]
        codes = {p.code for state in states for p in state.participants}
        places = {n for s in states if s.place for n in (s.place.code, s.place.name)}
        return (
            (not self.participants or not codes.isdisjoint(self.participants))
            and (not self.places or not places.isdisjoint(self.places))
            and (not self.statuses or alert.summit.status in self.statuses)
            and (not self.modes or alert.event.mode in self.modes)
        )
