-- SPDX-License-Identifier: Apache-2.0
-- Views for the common plots. emuv-sim puts them into every results database; emuv-plot defines them as temporary views
-- (so that an old or read-only database works too) and draws from them.
--
-- One row per run, except where "best" is said. Units are in the names. A rate counts work units (`work_unit`: tokens
-- as a rule) per second of total time. A bound is the highest rate that the lower bound on the time allows. Rows that did
-- not finish, or that did no timed work, are left out. Unknown numbers of the configuration read 0, to be joined on.
-- One definition starts with CREATE VIEW IF NOT EXISTS at the start of a line; emuv-plot relies on that.

-- Every column that labels a row, in the units that people use.
CREATE VIEW IF NOT EXISTS plot_rows AS
SELECT run_id, config_hash, kind, scenario,
       coalesce(nullif(model, ''), workload)
         || CASE WHEN routing_skew > 0 OR routing_repeat > 0
                 THEN printf(' (routing skew %g, repeat %g)', routing_skew, routing_repeat)
                 WHEN workload = 'pattern:zipf' THEN printf(' (skew %g)', pattern_skew) ELSE '' END AS model,
       workload, work_unit, hardware, strategy, policy,
       prefetch || CASE WHEN coalesce_bytes > 0 THEN ', merged copies' ELSE '' END AS prefetch,
       coalesce(context_tokens, 0) AS context_tokens,
       coalesce(batch, 0) AS batch,
       coalesce(weight_bits, 0) || '-bit weights, ' || coalesce(kv_bits, 0) || '-bit KV' AS data_types,
       coalesce(weight_bits, 0) AS weight_bits, coalesce(kv_bits, 0) AS kv_bits,
       coalesce(ram_bytes, 0) AS ram_bytes, coalesce(peer_bytes, 0) AS peer_bytes,
       page_bytes,
       CASE WHEN page_bytes >= 1073741824 AND page_bytes % 1073741824 = 0 THEN (page_bytes / 1073741824) || ' GiB'
            WHEN page_bytes >= 1048576 AND page_bytes % 1048576 = 0 THEN (page_bytes / 1048576) || ' MiB'
            WHEN page_bytes >= 1024 AND page_bytes % 1024 = 0 THEN (page_bytes / 1024) || ' KiB'
            ELSE page_bytes || ' B' END AS page,
       vram_bytes / 1073741824.0 AS vram_gib,
       footprint_bytes / 1073741824.0 AS footprint_gib,
       tokens, tokens_per_s,
       tokens / nullif(bound_s, 0) AS bound_tokens_per_s,
       bound_by, version
FROM runs
WHERE tokens_per_s > 0 AND coalesce(status, 'ok') IN ('ok', '');

-- Work units per second, and the most that the bound allows.
CREATE VIEW IF NOT EXISTS plot_throughput AS
SELECT run_id, scenario, kind, hardware, model, context_tokens, batch, page_bytes, page, strategy, policy, prefetch,
       vram_gib, tokens_per_s, bound_tokens_per_s, bound_by
FROM plot_rows;

-- Demand faults per 1000 work units.
CREATE VIEW IF NOT EXISTS plot_faults AS
SELECT p.run_id, p.scenario, p.kind, p.hardware, p.model, p.context_tokens, p.batch, p.page_bytes, p.page,
       p.strategy, p.policy, p.prefetch, p.vram_gib, r.faults_per_1k_tokens
FROM plot_rows AS p JOIN runs AS r USING (run_id);

-- Page accesses that miss, over VRAM as a share of the footprint; bytes that come over the link for each byte that a step
-- uses (a scan that misses everything has 100 %).
CREATE VIEW IF NOT EXISTS plot_misses AS
SELECT p.run_id, p.scenario, p.kind, p.hardware, p.model, p.context_tokens, p.batch, p.page_bytes, p.page,
       p.strategy, p.policy, p.prefetch, p.vram_gib, 100.0 * r.vram_bytes / r.footprint_bytes AS vram_percent,
       100.0 * (r.accesses - r.hits) / r.accesses AS miss_percent,
       100.0 * (r.h2d_bytes + coalesce(r.peer_read_bytes, 0)) / nullif(r.used_bytes, 0) AS reload_percent
FROM plot_rows AS p JOIN runs AS r USING (run_id)
WHERE r.accesses > 0 AND r.footprint_bytes > 0;

-- Where the time of one work unit goes. `other` is what is neither kernels nor a stall that is attributed.
CREATE VIEW IF NOT EXISTS plot_time AS
SELECT run_id, scenario, kind, hardware, model, context_tokens, batch, page_bytes, page, strategy, policy, prefetch,
       vram_gib,
       total_s_per_token, compute_s_per_token, stall_link_s_per_token, stall_disk_s_per_token, stall_host_s_per_token,
       max(0, total_s_per_token - compute_s_per_token - stall_link_s_per_token - stall_disk_s_per_token
              - stall_host_s_per_token) AS other_s_per_token,
       bound_s_per_token
