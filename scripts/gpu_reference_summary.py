#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of a run of gpu_reference.sh: gpu_reference_summary.py LOGS TRACES RESULTS; writes RESULTS/summary.json too."""
import glob
import json
import os
import statistics
import sys


def load(path):
    """The JSON object in a file, or None: a step may have failed half way."""
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        return json.loads(text[text.index("{"):])
    except (OSError, ValueError):
        return None


def runs(logs, program, kind):
    """Results of a program's runs in the order in which they were made."""
    found = [load(f"{logs}/{program}.{kind}{i}.out") for i in range(1, 10)]
    return [r for r in found if r]


def seconds(rs):
    return [s for r in rs if (s := r.get("s_per_unit", r.get("s_per_token")))]


def fingerprint(r):
    return r.get("sha256", r.get("ids_sha256"))


def fastest(rs):
    return [s for r in rs if (s := r.get("s_per_unit_min", r.get("s_per_token_min")))]


def whole(rs):
    """The whole run, without the start of Python."""
    return [s for r in rs if (s := r.get("total_s"))]


def overhead(rs, plain):
    """Per cent by which the median of one list is above that of the other."""
    return 100 * (statistics.median(rs) / statistics.median(plain) - 1) if rs and plain else None


def gap_kernels(info):
    return {k["name"]: k["gaps"] for k in info.get("kernels", []) if k.get("gaps")}


def sum_up(logs, traces, program):
    plain, traced, paged = (runs(logs, program, kind) for kind in ("plain", "traced", "pages"))
    row = {"program": program, "runs": {"plain": seconds(plain), "traced": seconds(traced), "pages": seconds(paged)},
           "identical": len({fingerprint(r) for r in plain + traced + paged}) == 1 if plain and traced else None,
           "right": all(r.get("right", True) for r in plain + traced + paged),
           "overhead_percent": overhead(seconds(traced), seconds(plain)),
           "overhead_fastest_percent": overhead(fastest(traced), fastest(plain)),
           "pages_overhead_percent": overhead(seconds(paged), seconds(plain)),
           "pages_whole_run_percent": overhead(whole(paged), whole(plain))}
    rss = [[r["max_rss_bytes"] for r in rs if r.get("max_rss_bytes")] for rs in (plain, traced)]
    if all(rss):
        row["rss_growth_bytes"] = statistics.median(rss[1]) - statistics.median(rss[0])
    path = f"{traces}/{program}.emuv"
    if os.path.exists(path):
        row["trace_bytes"] = os.path.getsize(path)
    info = load(f"{logs}/{program}.info.out")
    if info:
        row["info"] = {k: v for k, v in info.items() if k != "kernels"}
        row["gap_kernels"] = gap_kernels(info)
    row["truth"] = load(f"{logs}/{program}.truth.out")
    row["report"] = load(f"{logs}/{program}.report.out")
    row["merged_truth"] = load(f"{logs}/{program}.merged.truth.out")
    for name in ("check", "merge"):
        try:
            with open(f"{logs}/{program}.{name}.out", encoding="utf-8") as f:
                row[name] = f.read().strip()
        except OSError:
            row[name] = None
    return row


def text(value, form="{}"):
    return "-" if value is None else form.format(value)


def show_trace(row, info):
    launches = info["launches"]
    print(f"  {launches} launches, {row['trace_bytes']} bytes, {row['trace_bytes'] / max(launches, 1):.1f} per launch; "
          + ", ".join(f"{k} {info['launches_' + k]}" for k in ("exact", "bounded", "gap")))
    steps = info["steps"]
    print(f"  {steps['count']} {steps['unit']}s from {steps['how']}: {steps['median_launches']} launches, "
          f"{steps['median_bytes']} bytes touched, {steps['median_exact_bytes']} of them exact")


def show(row):
    identical = {True: "identical", False: "NOT IDENTICAL", None: "-"}[row["identical"]]
    growth = row.get("rss_growth_bytes")
    print(f"{row['program']}: output {identical}{'' if row['right'] else ', WRONG RESULTS'}"
          f"; overhead {text(row['overhead_percent'], '{:+.1f} %')}"
          f", fastest units {text(row['overhead_fastest_percent'], '{:+.1f} %')}"
          f", with pages {text(row['pages_overhead_percent'], '{:+.1f} %')}"
          f" (whole run {text(row['pages_whole_run_percent'], '{:+.1f} %')})"
          f", memory {'-' if growth is None else f'{growth / 2**20:+.0f} MiB'}")
    for kind, values in row["runs"].items():
        if values:
            print(f"  {kind:<7} ms per unit: " + " ".join(f"{1e3 * v:.3f}" for v in values))
    if row.get("info") and "trace_bytes" in row:
        show_trace(row, row["info"])
    for name, n in sorted(row.get("gap_kernels", {}).items(), key=lambda item: -item[1]):
        print(f"  gap {n:>6}  {name[:90]}")
    for key in ("check", "merge"):
        if row[key]:
            print("  " + "\n  ".join(row[key].splitlines()[-25:]))
    report = row["report"] or {}
    if report.get("pages"):
        share = 100 * report.get("uncovered", report.get("uncovered_pages", 0)) / report["pages"]
        print(f"  pages that launches touched and operands do not cover: {share:.4f} % of {report['pages']}")
    for key in ("truth", "merged_truth"):
        if row[key]:
            print(f"  {key}: " + json.dumps({k: v for k, v in row[key].items() if not isinstance(v, (list, dict))}))


def main():
    logs, traces, results = sys.argv[1:4]
    paths = sorted(glob.glob(f"{logs}/*.plain1.out"), key=os.path.getmtime)
    rows = [sum_up(logs, traces, os.path.basename(p).removesuffix(".plain1.out")) for p in paths]
    with open(f"{results}/summary.json", "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    for row in rows:
        show(row)


if __name__ == "__main__":
    main()
