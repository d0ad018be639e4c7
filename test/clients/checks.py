"""Runs checks one after the other and says how each went; the last line is `N passed, N failed`."""

import traceback

results = []


def check(name: str, body, *args):
    """Runs a check; what it answers is handed on, None when it failed."""
    try:
        answer = body(*args)
    except Exception as error:  # whatever goes wrong is a failed check
        results.append(False)
        at = traceback.extract_tb(error.__traceback__)[-1]
        print(f"✗ {name}: {type(error).__name__}: {error} (line {at.lineno} of {at.name})", flush=True)
        return None
    results.append(True)
    print(f"✓ {name}", flush=True)
    return answer


def equal(actual, wanted):
    """The two must be the same."""
    if actual != wanted:
        raise AssertionError(f"{actual!r} is not {wanted!r}")


def summary() -> int:
    """Prints the closing line and answers the exit code."""
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
