-- SPDX-License-Identifier: Apache-2.0
-- Miss-ratio curve: the share of touched bytes that a memory of a size managed by lru does not hold.
SELECT 'why', 'nothing is touched twice' FROM about WHERE counted_bytes <= first_touch_bytes;
SELECT 'block', 'curve';
SELECT 'row', 'curve', printf('%.9g', capacity_bytes / bytes), printf('%.6g', 100.0 * miss_bytes / counted_bytes)
FROM miss, memory, about ORDER BY capacity_bytes;
SELECT 'num', 'first_share', printf('%.6g', 100.0 * first_touch_bytes / counted_bytes) FROM about;
SELECT 'num', 'per_step', coalesce((SELECT printf('%.6g', counted_bytes / counted_steps / bytes / 100.0)
  FROM about, memory WHERE counted_steps > 0), 0);
SELECT 'note', 'counted from the first ' || work_unit || ' on' FROM about WHERE counted_step > 0;
SELECT 'note', 'a ' || work_unit || ' touches ' || printf('%.4g ', counted_bytes / counted_steps / bytes) || unit
       || ', repeated touches included' FROM about, memory WHERE counted_steps > 0;
