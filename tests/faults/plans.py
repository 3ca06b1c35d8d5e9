"""The faults: what each is as a plan for the preferred vendor's stand-in."""

import math

import msgspec

from engine.testing import Action, FaultPlan, Mishap

STRIKES = 5.0
"""Second of the session at which a connection suffers."""

FOLLOWS = 2.0
"""Second of the session from which new connections follow another plan."""

DOWN = 8.0
"""Seconds for which they do; from then on all is well."""

NAMES = {
    "503": {"soniox-stt-rt": "503", "speechmatics-rt": "job_error", "dg-nova-3": "ServiceUnavailable"},
    "idle": {"soniox-stt-rt": "408", "speechmatics-rt": "idle_timeout", "dg-nova-3": "NET-0001"},
    "quota": {"soniox-stt-rt": "429", "speechmatics-rt": "quota_exceeded", "dg-nova-3": "NET-0000"},
    "funds": {"soniox-stt-rt": "402", "speechmatics-rt": "insufficient_funds", "dg-nova-3": "DATA-0000"},
}
"""What vendors call an error inside a connection."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """`plan` from the start, `then` for connections made after `FOLLOWS`. `error`: see `NAMES`."""

    name: str
    plan: FaultPlan
    then: FaultPlan = FaultPlan()
    error: str = ""
    noticed: bool = True
    """Whether the client should notice an interruption."""

    def plan_for(self, vendor: str) -> FaultPlan:
        """The plan with the error in the vendor's words."""
        mishap = self.plan.mishap
        if mishap is None or not self.error:
            return self.plan
        named = msgspec.structs.replace(mishap, error=NAMES[self.error].get(vendor, ""))
        return msgspec.structs.replace(self.plan, mishap=named)


def _strikes(action: Action, **how: object) -> FaultPlan:
    where = {} if "word" in how else {"second": STRIKES}
    return FaultPlan(mishap=Mishap(action=action, **where, **how))  # type: ignore[arg-type]


MID_WORD = int(STRIKES * 2)
CUT = _strikes(Action.DROP)

FAULTS = (
    *(
        Fault(name=f"refused with {status}", plan=CUT, then=FaultPlan(refuse_for=60.0, refuse_status=status))
        for status in (401, 402, 403, 429, 500, 503)
    ),
    Fault(name="refused at first", plan=FaultPlan(refuse_first=2, refuse_status=503)),
    Fault(name="TCP refused", plan=CUT, then=FaultPlan(unreachable_for=60.0)),
    Fault(name="handshake stalls", plan=CUT, then=FaultPlan(handshake_delay=math.inf)),
    Fault(name="handshake slow", plan=CUT, then=FaultPlan(handshake_delay=3.0)),
    Fault(name="never ready", plan=CUT, then=FaultPlan(ready_delay=20.0)),
    Fault(name="cut mid-word", plan=_strikes(Action.DROP, word=MID_WORD)),
    Fault(name="closed 1011 mid-word", plan=_strikes(Action.CLOSE, word=MID_WORD, code=1011)),
    Fault(name="closed 1008", plan=_strikes(Action.CLOSE, code=1008, reason="policy")),
    Fault(name="closed 1000", plan=_strikes(Action.CLOSE, code=1000)),
    Fault(name="stops reading", plan=_strikes(Action.STOP_READING)),
    Fault(name="silence", plan=_strikes(Action.SILENCE)),
    Fault(name="duplicate finals", plan=FaultPlan(duplicate_finals=True), noticed=False),
    Fault(name="late finals", plan=FaultPlan(late_finals=1.5), noticed=False),
    Fault(name="too late finals", plan=FaultPlan(late_finals=12.0)),
    Fault(
        name="late and duplicate finals",
        plan=FaultPlan(late_finals=1.5, duplicate_finals=True),
        noticed=False,
    ),
    Fault(name="503 mid-stream", plan=_strikes(Action.ERROR, word=MID_WORD), error="503"),
    Fault(name="idle timeout", plan=_strikes(Action.ERROR), error="idle"),
    Fault(name="quota", plan=_strikes(Action.ERROR), error="quota"),
    Fault(name="out of funds", plan=_strikes(Action.ERROR), error="funds"),
    Fault(
        name="errors again and again",
        plan=FaultPlan(mishap=Mishap(action=Action.ERROR, second=STRIKES), mishaps=3),
        error="503",
    ),
)
