#!/usr/bin/env python3
"""Checks what a reader of the tree would stumble over: formatting, overlong files, unfinished work, machine paths.

  style.py format    every C++ and CUDA file is as clang-format would write it
  style.py text      no file over 500 lines, no open ends in the text, no absolute path of somebody's machine
  style.py headers   every header compiles alone (needs the compiler named in $CXX, g++ by default): one that no source
                     includes first, for the others are compiled so whenever that source is
"""
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREES = ("kernels", "engine", "tools", "tests", "bench")
CODE = {".h", ".cuh", ".cpp", ".cu"}
TEXT = CODE | {".py", ".sh", ".md", ".txt", ".cmake"}
LONGEST = 500
# Spelt in pieces so that this file does not find itself.
OPEN_ENDS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
FIRST_INCLUDE = re.compile(r'(?:\s|//.*)*#include "(.*)"')
MACHINE_PATHS = re.compile("/" + r"(home|work|root|Users)/\w")


def files(suffixes):
    found = [p for tree in TREES for p in sorted((ROOT / tree).rglob("*")) if p.suffix in suffixes and p.is_file()]
    return found + [p for p in sorted(ROOT.glob("*")) if p.suffix in suffixes and p.is_file()]


def check_format():
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, files(CODE))], capture_output=True, text=True)
    return result.stderr.splitlines() if result.returncode else []


def check_text():
    problems = []
    for path in files(TEXT):
        name = path.relative_to(ROOT)
        lines = path.read_text(errors="replace").splitlines()
        if len(lines) > LONGEST and path.suffix in CODE | {".py"}:
            problems.append(f"{name}: {len(lines)} lines; is there a second idea in it?")
        for number, line in enumerate(lines, 1):
            if OPEN_ENDS.search(line):
                problems.append(f"{name}:{number}: unfinished: {line.strip()}")
            if MACHINE_PATHS.search(line):
                problems.append(f"{name}:{number}: names a path of one machine: {line.strip()}")
    return problems


def first_include(source):
    found = FIRST_INCLUDE.match(source.read_text())
    return found and found[1]


def check_headers():
    compiler = os.environ.get("CXX", "g++")
    compiled_with_a_source = {first_include(source) for source in files({".cpp"})}
    headers = [p for p in files({".h"}) if p.relative_to(ROOT).parts[0] in ("kernels", "engine", "tools")
               and str(p.relative_to(ROOT)) not in compiled_with_a_source]

    def compiles(header):
        # Included into an empty file, because `#pragma once` is reported in a file that is compiled itself.
        command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}", "-include", str(header),
                   "-x", "c++", "/dev/null"]
        result = subprocess.run(command, capture_output=True, text=True)
        return None if result.returncode == 0 else f"{header.relative_to(ROOT)} does not compile alone:\n{result.stderr}"

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return [problem for problem in pool.map(compiles, headers) if problem]


CHECKS = {"format": check_format, "text": check_text, "headers": check_headers}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    problems = CHECKS[sys.argv[1]]()
    print("\n".join(problems) or f"{sys.argv[1]}: nothing to report")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