FROM (SELECT p.*, r.total_s / r.tokens AS total_s_per_token,
             coalesce(r.compute_s, 0) / r.tokens AS compute_s_per_token,
             coalesce(r.stall_link_s, 0) / r.tokens AS stall_link_s_per_token,
             coalesce(r.stall_disk_s, 0) / r.tokens AS stall_disk_s_per_token,
             coalesce(r.stall_host_s, 0) / r.tokens AS stall_host_s_per_token,
             r.bound_s / r.tokens AS bound_s_per_token
      FROM plot_rows AS p JOIN runs AS r USING (run_id) WHERE r.tokens > 0);

-- Throughput over context length.
CREATE VIEW IF NOT EXISTS plot_context AS
SELECT run_id, context_tokens, scenario, kind, hardware, model, batch, page_bytes, page, strategy, policy, prefetch,
       vram_gib, tokens_per_s, bound_tokens_per_s, bound_by
FROM plot_rows
WHERE context_tokens > 0;

-- Best row of each strategy for each VRAM size (over policies, prefetchers and page sizes); run_id names that row.
CREATE VIEW IF NOT EXISTS plot_strategies AS
SELECT scenario, kind, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, vram_gib, strategy,
       max(tokens_per_s) AS tokens_per_s, bound_tokens_per_s, bound_by, policy, prefetch, page, run_id
FROM plot_rows
GROUP BY scenario, kind, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, vram_gib, strategy;

-- Bytes moved for one work unit, by path and direction: h2d and d2h are copies, `remote` is host memory that kernels read
-- in place (the column h2d_bytes of table `runs` counts both), peer is the memory of another GPU.
CREATE VIEW IF NOT EXISTS plot_traffic AS
SELECT p.run_id, p.scenario, p.kind, p.hardware, p.model, p.context_tokens, p.batch, p.page_bytes, p.page,
       p.strategy, p.policy, p.prefetch, p.vram_gib,
       max(0, coalesce(r.h2d_bytes, 0) - coalesce(r.remote_bytes, 0)) / 1073741824.0 / r.tokens AS h2d_gib_per_token,
       coalesce(r.d2h_bytes, 0) / 1073741824.0 / r.tokens AS d2h_gib_per_token,
       coalesce(r.peer_read_bytes, 0) / 1073741824.0 / r.tokens AS peer_read_gib_per_token,
       coalesce(r.peer_write_bytes, 0) / 1073741824.0 / r.tokens AS peer_write_gib_per_token,
       coalesce(r.nvme_read_bytes, 0) / 1073741824.0 / r.tokens AS nvme_read_gib_per_token,
       coalesce(r.nvme_write_bytes, 0) / 1073741824.0 / r.tokens AS nvme_write_gib_per_token,
       coalesce(r.remote_bytes, 0) / 1073741824.0 / r.tokens AS remote_gib_per_token
FROM plot_rows AS p JOIN runs AS r USING (run_id)
WHERE r.tokens > 0;

-- Best row of each strategy on each machine, with the most VRAM that was tried there; run_id names that row.
CREATE VIEW IF NOT EXISTS plot_hardware AS
SELECT hardware, scenario, kind, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, strategy, vram_gib,
       max(tokens_per_s) AS tokens_per_s, bound_tokens_per_s, bound_by, policy, prefetch, page, run_id
FROM (SELECT *, max(vram_gib) OVER (PARTITION BY hardware, scenario, kind, model, data_types, context_tokens, batch,
                                    ram_bytes, peer_bytes) AS most_gib FROM plot_rows)
WHERE vram_gib = most_gib
GROUP BY hardware, scenario, kind, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, strategy, vram_gib;

-- Each measurement with the prediction of the same configuration: times of one work unit, the error of the prediction in
-- percent of the measured time, and whether faults, hits and bytes are the same.
CREATE VIEW IF NOT EXISTS plot_fidelity AS
SELECT m.run_id, s.run_id AS predicted_run_id, m.scenario, m.kind, m.hardware, m.model, m.context_tokens, m.batch,
       m.page_bytes, m.page, m.strategy, coalesce(m.policy, '') AS policy, m.prefetch, m.vram_gib,
       b.total_s / b.tokens AS measured_s_per_token, a.total_s / a.tokens AS predicted_s_per_token,
       100.0 * (a.total_s - b.total_s) / b.total_s AS error_percent,
       a.faults IS b.faults AND a.hits IS b.hits AND a.h2d_bytes IS b.h2d_bytes AND a.d2h_bytes IS b.d2h_bytes
         AND a.peer_read_bytes IS b.peer_read_bytes AND a.peer_write_bytes IS b.peer_write_bytes
         AND a.nvme_read_bytes IS b.nvme_read_bytes AND a.nvme_write_bytes IS b.nvme_write_bytes AS same_counts
FROM plot_rows AS m JOIN plot_rows AS s ON s.config_hash = m.config_hash AND s.kind = 'sim' AND m.kind <> 'sim'
JOIN runs AS a ON a.run_id = s.run_id JOIN runs AS b ON b.run_id = m.run_id
WHERE a.tokens > 0 AND b.tokens > 0 AND b.total_s > 0;
