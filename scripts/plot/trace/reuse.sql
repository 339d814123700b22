-- SPDX-License-Identifier: Apache-2.0
-- Reuse: touched bytes by the distinct bytes touched since their last touch, and by the time since then.
SELECT 'why', 'nothing is touched twice' FROM about WHERE counted_bytes <= first_touch_bytes;
-- Bars of powers of two; `octave` is the power at a bar's low end.
CREATE TEMP TABLE octaves AS
SELECT (reuse.rowid - 1) / 4 AS octave, 100.0 * sum(distance_bytes) / counted_bytes AS distance,
       100.0 * sum(time_bytes) / counted_bytes AS time
FROM reuse, about GROUP BY (reuse.rowid - 1) / 4;
CREATE TEMP TABLE bars AS
SELECT 'distance' AS name, octave, distance AS percent FROM octaves UNION ALL SELECT 'time', octave, time FROM octaves;
CREATE TEMP TABLE ends AS SELECT name, min(octave) AS low, max(octave) AS high, max(percent) AS top
FROM bars WHERE percent > 0 GROUP BY name;
SELECT 'block', 'distance'; SELECT 'block', 'time';
SELECT 'row', name, 1 << octave, printf('%.6g', percent) FROM bars JOIN ends USING (name)
WHERE octave BETWEEN low AND high ORDER BY name, octave;
SELECT 'num', name || '_low', low FROM ends;
SELECT 'num', name || '_high', high + 1 FROM ends;
SELECT 'num', name || '_top', printf('%.6g', top) FROM ends;
SELECT 'num', 'timed', time_unit = 'ns' FROM about;
SELECT 'note', 'counted from the first ' || work_unit || ' on' FROM about WHERE counted_step > 0;
SELECT 'note', CASE WHEN first_touch_bytes * 1e4 >= counted_bytes THEN printf('%.3g', 100.0 * first_touch_bytes / counted_bytes)
  ELSE 'less than 0.01' END || ' % of the touched bytes are first touches' FROM about WHERE first_touch_bytes > 0;
