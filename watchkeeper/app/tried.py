"""What to look at first when a source was read and it is not well: by the reason of a failure, or by what it said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.model import Labels, metric_name

#: Reason of a failed reading -> what to look at first.
REMEDIES = {
    "connect": "does it run and listen there, and does a firewall let this machine through? See its address or url",
    "resolve": "is the name spelled right, and does this machine's name server know it?",
    "timeout": "is it reachable from here, and is the source's timeout long enough for it?",
    "tls": (
        "does the certificate fit the name, and is its authority known (ca_file)? Does it ask for one of ours "
        "(certificate, key)? Does that port speak TLS at all?"
    ),
    "protocol": "is this the right port? What answers there speaks something else",
    "query": "the server does not take the question, or has nothing of that name: see the options of the source",
    "parse": "is this the right page or path? What came is not what this kind reads",
    "token": "are user, password or token right, and may they read this? Grants of databases: docs/databases.md",
    "status": (
        "is the path right, and may this user or token read it? After 429 raise the interval; "
        "of 500 and above the server's own log tells more"
    ),
    "redirect": "name the address that it points to: redirects are not followed",
    "too_large": "is this the right page? If so, raise the source's max_bytes",
    "refused_address": "name another address: this one is never reached, or the scheme is not http or https",
}
#: Reason of a probe's failure -> the same, where the target answered otherwise than it should.
PROBES = {
    "body": "it answered, and the text that is expected is not in the answer: see the patterns and texts of the source",
    "json": "it answered, and a value in its JSON is not there or not the expected one: see expect_json and carry",
    "path": "it answered, and a value to carry on is not in its JSON: see carry",
    "status": "another status than expected: is the path right, is it broken? Redirects are not followed",
    "slow": "it answered rightly, later than it may: see max_seconds",
    "query": "the server does not take the statement or question: try it with the server's own program",
    "answers": "the answer has fewer or more rows or records than expected",
    "rcode": "the name server answered with an error: does the name exist?",
    "console": "the page wrote more errors to the browser's console than it may",
    "untrusted": "nobody trusted here signed it: name ca_file, or let the server send the certificates in between",
    "host_name": "the certificate is for another name: see server_name",
    "expired": "the certificate has ended: renew it",
    "not_yet_valid": "the certificate is not valid yet: compare the clocks",
    "expires": "the certificate ends sooner than min_days",
}


def advice(rows: Sequence[tuple[Labels, float]]) -> Iterator[str]:
    """Sentences about what was read that is not well."""
    for series, value in rows:
        name, found = metric_name(series), dict(series)
        if name == "probe_failure_info":
            yield _of_probe(found)
        elif name == "watchkeeper_log_files" and not value:
            yield "no file was found: do the patterns in paths match, and may this user look into the folders?"
        elif name == "watchkeeper_log_files_ignored" and value:
            yield f"{value:g} files are ignored: raise max_files, or name fewer in paths"


def condition(source: Source) -> tuple[str, list[str]]:
    """How a source fares, and what is not well: its state; ``target_failing`` when it was read and its target fails,
    ``incomplete`` when parts were not answered."""
    if source.state != "up":
        return source.state, [source.error] if source.error else []
    if source.reached is False:
        return "target_failing", [*advice([(source.failure, 1.0)])] if source.failure else []
    problems = getattr(source.collector, "problems", None) or {}
    return "incomplete" if problems else "up", [*unanswered(problems)]


def unanswered(problems: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each question that was not answered."""
    for question, said in problems.items():
        yield f"not answered: {question}: {said}"


def _of_probe(found: Mapping[str, str]) -> str:
    reason = found.get("reason", "")
    place = next((f" at {name} {found[name]}" for name in ("step", "turn") if name in found), "")
    remedy = PROBES.get(reason) or REMEDIES.get(reason)
    return f"the probe failed{place} ({reason})" + (f"; {remedy}" if remedy else "")
