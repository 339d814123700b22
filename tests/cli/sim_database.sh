#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim and databases that cannot be used: locked, read-only, newer, not ours, disk full. Each gives a clear message
# and the right status, and the rows that were stored stay readable.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3 mkfifo
cat >s.yaml <<'YAML'
source: pattern
pattern: {kind: cyclic, object: 2MiB, objects: 64, references: 256}
hardware: rtx-4090
ram: 1GiB
tokens: 1
policy: [lru, fifo]
vram: 32MiB
YAML
status 0 "$sim" -q s.yaml -o db.sqlite
rows db.sqlite >before
[ "$(count db.sqlite)" -eq 2 ] || fail 'two rows'

[ ! -e db.sqlite-wal ] && [ "$(sqlite3 db.sqlite 'PRAGMA journal_mode')" = delete ] || fail 'not one plain file'

unchanged() { # DATABASE: intact, with the rows of before
  intact "$1"
  rows "$1" >after
  cmp before after || fail "rows of $1 have changed"
}

# Resume is the default: nothing is computed again. --fresh computes again, to the same rows.
status 0 "$sim" s.yaml -o db.sqlite
has err '2 configurations: 0 computed, 2 stored before'
status 0 "$sim" s.yaml -o db.sqlite --fresh
has err '2 configurations: 2 computed, 0 stored before'
unchanged db.sqlite
status 0 "$sim" s.yaml -o db.sqlite --set policy=lru,fifo,clock
has err '3 configurations: 1 computed, 2 stored before'
sqlite3 db.sqlite "DELETE FROM runs WHERE policy = 'clock'"
[ "$(sqlite3 db.sqlite 'PRAGMA user_version')" -ge 1 ] || fail 'no schema version'
[ "$(sqlite3 db.sqlite "SELECT count(*) FROM runs JOIN environments USING (environment) WHERE cores > 0")" -eq 2 ] ||
  fail 'rows without an environment'
for view in $(sqlite3 db.sqlite "SELECT name FROM sqlite_master WHERE type = 'view'"); do
  sqlite3 db.sqlite "SELECT * FROM $view" >/dev/null || fail "view $view cannot be read"
done
rows db.sqlite >before

# Locked by another program, which has not committed: wait a little, then say so.
mkfifo pipe
sqlite3 db.sqlite <pipe >/dev/null &
writer=$!
exec 3>pipe
echo "BEGIN EXCLUSIVE; DELETE FROM runs; SELECT 'locked';" >&3
sleep 1
run db_locked 1 "$sim" s.yaml -o db.sqlite --policy clock
exec 3>&-
wait $writer
unchanged db.sqlite
status 0 "$sim" -q s.yaml -o db.sqlite --policy clock
sqlite3 db.sqlite "DELETE FROM runs WHERE policy = 'clock'"

# From a newer emuV.
cp db.sqlite newer.sqlite
sqlite3 newer.sqlite 'PRAGMA user_version = 99'
run db_newer 1 "$sim" s.yaml -o newer.sqlite --policy clock
unchanged newer.sqlite
cp db.sqlite columns.sqlite
sqlite3 columns.sqlite 'ALTER TABLE runs ADD COLUMN from_the_future INTEGER'
status 1 "$sim" s.yaml -o columns.sqlite --policy clock
has err 'columns.sqlite: made by another version of emuV'
[ "$(count columns.sqlite)" -eq 2 ] || fail 'rows of columns.sqlite have changed'

# From an older emuV, without some of the columns: it is read, compared, and gets them when rows are added.
cp db.sqlite older.sqlite
sqlite3 older.sqlite "$(sqlite3 older.sqlite "SELECT 'DROP VIEW ' || name || ';' FROM sqlite_master WHERE type = 'view'")" 'ALTER TABLE runs DROP COLUMN peer_bytes; ALTER TABLE runs DROP COLUMN peer_read_bytes'
status 0 "$sim" compare older.sqlite db.sqlite
has out '2 same'
status 0 "$sim" -q s.yaml -o older.sqlite --policy clock
[ "$(count older.sqlite)" -eq 3 ] || fail 'rows of older.sqlite'
[ "$(count older.sqlite 'peer_bytes IS NULL')" -eq 2 ] || fail 'columns of older rows'
status 0 "$sim" compare older.sqlite db.sqlite

