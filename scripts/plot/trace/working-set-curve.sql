-- SPDX-License-Identifier: Apache-2.0
-- Working-set curve: mean of the distinct bytes touched in a window, over the window's length.
SELECT 'why', 'the trace lasts no time' FROM about WHERE last - counted_begin < 4;
CREATE TEMP TABLE curve AS SELECT low, mean_window_bytes AS bytes FROM reuse, about
WHERE low <= last - counted_begin AND mean_window_bytes > 0;
CREATE TEMP TABLE top AS SELECT max(bytes) AS bytes FROM curve;
SELECT 'block', 'curve';
SELECT 'row', 'curve', printf('%.9g', low / CASE time_unit WHEN 'ns' THEN 1e9 ELSE 1 END), printf('%.6g', c.bytes / m.bytes)
FROM curve AS c, about, memory AS m, top WHERE c.bytes > top.bytes / 1000 ORDER BY low;
CREATE TEMP TABLE middle AS SELECT length AS ns FROM
(SELECT end - begin AS length, row_number() OVER (ORDER BY end - begin) AS k, count(*) OVER () AS n FROM counted_steps)
WHERE k = (n + 1) / 2;
SELECT 'num', 'step_length', coalesce((SELECT printf('%.9g', ns / CASE time_unit WHEN 'ns' THEN 1e9 ELSE 1 END) FROM middle, about), 0);
SELECT 'note', 'counted from the first ' || work_unit || ' on' FROM about WHERE counted_step > 0;
