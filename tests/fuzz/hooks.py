"""What the fuzzer is told about this server: who is asking, and which ids name something.

Loaded by schemathesis (SCHEMATHESIS_HOOKS) when the row `fuzz` of `./x faults` runs it. DOORSTEP_FUZZ names a file with
`token` and `spare` (sessions, or null), `spared` (ids that are not to be touched), `things` (real values by the name of a parameter or of a JSON field) and
`fields` (declared fields' names). Generated values are replaced by real ones in many requests, not in all: an id that
names nothing is answered long before the interesting code. What was answered is counted and written to the file in
DOORSTEP_FUZZ_REPORT when the run ends.
"""

import atexit
import collections
import json
import os
import random

import schemathesis

with open(os.environ["DOORSTEP_FUZZ"], encoding="utf-8") as file:
    told = json.load(file)
things, fields = told["things"], told["fields"]

answers = collections.defaultdict(collections.Counter)
failures = {}
failed = set()


def real(name, value, rng, often):
    """A real value in place of a generated one, if there is any of that name."""
    return rng.choice(things[name]) if name in things and rng.random() < often else value


def real_body(value, rng):
    """The same in a JSON body; records' fields are mostly given names that are declared."""
    if isinstance(value, list):
        return [real_body(item, rng) for item in value]
    if not isinstance(value, dict):
        return value
    body = {}
    for name, inner in value.items():
        if name == "fields" and isinstance(inner, dict):
            named = {rng.choice(fields) if rng.random() < 0.8 else key: item for key, item in inner.items()}
            body[name] = {key: real(key, item, rng, 0.5) for key, item in named.items()}
        elif isinstance(inner, (dict, list)):
            body[name] = real_body(inner, rng)
        else:
            body[name] = real(name, inner, rng, 0.7)
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    # Chance comes from the case itself, so that a seed replays.
    rng = random.Random(repr((case.operation.label, case.path_parameters, case.query, case.body)))
    for part, often in (("path_parameters", 0.7), ("query", 0.5)):
        values = getattr(case, part)
        if values:
            setattr(case, part, {name: real(name, value, rng, often) for name, value in values.items()})
    # Ids are also taken from earlier answers; those of the ones who ask would end the run.
    for name, value in (case.path_parameters or {}).items():
        if value in told["spared"]:
            case.path_parameters[name] = "01900000-0000-7000-8000-000000000000"
    if isinstance(case.body, (dict, list)):
        case.body = real_body(case.body, rng)
    # Many writes ask for the version that was read; `*` is any.
    headers = dict(case.headers or {})
    if case.method not in ("GET", "HEAD") and rng.random() < 0.7:
        headers["If-Match"] = rng.choice(("*", "*", '"1"'))
    # Signing out would end the run: it is asked with a session of its own.
    ends = case.operation.path == "/api/auth/sign-out"
    token = told["spare"] if ends else told["token"]
    if token:
        headers["Authorization"] = f"Bearer {token}"
    case.headers = headers


def wrong(case, status, what, more):
    """Notes a wrong answer. One of a kind is kept: it is enough to look for the cause."""
    failed.add(case.id)
    asked = f"{case.path_parameters or ''} {case.query or ''} {case.body!r:.200}"
    failures.setdefault((case.operation.label, status, what), f"{case.operation.label}: {status} {what} | {asked} {more}")


@schemathesis.hook
def after_call(context, case, response):
    answers[case.operation.label][str(response.status_code)] += 1


@schemathesis.hook
def after_network_error(context, case, request):
    answers[case.operation.label]["none"] += 1
    wrong(case, "none", "no answer", "")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    wrong(case, response.status_code, failure.title, f"-> {failure.message[:200]} {response.content[:300].decode(errors='replace')}")
    return True


@atexit.register
def report():
    with open(os.environ["DOORSTEP_FUZZ_REPORT"], "w", encoding="utf-8") as out:
        json.dump({"answers": answers, "failed": len(failed), "failures": list(failures.values())}, out)