# Not a database; a database of something else; a folder. They stay as they are.
echo 'dear diary, this is certainly not a database of anything, but a text that is long enough to have a header' >diary
cp diary diary.copy
run db_text 3 "$sim" s.yaml -o diary
cmp diary diary.copy || fail 'a text was changed'
sqlite3 other.sqlite 'CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES (1)'
cp other.sqlite other.copy
run db_other 3 "$sim" s.yaml -o other.sqlite
cmp other.sqlite other.copy || fail "somebody else's database was changed"
mkdir folder
run db_folder 1 "$sim" s.yaml -o folder
run db_trace 3 "$sim" s.yaml -o s.yaml

# Read-only file, read-only folder. Root is not held back by modes: then as nobody.
mkdir closed readonly bin
cp db.sqlite closed/db.sqlite
cp db.sqlite readonly/db.sqlite
cp "$sim" bin/
cp -R "$EMUV_SOURCE/scenarios" scenarios
chmod -R a+rX scenarios
chmod 444 readonly/db.sqlite closed/db.sqlite
chmod 777 readonly
chmod 555 closed
as=
if [ "$(id -u)" -eq 0 ]; then
  chmod 755 "$tmp" bin bin/emuv-sim
  command -v setpriv >/dev/null && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null &&
    as='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi
if [ "$(id -u)" -ne 0 ] || [ -n "$as" ]; then
  # The source tree may be closed to nobody, and with it the folder of a coverage build's counters.
  mkdir -m 777 counters
  EMUV_DATA_DIR=$tmp
  GCOV_PREFIX=$tmp/counters
  export EMUV_DATA_DIR GCOV_PREFIX
  run db_readonly_file 1 $as "$tmp/bin/emuv-sim" s.yaml -o readonly/db.sqlite --policy clock
  run db_readonly_folder 1 $as "$tmp/bin/emuv-sim" s.yaml -o closed/new.sqlite
  run db_readonly_both 1 $as "$tmp/bin/emuv-sim" s.yaml -o closed/db.sqlite --policy clock
  # What is done can be read there.
  status 0 $as "$tmp/bin/emuv-sim" compare closed/db.sqlite readonly/db.sqlite
  has out '2 rows compared: 2 same'
  unset EMUV_DATA_DIR GCOV_PREFIX
  unchanged readonly/db.sqlite
  [ ! -e closed/new.sqlite ] || fail 'a database in a closed folder'
  chmod 755 closed
  unchanged closed/db.sqlite
else
  echo 'not checked: read-only files (root, and no setpriv)' >&2
fi
chmod 755 closed readonly

# Disk full: what was stored stays, and the same command goes on when there is room. A file system of 400 KiB.
cat >big.yaml <<'YAML'
source: pattern
pattern: {kind: cyclic, object: 2MiB, objects: 64, references: 256}
hardware: rtx-4090
ram: 1GiB
tokens: 1
policy: [lru, fifo, clock, mru, random]
vram: 32MiB
YAML
seeds=$(awk 'BEGIN { for (i = 1; i < 200; i++) printf "%d,", i; print 200 }')
cat >full.sh <<'SH'
mount -t tmpfs -o size=400k none full || exit 77
got=0
"$1" big.yaml -o full/db.sqlite --set "seed=$2" -q >out 2>err || got=$?
sqlite3 full/db.sqlite 'PRAGMA integrity_check' >check
sqlite3 full/db.sqlite "SELECT count(*) FROM runs WHERE status = 'ok' AND total_s > 0" >stored
mount -o remount,size=20m full && "$1" big.yaml -o full/db.sqlite --set "seed=$2" >out2 2>err2
sqlite3 full/db.sqlite 'SELECT count(*) FROM runs' >stored_after
exit $got
SH
mkdir full
for space in 'unshare -m' 'unshare -rm'; do
  got=0
  $space sh full.sh "$sim" "$seeds" 2>mount_err || got=$?
  [ -e check ] && break
done
if [ -e check ]; then
  [ "$got" -eq 1 ] || fail "full disk: exit status $got"
  has err 'full/db.sqlite: cannot write: database or disk is full'
  has err 'rows stored so far are kept'
  [ "$(cat check)" = ok ] && [ "$(cat stored)" -ge 1 ] || fail "full disk: $(cat check), $(cat stored) rows"
  has err2 "$(cat stored) stored before"
  [ "$(cat stored_after)" -eq 1000 ] || fail "after the disk was full: $(cat stored_after) rows"
else
  echo 'not checked: full disk (no mount)' >&2
fi
exit 0
