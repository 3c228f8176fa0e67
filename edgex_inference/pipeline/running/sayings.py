"""What the log says when a binding goes on under another plan: one line for each change."""

import logging

from edgex_inference.pipeline.planning.plan import Plan

log = logging.getLogger(__name__)


def say(before: Plan | None, plan: Plan, *, changed: bool) -> None:
    """`changed`: something else is wanted than before. That a device is lost or back is said by its lane."""
    binding = plan.binding
    if before is not None and (before.standing, before.tags) == (plan.standing, plan.tags):
        if changed:
            log.info("binding %s of profile %s: the change is taken up", binding.name, binding.profile)
        return
    warn = bool(plan.passed_over) and binding.fallback != "allow" and not plan.reserve
    log.log(
        logging.WARNING if warn else logging.INFO,
        "binding %s of profile %s: model %s %s: %s",
        binding.name, binding.profile, plan.card.name, plan.card.version, plan.standing,
    )  # fmt: skip
