#!/usr/bin/env python3
"""Fail when a header does not compile alone, or a public one not as C++."""
import pathlib
import shutil
import subprocess
import sys

C = ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-Isrc", "-Itests"]


def fault(header, compiler, language):
    """What the compiler says of 'header' by itself, or an empty string."""
    source = f'#include "{header}"\n#include "{header}"\n'
    run = subprocess.run([*compiler, "-fsyntax-only", "-x", language, "-"], input=source, text=True,
                         capture_output=True, check=False)
    return run.stderr if run.returncode else ""


def main():
    found = [fault(header.relative_to(root), C, "c") for root in (pathlib.Path("src"), pathlib.Path("include"))
             for header in sorted(root.rglob("*.h")) if not header.name.endswith(".bpf.h")]  # those of BPF programs
    if shutil.which("c++"):
        found += [fault(header.name, ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Iinclude"], "c++")
                  for header in pathlib.Path("include").glob("*.h")]
    found = [text for text in found if text]
    print("\n".join(found) or "headers: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
