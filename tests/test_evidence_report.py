"""What the smoke-train showed, in the report's words."""

from __future__ import annotations

from advisor.evidence_report import smoke_checks
from advisor.verify.evidence import SmokeCheck, SmokeEvidence


def test_a_latency_that_was_not_measured_says_why() -> None:
    evidence = SmokeEvidence(
        device="CPU", checks=[SmokeCheck(name="finite", status="passed", detail="")], latency_unmeasured="8 passes would take 90 s"
    )
    told = {check.name: check for check in smoke_checks(evidence, "smoke")}
    assert (told["smoke_train"].status, told["smoke.latency"].status) == ("passed", "skipped")
    assert told["smoke.latency"].detail == "8 passes would take 90 s"
