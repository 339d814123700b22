-- SPDX-License-Identifier: Apache-2.0
-- Working set over time: distinct bytes touched in each window and each step, and memory allocated.
-- A value holds from the begin of its window to the end. The last window is drawn only if the trace fills it.
CREATE TEMP TABLE whole AS
SELECT window, i, bytes FROM working_set, about WHERE (i + 1) * window <= last OR i = 0;
INSERT INTO whole SELECT window, i + 1, bytes FROM whole GROUP BY window HAVING i = max(i);
SELECT 'num', 'n_windows', count(DISTINCT window) FROM working_set;
SELECT 'set', 'window' || rank, name
FROM (SELECT window, name, row_number() OVER (ORDER BY window DESC) AS rank FROM window_names);
SELECT 'block', 'windows'; SELECT 'block', 'live'; SELECT 'block', 'steps';
SELECT 'num', 'has_live', count(*) > 0 FROM live;
SELECT 'num', 'has_steps', count(*) FROM counted_steps;
SELECT 'part', 'windows', window, printf('%.9g', min(i * window, last) / length), printf('%.6g', w.bytes / m.bytes)
FROM whole AS w, clock, memory AS m, about ORDER BY window DESC, i;
SELECT 'row', 'live', printf('%.9g', i * window / length), printf('%.6g', l.bytes / m.bytes)
FROM live AS l, clock, memory AS m ORDER BY i;
SELECT 'row', 'steps', printf('%.9g', (begin + end) / 2.0 / length), printf('%.6g', s.bytes / m.bytes)
FROM counted_steps AS s, clock, memory AS m ORDER BY step;
SELECT 'num', 'highest', printf('%.6g', max(b) / m.bytes)
FROM (SELECT max(bytes) AS b FROM working_set UNION ALL SELECT max(bytes) FROM live UNION ALL
      SELECT max(bytes) FROM counted_steps), memory AS m;
SELECT 'note', 'a ' || work_unit || ' touches ' || printf('%.4g ', s.bytes / m.bytes) || unit || ' (median)'
FROM (SELECT bytes, work_unit, row_number() OVER (ORDER BY bytes) AS k, count(*) OVER () AS n FROM counted_steps) AS s,
     memory AS m WHERE k = (n + 1) / 2;
SELECT 'note', 'extents rounded to ' || grain_bytes || ' bytes' FROM about WHERE grain_bytes > 1;
