-- SPDX-License-Identifier: Apache-2.0
-- Where the time of one work unit goes, a stacked bar per strategy and policy.
CREATE TEMP TABLE panel AS SELECT * FROM panels_bars LIMIT 1;
CREATE TEMP TABLE drawn AS SELECT * FROM bars WHERE place <= 12;
CREATE TEMP TABLE slice AS SELECT run_id FROM drawn;

SELECT 'bar', strategy, policy_label, settings_label,
       compute_s_per_token, stall_link_s_per_token, stall_disk_s_per_token, stall_host_s_per_token,
       CASE WHEN other_s_per_token > 0.001 * total_s_per_token THEN other_s_per_token ELSE 0 END, bound_s_per_token
FROM plot_time JOIN drawn USING (run_id, strategy, policy) ORDER BY total_s_per_token, strategy, policy;
SELECT 'note', 'each bar: best prefetch and page size';
SELECT 'note', 'with everything in VRAM: ' || printf('%.3g', 1 / best) || ' s'
FROM (SELECT max(tokens_per_s) AS best FROM residents WHERE vram_gib = (SELECT vram_gib FROM panel)) WHERE best > 0;
