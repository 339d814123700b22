#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares a trace of pages with what pages_truth.cu did: every launch in order must have exactly the pages that its
kernel read and wrote. usage: pages_truth.py TRACE TRUTH [emuv-trace]

A launch that patches cannot see must be of class gap. Pages are compared by address; a page that several allocations
share counts once. Prints one line per kind of launch and the number of launches that differ; exit status 1 if any.
"""
import json
import subprocess
import sys


def expected(path, page):
    launches = []
    for line in open(path):
        word, *rest = line.split()
        if word == "launch":
            launches.append({"name": rest[0], "read": set(), "write": set(), "unseen": False})
        elif word == "unseen":
            launches[-1]["unseen"] = True
        else:
            address, n = int(rest[0]), int(rest[1])
            launches[-1][word].update(range(address // page, (address + n - 1) // page + 1))
    return launches


def observed(trace, program):
    out = subprocess.run([program, "dump", "--json", trace], check=True, capture_output=True, text=True).stdout
    base, launches, page = {}, [], 65536
    for line in out.splitlines():
        r = json.loads(line)
        if r["type"] == "environment" and r["key"] == "page_bytes":
            page = int(r["value"])
        elif r["type"] == "allocation":
            base[r["id"]] = int(r["address"], 0) if isinstance(r["address"], str) else r["address"]
        elif r["type"] == "launch":
            one = {"name": r["kernel"], "read": set(), "write": set(), "class": r["class"]}
            for o in r["operands"]:
                begin = base[o["allocation"]] + o["offset"]
                pages = range(begin // page, (begin + o["bytes"] - 1) // page + 1)
                for how in ("read", "write"):
                    if how in o["access"]:
                        one[how].update(pages)
            launches.append(one)
    return launches, page


def main():
    trace, truth = sys.argv[1:3]
    got, page = observed(trace, sys.argv[3] if len(sys.argv) > 3 else "emuv-trace")
    want = expected(truth, page)
    wrong, seen = 0, {}
    print(f"launches: {len(want)} expected, {len(got)} in the trace; pages of {page} bytes")
    for i, w in enumerate(want):
        g = got[i] if i < len(got) else {"name": "nothing", "read": set(), "write": set(), "class": "missing"}
        if w["unseen"]:
            good = g["class"] == "gap"
        else:
            good = g["class"] in ("exact", "bounded") and g["read"] == w["read"] and g["write"] == w["write"]
        good = good and w["name"] in g["name"]
        key = (w["name"], good, g["class"])
        seen[key] = seen.get(key, 0) + 1
        wrong += not good
        if not good:
            print(f"launch {i} {w['name']} ({g['name']}, {g['class']}):", *(
                f"{how} {len(g[how])} of {len(w[how])}, missing {len(w[how] - g[how])}, more {len(g[how] - w[how])};"
                for how in ("read", "write")))
    for (name, good, cls), n in sorted(seen.items()):
        print(f"{'ok   ' if good else 'WRONG'} {name:14} {cls:8} {n}")
    print(f"pages_truth: {wrong} of {len(want)} launches differ")
    return 1 if wrong or len(got) != len(want) else 0


if __name__ == "__main__":
    sys.exit(main())
