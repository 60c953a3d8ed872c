#!/usr/bin/env python3
"""Sum JUnit reports of meson into one line: N passed, N failed, N skipped."""
import sys
import xml.etree.ElementTree as ElementTree


def reason(case, suite):
    """Why a case was skipped: its own words, else those of its program."""
    said = [case.find("skipped").get("message"), case.find("skipped").text]
    said += [(node.text or "").rpartition("# SKIP")[2] for node in case.findall("system-out")]
    for node in (*suite.findall("system-out"), *suite.findall("system-err")):
        said += [line.partition("# SKIP")[2] for line in (node.text or "").splitlines()]
    return next((words.strip() for words in said if words and words.strip()), "no reason given")


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            for case in suite.findall("testcase"):
                name = f"{suite.get('name')} {case.get('name')}"
                if case.find("failure") is not None or case.find("error") is not None:
                    failed += 1
                    print(f"failed: {name}")
                elif case.find("skipped") is not None:
                    skipped += 1
                    print(f"skipped: {name}: {reason(case, suite)}")
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
