"""make demo: `python -m mlops_site.demo [--exit]`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mlops_site.core import face
from mlops_site.demo import drift_to_retrain, people, receiver, shadow_to_promotion, stack, steps, train_to_serve
from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.report import Report


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="stop after the stories, with status 0 or 1")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report, started = Report(), time.monotonic()
    try:
        made = _prepare(report)
        log = Path(os.environ["STEWARD_HOME"]) / "log" / "demo-site.log"
        with receiver.receiving() as hook, stack.running(log, MONITORING_WEBHOOK_URL=hook.address) as site:
            who = {name: Client(stack.address(), person.token) for name, person in made.items()}
            served = train_to_serve.tell(report, who)
            retrained = drift_to_retrain.tell(report, who, served, hook)
            shadow_to_promotion.tell(report, who, served, retrained)
            report.table()
            report.console.print(f"All of it in one column: {stack.address()}{drift_to_retrain.TIMELINE}")
            report.console.print(f"All steps held, in {time.monotonic() - started:.0f} s.")
            if not options.exit:
                _stay(report, made, site)
    except Exception as failure:  # whatever it is, the person sees how far the story came and where it broke
        report.table()
        report.failed(failure)
        return 1
    return 0


def _prepare(report: Report) -> dict[str, people.Person]:
    """A home with a database and everybody in it. The demo's model must not be there yet."""
    face.ready()
    from django.conf import settings
    from django.core.management import call_command

    os.environ["STEWARD_HOME"] = str(settings.STEWARD_HOME)
    (settings.STEWARD_HOME / "log").mkdir(exist_ok=True)
    with report.step("The site is prepared") as outcome:
        call_command("migrate", verbosity=0)
        from registry.models import RegisteredModel

        if RegisteredModel.objects.filter(name=steps.MODEL).exists():
            raise StepFailed(
                f"{settings.STEWARD_HOME} already holds the demo's model; take another home with STEWARD_HOME=…, "
                "or `make up` to see what is there"
            )
        made = people.make()
        outcome.append(f"{len(made)} accounts, one a role, in team {people.TEAM}; home {settings.STEWARD_HOME}")
    return made


def _stay(report: Report, made: dict[str, people.Person], site: subprocess.Popen[bytes]) -> None:
    """Leave the site up until the person presses Ctrl-C."""
    report.logins(made, stack.address())
    report.console.print("Ctrl-C stops the site; `make up` starts it again with what is there.")
    try:
        site.wait()
    except KeyboardInterrupt:
        report.console.print("Stopping.")


if __name__ == "__main__":
    sys.exit(main())
