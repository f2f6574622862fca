"""Checks of a Python test, as TAP: tap.check(condition, text), tap.end(). Threads may
check, too: what one says stays together."""

import sys
import threading
import traceback

_checks = 0
_failed = 0
_lock = threading.Lock()


def check(condition, text, *details):
    """Count one check; details are shown if it fails. Returns the condition."""
    global _checks, _failed
    with _lock:
        _checks += 1
        if condition:
            print(f"ok {_checks} - {text}", flush=True)
            return True
        _failed += 1
        print(f"not ok {_checks} - {text}", flush=True)
        for detail in details:
            for line in str(detail).splitlines():
                print(f"# {line}", flush=True)
    return False


def equal(got, expected, text, *details):
    """Check that got is what is expected, showing both if it is not."""
    return check(got == expected, text, f"got      {got!r}",
                 f"expected {expected!r}", *details)


def note(text):
    """A remark that counts as nothing."""
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def end():
    """Print the plan and leave with the verdict."""
    print(f"1..{_checks}", flush=True)
    sys.exit(1 if _failed or not _checks else 0)


def run(main):
    """Run main(); an exception is one failed check more."""
    try:
        main()
    except Exception:  # noqa: BLE001  whatever it was, it is shown
        check(False, "runs to its end", traceback.format_exc())
    end()
