#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Awkward programs under emuv-trace on a real GPU: what is captured, and what the trace says that it does not hold.

    robustness.py STAGE PROGRAM RESULTS [CASE...]

STAGE: made by scripts/stage.sh; PROGRAM: robustness_program (.cu). One row per case: ok or FAIL, and the evidence. A case
that fails costs only itself; RESULTS/robustness.json holds everything. Exit status 1 when one failed.
"""
import concurrent.futures
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TORCH = [sys.executable, os.path.join(HERE, "robustness_torch.py")]


class Failure(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Failure(text)


class Trace:
    """The records of one trace."""

    def __init__(self, emuv, path, only=()):
        self.path = os.path.basename(path)
        self.check = subprocess.run([emuv, "check", path], capture_output=True, text=True, check=False)
        first = self.check.stdout.splitlines()[0] if self.check.stdout else ""
        self.status = first.split(": ")[1].split(",")[0] if ": " in first else "unreadable"
        self.records = {}
        dump = subprocess.run([emuv, "dump", "--json", path, *only], capture_output=True, text=True, check=False)
        for line in dump.stdout.splitlines():
            record = json.loads(line)
            self.records.setdefault(record["type"], []).append(record)
        self.addresses = {a["id"]: a["address"] for a in self["allocation"]}
        self.kinds = sorted({a["kind"] for a in self["allocation"]})
        self.timed = {t["correlation"] for t in self["gpu_time"]}

    def __getitem__(self, kind):
        return self.records.get(kind, [])

    def launches(self, kernel=""):
        return [l for l in self["launch"] if kernel in l["kernel"]]

    def operands(self):
        """Address -> best class of the operands that begin there."""
        found = {}
        for l in self["launch"]:
            for o in l["operands"]:
                address = self.addresses.get(o["allocation"], 0) + o["offset"]
                if found.get(address) != "exact":
                    found[address] = o["class"]
        return found

    def live_bytes(self, on_device=("device", "async", "vmm", "pitched")):
        """At the end."""
        freed = {f["id"] for f in self["free"]}
        return sum(a["bytes"] for a in self["allocation"] if a["id"] not in freed and a["kind"] in on_device)

    def covers(self, address, size):
        """All of it is live at the end, in one allocation or several that touch (mappings)."""
        freed = {f["id"] for f in self["free"]}
        end = address + size
        for a in sorted((a for a in self["allocation"] if a["id"] not in freed), key=lambda a: a["address"]):
            if a["address"] <= address < a["address"] + a["bytes"]:
                address = a["address"] + a["bytes"]
        return address >= end

    def untimed(self):
        return sum(1 for l in self["launch"] if l["correlation"] not in self.timed)

    def gaps(self):
        return sorted({f'{g["why"]}: {g["text"]}' for g in self["gap"]})


class Bench:
    """Runs programs, in a folder of its own for each case."""

    def __init__(self, stage, program, results):
        self.emuv = os.path.join(stage, "bin", "emuv-trace")
        self.program = os.path.abspath(program)
        self.results = results
        self.work = tempfile.mkdtemp(prefix="emuv-robustness-")

    def path(self, name):
        return os.path.join(self.work, name)

    def traces(self):
        return sorted(n for n in os.listdir(self.work) if n.endswith(".emuv"))

    def run(self, command, *options, env=None, output="t.emuv"):
        """Traced: the process, its answer and its traces by name."""
        for name in self.traces():
            os.remove(self.path(name))
        p = self.start([self.emuv, "-o", output, *options, "--", *command], env)
        return p, self.answer(p), {n: Trace(self.emuv, self.path(n)) for n in self.traces()}

    def plain(self, command, env=None):
        return self.answer(self.start(command, env))

    def start(self, command, env, timeout=90):
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.work,
                             env={**os.environ, **(env or {})}, start_new_session=True)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            raise Failure(f"hangs: nothing after {timeout} s")
        return subprocess.CompletedProcess(command, p.returncode, out, err)

    @staticmethod
    def answer(p):
        for line in p.stdout.splitlines():
            if line.startswith("{"):
                return json.loads(line)
        return {}


def whole(trace):
    need(trace.status == "complete", f"{trace.path}: {trace.status}: {trace.check.stdout}{trace.check.stderr}")


def one(traces, n=1):
    need(len(traces) == n, f"{n} traces expected: {sorted(traces)}")
    return traces["t.emuv"]


def listed(process, traces):
    for name in traces:
        need(f"emuv-trace: {name}, " in process.stderr, f"{name} is not listed: {process.stderr[-300:]}")


# ---- cases: each returns its evidence ----


def simple(b):
    p, a, traces = b.run([b.program, "launches", "1000"])
    t = one(traces)
    whole(t)
    need(p.returncode == 0 and len(t.launches("touch")) == 1000, f"{p.returncode}, {len(t.launches('touch'))} launches")
    need({a["a"], a["b"]} <= set(t.operands()), "operands at other addresses")
    need(t.untimed() == 0, f"{t.untimed()} launches without times")
    return f"1000 launches, all timed; operands {a['a']:#x} and {a['b']:#x}"


def fork(b):
    plain = b.plain([b.program, "fork"])
    p, a, traces = b.run([b.program, "fork"])
    t = one(traces)
    whole(t)
    need(a == plain and len(t.launches("touch")) == 15, f"untraced {plain}, traced {a}, {len(t.launches('touch'))} launches")
    return f"15 launches of the parent, complete; the child is inert and ends as untraced ({a['child']}, _exit {a['child_exit']})"


def exec_(b):
    p, _, traces = b.run([b.program, "exec"])
    need(len(traces) == 2, f"{sorted(traces)}")
    old, new = traces["t.emuv"], next(t for n, t in traces.items() if n != "t.emuv")
    whole(new)
    listed(p, traces)
    need(old.status == "truncated" and len(old.launches("touch")) == 5 and len(new.launches("touch")) == 7,
         f"{old.status} {len(old.launches('touch'))}, {len(new.launches('touch'))}")
    return f"5 launches before (no verdict), 7 after in {new.path}"


def spawn(b):
    p, _, traces = b.run([b.program, "spawn"])
    parent, other = one(traces, 2), next(t for n, t in traces.items() if n != "t.emuv")
    whole(parent)
    whole(other)
    listed(p, traces)
    need((len(parent.launches("touch")), len(other.launches("touch"))) == (5, 7), "launches")
    return f"5 launches in t.emuv, 7 in {other.path}"


def per_thread_streams(b):
    _, a, traces = b.run([b.program, "threads", "8", "200"])
    t = one(traces)
    whole(t)
    launches = t.launches("touch")
    need(len(launches) == 1600 and t.untimed() == 0, f"{len(launches)} launches, {t.untimed()} untimed")
    by_thread = {}
    for l in launches:
        streams, memory = by_thread.setdefault(l["tid"], (set(), set()))
        streams.add(l["stream"])
        memory.update(t.addresses[o["allocation"]] for o in l["operands"])
    need(len(by_thread) == 8 and all(len(s) == 1 and len(m) == 1 for s, m in by_thread.values()),
         f"streams and memory by thread: {by_thread}")
    need(len({next(iter(s)) for s, _ in by_thread.values()}) == 8, "threads share streams")
    need({next(iter(m)) for _, m in by_thread.values()} == set(a["memory"]), "memory")
    return "1600 launches on 8 streams of 8 threads, each with its thread's memory"


def torch_threads(b):
    _, a, traces = b.run([*TORCH, "threads", "6"])
    t = one(traces)
    whole(t)
    need(set(a["pointers"]) <= set(t.operands()), "operands")
    return f"{len({l['stream'] for l in t['launch']})} streams, every thread's tensor among the operands"


def allocator(config):
    def case(b):
        env = {"PYTORCH_CUDA_ALLOC_CONF": config} if config else {}
        plain = b.plain([*TORCH, "train"], env)
        p, a, traces = b.run([*TORCH, "train"], env=env)
        t = one(traces)
        whole(t)
        need(p.returncode == 0 and a["losses"] == plain["losses"], "the output differs from the untraced one")
        found, parameters = t.operands(), a["parameters"]
        missing = [q for q in parameters if q[0] not in found]
        need(not missing, f"{len(missing)} of {len(parameters)} parameters are no operand")
        outside = [s for s in a["segments"] if not t.covers(*s)]
        need(not outside, f"{len(outside)} of {len(a['segments'])} segments of PyTorch are not live")
        live, expected = t.live_bytes(), a["reserved"]
        need(live <= a["used"], f"live {live}, in use on the device {a['used']}")
        classes = {c: sum(l["class"] == c for l in t["launch"]) for c in ("exact", "bounded", "gap")}
        need(t.untimed() == 0, f"{t.untimed()} untimed")
        exact = sum(found[q[0]] == "exact" for q in parameters)
        return (f"{len(t['launch'])} launches {classes}; {len(parameters)} parameters found, {exact} exact; "
                f"live {live / 2**20:.0f} MiB, PyTorch's segments {expected / 2**20:.0f}, all there; kinds {','.join(t.kinds)}; "
                f"gaps {t.gaps() or 'none'}")
    return case


def multiprocessing(method):
    def case(b):
        p, a, traces = b.run([*TORCH, "processes", method])
        need(p.returncode == 0 and a["codes"] == [0, 0], f"{p.returncode} {a} {p.stderr[-300:]}")
        need(len(traces) == (3 if method == "spawn" else 2), f"{sorted(traces)}")
        listed(p, traces)
        counts = {n: len(t["launch"]) for n, t in traces.items()}
        need(sum(c >= 32 for c in counts.values()) == 2 and sum(c >= 64 for c in counts.values()) == 1, f"{counts}")
        states = {n: t.status for n, t in traces.items()}
        if method == "spawn":
            need(set(states.values()) == {"complete"}, f"{states}")
        return f"launches {counts}, {states}"
    return case


def torch_subprocess(b):
    p, a, traces = b.run([*TORCH, "subprocess"])
    parent = one(traces, 2)
    whole(parent)
    listed(p, traces)
    return f"{ {n: (len(t['launch']), t.status) for n, t in traces.items()} }"


def torch_exec(b):
    p, _, traces = b.run([*TORCH, "exec"])
    need(p.returncode == 0 and len(traces) == 2, f"{p.returncode} {sorted(traces)}")
    listed(p, traces)
    need(traces["t.emuv"].status == "truncated" and len(traces["t.emuv"]["launch"]) >= 16, "before exec")
    return f"{ {n: (len(t['launch']), t.status) for n, t in traces.items()} }"


def other_tool(b):
    p, a, traces = b.run([b.program, "other", "50"])
    held = "held: 0" in p.stderr
    lines = [l for l in p.stderr.splitlines() if l.startswith("emuv-trace:") and "t.emuv" not in l]
    need(p.returncode == 0 and "checksum" in a, f"the program failed: {p.returncode} {p.stderr[-300:]}")
    need(held and len(lines) == 1, f"held {held}: {p.stderr}")
    t = one(traces)
    need(t.status == "stopped" and any("subscriber" in g for g in t.gaps()), f"{t.status} {t.gaps()}")
    return f"runs on; one line: {lines[0]}; trace: {t.status}, gap {t.gaps()[0]}"


def torch_profiler(b):
    plain = b.plain([*TORCH, "torch-profiler"])
    p, a, traces = b.run([*TORCH, "torch-profiler"])
    need(p.returncode == 0 and a["losses"] == plain["losses"], f"{p.returncode} {p.stderr[-500:]}")
    t = one(traces)
    said = [l for l in p.stderr.splitlines() if "CUPTI" in l.upper() or "profiler" in l.lower()]
    return (f"runs on, same result; its GPU events {plain['gpu_events']} untraced, {a['gpu_events']} traced; ours: "
            f"{t.status}, {len(t['launch'])} launches, {t.untimed()} untimed; it says: {said[:2] or 'nothing'}")


def full_disk(b):
    folder = b.path("full")
    os.makedirs(folder, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=False).returncode == 0
    need(mounted, "no tmpfs here")
    try:
        p, a, _ = b.run([b.program, "launches", "100000"], output="full/t.emuv")
        t = Trace(b.emuv, b.path("full/t.emuv"))
    finally:
        subprocess.run(["umount", folder], check=False)
    need(p.returncode == 0 and "checksum" in a, f"{p.returncode}")
    need(t.status == "no-space", t.check.stdout)
    return f"runs on; {t.check.stdout.splitlines()[1].split(': ', 1)[1]}; {len(t['launch'])} of 100000 launches kept"


def max_size(b):
    p, a, traces = b.run([b.program, "launches", "100000"], "--max-size", "256KiB")
    t = one(traces)
    size = os.path.getsize(b.path("t.emuv"))
    need(p.returncode == 0 and t.status == "size-limit" and size <= 256 << 10, f"{p.returncode} {t.status} {size}")
    return f"runs on; {size} bytes; {t.check.stdout.splitlines()[1].split(': ', 1)[1]}"


def timed_window(b):
    begin = time.monotonic_ns()
    p, a, traces = b.run([*TORCH, "seconds", "12"], "--start-after", "9s", "--duration", "2s")
    t = one(traces)
    need(p.returncode == 0, p.stderr[-300:])
    need(t.status == "stopped" and "the duration ended" in t.check.stdout, t.check.stdout)
    first, last = (min(l["enter_ns"] for l in t["launch"]) - begin) / 1e9, (max(l["enter_ns"] for l in t["launch"]) - begin) / 1e9
    inside = sum(begin + 9.02e9 <= s <= begin + 10.98e9 for s in a["begins"])
    need(9.0 <= first <= 9.2 and 10.8 <= last <= 11.05, f"launches from {first:.2f} s to {last:.2f} s")
    need(a["end"] > begin + 11.2e9, "the program did not outlast the window: nothing shown")
    need(len(t["allocation"]) > 0 and t.untimed() == 0, f"{t.untimed()} untimed")
    unknown = sum(o["allocation"] not in t.addresses for l in t["launch"] for o in l["operands"])
    need(unknown == 0, "operands in unknown memory")
    return (f"launches from {first:.3f} s to {last:.3f} s, {len(t['launch'])} of them ({inside} of {len(a['begins'])} steps), "
            f"all timed; {len(t['allocation'])} allocations known; the program ran on for {(a['end'] - begin) / 1e9 - 11:.1f} s")


def range_window(mode, option):
    def case(b):
        _, everything, traces = b.run([*TORCH, mode])
        total = len(one(traces)["launch"])
        p, a, traces = b.run([*TORCH, mode], "--capture-range", option)
        t = one(traces)
        whole(t)
        need(p.returncode == 0 and a["losses"] == everything["losses"], "another output")
        inside, steps = len(t["launch"]), a["begins"] + [a["end"]]
        outside = sum(1 for l in t["launch"] if not any(steps[i] <= l["enter_ns"] <= steps[i + 1] for i in (1, 3, 5, 7, 9)))
        need(outside == 0 and inside > 0 and inside % 5 == 0, f"{inside} launches, {outside} outside of the ranges")
        need(t.untimed() == 0, f"{t.untimed()} untimed")
        missing = [q for q in a["parameters"] if q[0] not in t.operands()]
        need(not missing, "parameters allocated before the first range are no operands")
        opened = sum(r["kind"] in ("push", "profiler-start") for r in t["range"])
        return f"{inside} of {total} launches, 5 x {inside // 5}, all timed and in their ranges; {opened} ranges recorded"
    return case


def ranges_while_busy(b):
    p, a, traces = b.run([b.program, "ranges", "5", "200"], "--capture-range", "cudaProfilerApi")
    t = one(traces)
    whole(t)
    n = len(t.launches("touch"))
    need(n == 1000, f"{n} launches instead of 5 x 200")
    stray = len(t["gpu_time"]) - len({(c["correlation"]) for c in t["launch"] + t["copy"] + t["set"]} & t.timed)
    need(t.untimed() == 0, f"{t.untimed()} of 1000 launches have no time")
    return f"5 x 200 launches though the device was busy at each end; all timed; {stray} times of others; gaps {t.gaps() or 'none'}"


def toggling(b):
    p, a, traces = b.run([b.program, "toggle", "20000"], "--capture-range", "cudaProfilerApi")
    t = one(traces)
    whole(t)
    need(p.returncode == 0 and a.get("done"), f"{p.returncode}")
    starts = sum(r["kind"] == "profiler-start" for r in t["range"])
    need(starts == 20000, f"{starts} ranges")
    return f"20000 ranges beside 4 launching threads: {len(t['launch'])} launches, {t.untimed()} untimed"


def cost(b):
    plain = [b.plain([b.program, "cost", "60"]) for _ in range(2)]
    rows = {"untraced": plain}
    for name, options in {"ranges": ["--capture-range", "cudaProfilerApi"], "later": ["--start-after", "1h"],
                          "over": ["--duration", "1ms"], "whole": []}.items():
        rows[name] = [b.run([b.program, "cost", "60"], *options)[1] for _ in range(2)]
    best = {name: {k: min(r[k] for r in runs) for k in runs[0]} for name, runs in rows.items()}
    return "host ns per launch: " + "; ".join(
        f"{name} " + ", ".join(f"{k} {v:.0f}" for k, v in row.items()) for name, row in best.items())


def kill_one(b, seed):
    rng = random.Random(seed)
    name, mapping_name = b.path(f"kill{seed}.emuv"), b.path(f"mapping{seed}")
    with open(mapping_name, "wb") as f:
        f.write(bytes(4096))
    if os.path.exists(name):
        os.remove(name)
    p = subprocess.Popen([b.emuv, "-q", "-o", name, b.program, "forever", mapping_name], stderr=subprocess.DEVNULL,
                         start_new_session=True)
    with open(mapping_name, "r+b") as f, mmap.mmap(f.fileno(), 4096) as m:
        deadline = time.monotonic() + 60
        while struct.unpack_from("Q", m, 8)[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 1.0))
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        while True:  # the program dies a moment later
            last = struct.unpack_from("2Q", m, 0)
            time.sleep(0.05)
            if struct.unpack_from("2Q", m, 0) == last:
                break
    t = Trace(b.emuv, name, ("--type", "launch"))
    sequences = [l["sequence"] for l in t.launches("nothing")]
    recorded = max((l["exit_ns"] for l in t["launch"]), default=0)
    lines = t.check.stdout.splitlines()
    result = {
        "opens": t.check.returncode == 0 and t.status == "truncated", "launched": last[1], "kept": len(sequences),
        "holes": sum(y != x + 1 for x, y in zip(sequences, sequences[1:])),
        "lost_ms": (last[0] - recorded) / 1e6 if recorded else None,
        "says": 2 <= len(lines) <= 3 and " 0 dropped, 0 gaps" in lines[0] and "the file ends early" in lines[1]
        and all(": records end " in line for line in lines[2:]),
    }
    os.remove(name)
    os.remove(mapping_name)
    return result


def kills(b):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda seed: kill_one(b, seed), range(100)))
    with open(os.path.join(b.results, "kills.json"), "w", encoding="utf-8") as f:
        json.dump(results, f)
    lost = sorted(r["lost_ms"] for r in results if r["lost_ms"] is not None)
    none = sum(r["lost_ms"] is None for r in results)
    need(all(r["opens"] for r in results), f"{sum(not r['opens'] for r in results)} do not open")
    need(all(r["says"] for r in results), "check says something else")
    need(all(r["holes"] == 0 for r in results), "holes")
    evidence = (f"100 kills: all open, check says that they end early and nothing else, no holes; lost ms: median "
                f"{lost[len(lost) // 2]:.0f}, max {lost[-1]:.0f}; {none} killed before the first launch was flushed")
    need(lost[-1] <= 250, evidence)
    return evidence


def two_devices(b):
    p, a, traces = b.run([b.program, "two"])
    t = one(traces)
    whole(t)
    by_device = {d: [l for l in t.launches("touch") if l["device"] == d] for d in (0, 1)}
    need([len(by_device[d]) for d in (0, 1)] == [5, 6], f"{ {d: len(l) for d, l in by_device.items()} }")
    for d in (0, 1):
        memory = {t.addresses[o["allocation"]] for l in by_device[d] for o in l["operands"]}
        need(memory == {a["memory"][d]}, f"device {d}: {memory}")
    allocated = {x["address"]: x["device"] for x in t["allocation"]}
    need([allocated[x] for x in a["memory"]] == [0, 1], f"{allocated}")
    copies = [c["kind"] for c in t["copy"]]
    need("p2p" in copies and t.untimed() == 0, f"copies {copies}, {t.untimed()} untimed")
    return f"5 launches on device 0, 6 on device 1, each with its own memory; copy {copies}; all timed; gaps {t.gaps() or 'none'}"


CASES = {
    "simple": simple, "fork": fork, "exec": exec_, "spawn": spawn, "per-thread streams": per_thread_streams,
    "other CUPTI user": other_tool, "ranges, device busy": ranges_while_busy, "toggling": toggling, "full disk": full_disk,
    "max-size": max_size, "SIGKILL x 100": kills, "torch": allocator(None),
    "torch expandable_segments": allocator("expandable_segments:True"), "torch cudaMallocAsync": allocator("backend:cudaMallocAsync"),
    "torch threads": torch_threads, "torch nvtx window": range_window("nvtx", "nvtx:step"),
    "torch profiler window": range_window("profiler-ranges", "cudaProfilerApi"), "torch start-after, duration": timed_window,
    "torch.profiler": torch_profiler, "multiprocessing spawn": multiprocessing("spawn"),
    "multiprocessing forkserver": multiprocessing("forkserver"), "multiprocessing fork": multiprocessing("fork"),
    "subprocess": torch_subprocess, "os.exec": torch_exec, "cost outside": cost, "two GPUs": two_devices,
}


ALONE = {"SIGKILL x 100", "toggling", "cost outside"}  # what measures time


def run_case(name, stage, program, results):
    b, begin = Bench(os.path.abspath(stage), program, os.path.abspath(results)), time.monotonic()
    try:
        result, evidence = "ok", CASES[name](b)
    except Failure as f:
        result, evidence = "FAIL", str(f)
    except Exception as e:  # a case must not take the others with it
        result, evidence = "FAIL", f"{type(e).__name__}: {e}"
    shutil.rmtree(b.work, ignore_errors=True)
    seconds = round(time.monotonic() - begin, 1)
    print(f"{result:5}{name:30}{seconds:6.1f} s  {evidence[:1500]}", flush=True)
    return {"case": name, "result": result, "evidence": evidence, "seconds": seconds}


def main():
    stage, program, results = sys.argv[1:4]
    names = sys.argv[4:] or [n for n in CASES if n != "two GPUs"]
    rows = [run_case(n, stage, program, results) for n in names if n in ALONE]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        rows += pool.map(lambda n: run_case(n, stage, program, results), [n for n in names if n not in ALONE])
    with open(os.path.join(results, "robustness.json"), "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    failed = [r["case"] for r in rows if r["result"] != "ok"]
    print(f"{len(rows) - len(failed)} of {len(rows)} ok{'; failed: ' + ', '.join(failed) if failed else ''}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
