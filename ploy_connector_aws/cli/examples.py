"""The examples at the end of each command's help."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "setup": ("setup --config ploy.toml", "setup --print policy"),
    "check": ("check --config ploy.toml",),
    "sync": ("sync --config ploy.toml", "sync --preview"),
    "run": ("run --config ploy.toml --health-port 0",),
    "list": (
        *("list accounts", "list accounts --kind people --status disabled --privileged --format csv"),
        "list findings --severity critical --severity high",
    ),
    "who": ("who 716350982241", 'who "Production On-Call" --format csv'),
    "access": ("access jonas.vik", 'access "Production On-Call"', "access jonas.vik@halden-freight.example --fresh"),
    "grant": ('grant aisha.bello Engineering --reason "Helps out for a week" --preview',),
    "revoke": ('revoke jonas.vik "Production On-Call" --preview',),
    "history": ("history --limit 5",),
    "manifest": ("manifest --connector aws",),
    "connectors": ("connectors --json",),
    "validate": ("validate staff --config ploy.toml", "validate ./staff.py:Staff --config ploy.toml --trace"),
    "new": ("new google-workspace",),
    "sandbox": ("sandbox --dir ./try-it",),
    "demo": ("demo",),
}
"""By command, what its help shows after ``ploy-connector``; a test parses each."""
