-- SPDX-License-Identifier: Apache-2.0
-- A small results database for the tests of emuv-plot: a cyclic scan of 16 GiB, with the closed-form answers (lru and fifo
-- miss everything, belady misses what does not fit), a link of 25 GB/s and 1 TB/s of memory. Two machines, two contexts,
-- two page sizes, three VRAM sizes, and measurements 5 % slower than the predictions of lru.
PRAGMA user_version = 1;
CREATE TABLE runs(
  run_id TEXT PRIMARY KEY, config_hash TEXT, kind TEXT, scenario TEXT, workload TEXT, model TEXT, strategy TEXT, hardware TEXT,
  policy TEXT, prefetch TEXT, page_bytes INTEGER, vram_bytes INTEGER, ram_bytes INTEGER, nvme_bytes INTEGER,
  context_tokens INTEGER, batch INTEGER, tokens INTEGER, work_unit TEXT, seed INTEGER, version TEXT, total_s REAL,
  compute_s REAL, stall_s REAL, tokens_per_s REAL, accesses INTEGER, hits INTEGER, faults INTEGER, faults_per_1k_tokens REAL,
  hit_ratio REAL, h2d_bytes INTEGER, d2h_bytes INTEGER, nvme_read_bytes INTEGER, nvme_write_bytes INTEGER, bound_s REAL,
  bound_by TEXT, status TEXT, remote_bytes INTEGER, footprint_bytes INTEGER, weight_bits INTEGER, kv_bits INTEGER, stall_link_s REAL,
  stall_disk_s REAL, stall_host_s REAL, coalesce_bytes INTEGER DEFAULT 0, used_bytes INTEGER DEFAULT 171798691840, routing_skew REAL DEFAULT 0, routing_repeat REAL DEFAULT 0, pattern_skew REAL DEFAULT 0);
CREATE TEMP TABLE settings AS
WITH way(strategy, policy, prefetch) AS (VALUES ('emuv', 'lru', 'none'), ('emuv', 'fifo', 'none'), ('emuv', 'belady', 'none'),
                                                ('emuv', 'lru', 'layer'), ('uva', 'static', 'none')),
     vram(gib) AS (VALUES (4), (8), (20)),
     page(mib) AS (VALUES (2), (64)),
     machine(hardware, rate) AS (VALUES ('rtx4090', 25e9), ('h100', 55e9)),
     context(tokens) AS (VALUES (2048), (32768))
SELECT *, 17179869184.0 AS footprint, gib * 1073741824.0 AS held,
       CASE WHEN gib >= 16 THEN 0.0 WHEN policy IN ('lru', 'fifo') THEN 1.0 ELSE 1 - gib / 16.0 END AS miss,
       CASE WHEN gib >= 16 THEN 0.0 ELSE (1 - gib / 16.0) * 17179869184.0 / rate END AS link_s
FROM way, vram, page, machine, context WHERE strategy = 'emuv' OR mib = 2;
CREATE TEMP TABLE timed AS
SELECT *, footprint / 1e12 + tokens / 1e6 AS compute, miss * footprint / rate AS stall FROM settings;
INSERT INTO runs(
  run_id, config_hash, kind, scenario, workload, model, strategy, hardware, policy, prefetch, page_bytes,
  vram_bytes, ram_bytes, nvme_bytes, context_tokens, batch, tokens, work_unit, seed, version, total_s,
  compute_s, stall_s, tokens_per_s, accesses, hits, faults, faults_per_1k_tokens, hit_ratio, h2d_bytes,
  d2h_bytes, nvme_read_bytes, nvme_write_bytes, bound_s, bound_by, status, remote_bytes, footprint_bytes,
  weight_bits, kv_bits, stall_link_s, stall_disk_s, stall_host_s)
SELECT 'sim-' || rowid, 'config-' || rowid, 'sim', 'cyclic', 'pattern:cyclic', 'scan-16g', strategy, hardware, policy, prefetch,
       mib * 1048576, gib * 1073741824, 68719476736, 0, tokens, 1, 10, 'token', 1, '0.1.0 (0123456789ab)', 10 * (compute + stall),
       10 * compute, 10 * stall, 1 / (compute + stall), 163840 / mib, round((1 - miss) * 163840 / mib),
       CASE WHEN prefetch = 'none' AND strategy = 'emuv' THEN miss * 163840 / mib ELSE 0 END,
       CASE WHEN prefetch = 'none' AND strategy = 'emuv' THEN miss * 16384000 / mib ELSE 0 END, 1 - miss,
       CASE strategy WHEN 'emuv' THEN 10 * miss * footprint ELSE 0 END, 0, 0, 0, 10 * max(link_s, compute),
       CASE WHEN link_s > compute THEN 'link' ELSE 'compute' END, 'ok',
       CASE strategy WHEN 'uva' THEN 10 * miss * footprint ELSE 0 END, footprint, 16, 16, 10 * stall, 0, 0
FROM timed;
INSERT INTO runs(
  run_id, config_hash, kind, scenario, workload, model, strategy, hardware, policy, prefetch, page_bytes,
  vram_bytes, ram_bytes, nvme_bytes, context_tokens, batch, tokens, work_unit, seed, version, total_s,
  compute_s, stall_s, tokens_per_s, accesses, hits, faults, faults_per_1k_tokens, hit_ratio, h2d_bytes,
  d2h_bytes, nvme_read_bytes, nvme_write_bytes, bound_s, bound_by, status, remote_bytes, footprint_bytes,
  weight_bits, kv_bits, stall_link_s, stall_disk_s, stall_host_s) SELECT 'replay-' || run_id, config_hash, 'replay', scenario, workload, model, strategy, hardware, policy, prefetch,
       page_bytes, vram_bytes, ram_bytes, nvme_bytes, context_tokens, batch, tokens, work_unit, seed, version, total_s * 1.05,
       compute_s, stall_s, tokens_per_s / 1.05, accesses, hits, faults, faults_per_1k_tokens, hit_ratio, h2d_bytes, d2h_bytes,
       nvme_read_bytes, nvme_write_bytes, bound_s, bound_by, status, remote_bytes, footprint_bytes, weight_bits, kv_bits, stall_link_s,
       stall_disk_s, stall_host_s
FROM runs WHERE policy = 'lru' AND hardware = 'rtx4090';
-- Rows that did not finish are never drawn.
CREATE TEMP TABLE failed AS SELECT * FROM runs WHERE policy = 'lru' AND kind = 'sim';
UPDATE failed SET run_id = 'failed-' || run_id, status = 'failed', tokens_per_s = 1e9, version = 'broken';
INSERT INTO runs SELECT * FROM failed;
