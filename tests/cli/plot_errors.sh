#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-plot: exit status and message of everything that a user can get wrong, and that nothing is written then.
set -eu
command -v sqlite3 >/dev/null && command -v gnuplot >/dev/null || { echo 'sqlite3 or gnuplot is missing'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
plot=$EMUV_BIN/emuv-plot

# expect STATUS STDERR ARGUMENTS...: stdout must be empty.
expect() {
  status=$1 text=$2
  shift 2
  got=0
  "$plot" "$@" >out 2>err || got=$?
  if [ "$got" -ne "$status" ] || [ -s out ] || [ "$(cat err)" != "$text" ]; then
    printf 'FAIL: emuv-plot %s\nstatus %s, not %s\n--- stdout\n%s\n--- stderr\n%s\n--- expected\n%s\n' \
      "$*" "$got" "$status" "$(cat out)" "$(cat err)" "$text" >&2
    exit 1
  fi
}

sqlite3 good.sqlite <"$EMUV_SOURCE/tests/cli/plot_db.sql"
expect 2 'emuv-plot: error: which database or trace?
hint: emuv-plot DATABASE|TRACE; emuv-plot --help says more'
expect 2 "emuv-plot: error: unknown option '--figures'
hint: did you mean '--figure'?" --figures time good.sqlite
expect 2 "emuv-plot: error: unknown option '--zzzzzzzz'" --zzzzzzzz good.sqlite
expect 2 "emuv-plot: error: unknown figure 'troughput'
hint: did you mean 'throughput'?" --figure time,troughput good.sqlite
expect 2 "emuv-plot: error: unknown format 'pgn'
hint: did you mean 'png'?" --format=pgn good.sqlite
expect 2 "emuv-plot: error: option '-o' needs a value" good.sqlite -o
expect 2 'emuv-plot: error: one file at a time, please
hint: run emuv-plot once for each' good.sqlite good.sqlite
expect 2 'emuv-plot: error: --where: no such column: hardwear' --where "hardwear = 'h100'" good.sqlite
expect 1 "good.sqlite: error: no row for which hardware = 'a10'" --where "hardware = 'a10'" good.sqlite
expect 1 'none.sqlite: error: no such file
hint: emuv-sim says at its end where its database is' none.sqlite
mkdir folder
expect 1 'folder: error: is a directory
hint: name the database or the trace in it' folder
: >empty.sqlite
expect 3 'empty.sqlite: error: an empty file, not a results database and not a trace' empty.sqlite
printf 'scenario: llama70b\n%4096s' '' >text.sqlite
expect 3 'text.sqlite: error: not a SQLite database, or a damaged one' text.sqlite
head -c 6000 good.sqlite >cut.sqlite
got=0
"$plot" cut.sqlite >out 2>err || got=$?
[ "$got" -eq 3 ] && [ ! -s out ] || { echo "FAIL: truncated database: status $got, $(cat err)" >&2; exit 1; }
sqlite3 other.sqlite 'CREATE TABLE songs(title TEXT)'
expect 3 'other.sqlite: error: a SQLite database without the table "runs": not one of emuV' other.sqlite
cp good.sqlite newer.sqlite
sqlite3 newer.sqlite 'PRAGMA user_version = 999'
expect 1 'newer.sqlite: error: its schema is version 999, and this emuV knows versions up to 1
hint: update emuV' newer.sqlite
cp good.sqlite bare.sqlite
sqlite3 bare.sqlite 'DELETE FROM runs'
expect 1 'bare.sqlite: error: no rows yet
hint: the same emuv-sim command again adds what is missing' bare.sqlite
sqlite3 good.sqlite "CREATE TABLE keep AS SELECT 1"
expect 1 'figure hardware does not apply: needs at least two machines
good.sqlite: error: no figure applies to its rows
hint: emuv-plot -v says why' --figure hardware --where "hardware = 'h100'" -o pictures good.sqlite
: >file
expect 1 'file: error: cannot make this directory' -o file good.sqlite
[ ! -e good-plots ] || { echo 'FAIL: something was written' >&2; exit 1; }

# Programs that are missing: a PATH with everything but gnuplot, then without sqlite3.
mkdir tools
for tool in sh awk sed grep cat tr dirname basename readlink mktemp rm mv mkdir cp tail head chmod sqlite3; do
  ln -s "$(command -v $tool)" tools/$tool
done
without() {
  got=0
  PATH=$tmp/tools "$plot" good.sqlite >out 2>err || got=$?
  [ "$got" -eq 1 ] && [ "$(cat err)" = "$1" ] || { echo "FAIL: status $got: $(cat err)" >&2; exit 1; }
}
without 'emuv-plot: error: gnuplot is not installed
hint: Debian, Ubuntu: apt install gnuplot-nox; Fedora: dnf install gnuplot'
rm tools/sqlite3
without 'emuv-plot: error: sqlite3 is not installed
hint: Debian, Ubuntu: apt install sqlite3; Fedora: dnf install sqlite'
