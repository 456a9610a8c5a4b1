#!/usr/bin/env python3
"""Holds the include table of the house against the tree.

A file may include files of lower floors and of its own folder, never of a higher floor or of a sibling folder on its own floor.
Vendor headers stay where they belong: CUDA under kernels/ and engine/cudnn (never in a header outside `.cuh`), cuDNN in engine/cudnn,
oneDNN in engine/onednn. Run without arguments to check this tree; `--self-test` plants one violation of each rule and expects it found.
"""
import pathlib
import re
import sys
import tempfile

FLOORS = {
    "kernels/base": 0,
    "kernels/image": 1,
    "kernels/nn": 1,
    "engine/net": 1,
    "engine/plan": 2,
    "engine/cudnn": 3,
    "engine/onednn": 3,
    "engine/io": 3,
    "engine/pipeline": 4,
    "engine/eval": 5,
    "engine/train": 6,
    "engine": 7,  # session.h, the public face
    "tools": 8,
}
SOURCES = {".h", ".cuh", ".cpp", ".cu"}
QUOTED = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
ANGLED = re.compile(r"^\s*#\s*include\s+<([^>]+)>")
CUDA = re.compile(r"^(cuda|cub|thrust|cooperative_groups|nvtx|mma\.h|device_launch)")
CUDNN = re.compile(r"^(cudnn|cublas)")
ONEDNN = re.compile(r"^(oneapi/|dnnl)")


def folder_of(path):
    """The longest name of FLOORS that holds `path`, or None."""
    parts = pathlib.PurePosixPath(path).parent.parts
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[:length])
        if name in FLOORS:
            return name
    return None


def check_quoted(source, folder, target):
    other = folder_of(target)
    if other is None:
        return f"includes {target}, which lies on no floor"
    if folder == "engine/net" and other != folder:
        return f"includes {target}, but engine/net may include only the standard library"
    if folder == "tools" and other.startswith("kernels/"):
        return f"includes {target}, but tools use the engine, never kernels"
    if other == folder or FLOORS[other] < FLOORS[folder]:
        return None
    where = "a sibling of its own floor" if FLOORS[other] == FLOORS[folder] else "a higher floor"
    return f"includes {target} from {where}"


def check_angled(source, folder, target):
    is_public_header = source.endswith(".h")
    if folder == "engine/net" and ("/" in target or target.endswith((".h", ".hpp"))):
        return f"includes <{target}>, but engine/net may include only the standard library"
    if CUDNN.match(target):
        allowed = folder == "engine/cudnn" and not is_public_header
    elif ONEDNN.match(target):
        allowed = folder == "engine/onednn" and not is_public_header
    elif CUDA.match(target):
        allowed = (folder.startswith("kernels/") or folder == "engine/cudnn") and not is_public_header
    else:
        allowed = True
    return None if allowed else f"includes <{target}> where this vendor's headers do not belong"


def violations(root):
    found = []
    checked = 0
    for top in ("kernels", "engine", "tools"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            checked += 1
            source = path.relative_to(root).as_posix()
            folder = folder_of(source)
            if folder is None:
                found.append(f"{source}: lies on no floor")
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if match := QUOTED.match(line):
                    problem = check_quoted(source, folder, match[1])
                elif match := ANGLED.match(line):
                    problem = check_angled(source, folder, match[1])
                else:
                    continue
                if problem:
                    found.append(f"{source}:{number}: {problem}")
    return checked, found


PLANTED = {
    "kernels/base/a.h": '#include "kernels/image/x.h"',
    "kernels/image/b.cpp": '#include "kernels/nn/x.h"',
    "engine/net/c.h": '#include "kernels/base/x.h"',
    "engine/net/d.cpp": "#include <nlohmann/json.hpp>",
    "engine/plan/e.h": '#include "engine/io/x.h"',
    "engine/io/f.cpp": "#include <oneapi/dnnl/dnnl.hpp>",
    "engine/onednn/g.h": "#include <dnnl.hpp>",
    "kernels/image/h.h": "#include <cuda_runtime.h>",
    "engine/pipeline/i.cpp": "#include <cudnn.h>",
    "tools/j.cpp": '#include "kernels/base/x.h"',
    "tools/k.cpp": '#include "elsewhere/x.h"',
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, line in PLANTED.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(line + "\n")
        clean = root / "engine/pipeline/clean.cpp"
        clean.write_text('#include "engine/plan/x.h"\n#include "kernels/image/x.h"\n#include <vector>\n')
        _, found = violations(root)
    seen = {line.split(":")[0] for line in found}
    missed = sorted(set(PLANTED) - seen)
    wrong = sorted(seen - set(PLANTED))
    print(f"{len(PLANTED)} planted, missed {missed}, wrongly reported {wrong}")
    return 1 if missed or wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    checked, found = violations(pathlib.Path(__file__).resolve().parents[2])
    print("\n".join(found) or f"{checked} files, all on their floors")
    return 1 if found or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
