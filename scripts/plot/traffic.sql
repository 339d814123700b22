-- SPDX-License-Identifier: Apache-2.0
-- Bytes moved for one work unit, a stacked bar per strategy and policy.
CREATE TEMP TABLE panel AS SELECT * FROM panels_bars LIMIT 1;
CREATE TEMP TABLE drawn AS SELECT * FROM bars WHERE place <= 12;
CREATE TEMP TABLE slice AS SELECT run_id FROM drawn;

SELECT 'why', 'nothing moves in any row' WHERE NOT EXISTS (SELECT 1 FROM plot_traffic JOIN slice USING (run_id)
  WHERE h2d_gib_per_token + d2h_gib_per_token + peer_read_gib_per_token + peer_write_gib_per_token
        + nvme_read_gib_per_token + nvme_write_gib_per_token + remote_gib_per_token > 0);
SELECT 'bar', strategy, policy_label, settings_label,
       h2d_gib_per_token, remote_gib_per_token, d2h_gib_per_token, peer_read_gib_per_token, peer_write_gib_per_token,
       nvme_read_gib_per_token, nvme_write_gib_per_token
FROM plot_traffic JOIN drawn USING (run_id, strategy, policy)
ORDER BY h2d_gib_per_token + d2h_gib_per_token + peer_read_gib_per_token + peer_write_gib_per_token
         + nvme_read_gib_per_token + nvme_write_gib_per_token + remote_gib_per_token, strategy, policy;
SELECT 'note', 'each bar: best prefetch and page size';
