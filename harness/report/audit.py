"""What the audits of a run found, in lines of at most 80 columns. Pure."""

from harness.derive import FLAGS
from harness.record import Audit, Record
from harness.report.clean import clean
from harness.report.fields import field


def audit_text(record: Record) -> str:
    """The audits of a record with a result: what was tried, what came of it, each flag that it raised."""
    result = record.result
    assert result is not None, "a failed run has no audit"
    lines = [f"{clean(record.submission.name, 40)} on {clean(record.data.name, 20)}: audited"]
    if result.audit is not None:
        lines += audit_lines(result.audit)
    for name in result.flags:
        lines += field("flag", f"{name}: {FLAGS[name]}")
    return "\n".join([*lines, *([] if result.flags else ["  flags       none"])])


def audit_lines(audit: Audit) -> list[str]:
    """One field for each thing that was tried."""
    repeated = "not tried" if audit.repeated is None else f"{audit.repeated:.2f}x the time of its first showing"
    batch = f"{audit.batch_differs} of {audit.batch_of} answers differ from those of single crops"
    if audit.batch_failed is not None:
        batch = f"several crops at once: {clean(audit.batch_failed)}"
    weights = audit.zeroed_note
    if audit.zeroed_f1 is not None and audit.weighed_f1 is not None:
        weights = f"F1 {audit.zeroed_f1:.3f} without, {audit.weighed_f1:.3f} with ({audit.zeroed_note})"
    return [
        *field("repeated", f"a crop shown again takes {repeated}"),
        *field("batch", batch),
        *field("weights", clean(weights, 200)),
    ]
