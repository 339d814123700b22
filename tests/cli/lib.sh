# SPDX-License-Identifier: Apache-2.0
# Helpers of the command-line tests, to be sourced: a work folder, checks, expected outputs. POSIX sh.
#   run NAME STATUS COMMAND...   runs; the status must be STATUS; normalised stdout and stderr must be those of
#                                expected/NAME.out and expected/NAME.err (no such file: nothing at all)
#   status STATUS COMMAND...     runs; only the status is checked; stdout and stderr are in the files out and err
# EMUV_UPDATE=1 writes the expected files anew; look at the difference before you commit it.
set -u
LC_ALL=C
export LC_ALL
sim=$EMUV_BIN/emuv-sim
expected=$EMUV_SOURCE/tests/cli/expected
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

fail() {
  echo "FAIL: $*" >&2
  for f in out err; do [ -s "$f" ] && { echo "--- $f:"; head -c 4000 "$f"; } >&2; done
  exit 1
}
has() { grep -qF -- "$2" "$1" || fail "$1 does not say: $2"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 says: $2"; }
need() { # PROGRAM...: without it the test is skipped
  for program; do command -v "$program" >/dev/null || { echo "$program is missing"; exit 77; }; done
}

status() {
  want=$1
  shift
  got=0
  "$@" >out 2>err || got=$?
  [ "$got" -eq "$want" ] || fail "$*: exit status $got instead of $want"
}

# Versions, times taken, places that differ from machine to machine, and lists that grow with the registries.
normalise() {
  sed -E -e "s|$tmp|TMP|g" -e "s|$EMUV_BIN|BIN|g" -e "s|$EMUV_SOURCE|SOURCE|g" \
    -e 's/(valid|known): [a-z0-9 .-]+$/\1: NAMES/' \
    -e 's/[0-9]+\.[0-9]+\.[0-9]+\+g?[0-9a-z]+(-dirty)?/VERSION/g' -e 's/ in [0-9.]+ (us|ms|s)$/ in TIME/' "$1"
}

same() { # FILE EXPECTED
  normalise "$1" >"$1.normal"
  if [ "${EMUV_UPDATE:-0}" = 1 ]; then
    if [ -s "$1.normal" ]; then cp "$1.normal" "$2"; else rm -f "$2"; fi
  elif [ -f "$2" ]; then
    diff -u "$2" "$1.normal" >&2 || fail "output is not that of $2"
  else
    [ ! -s "$1.normal" ] || fail "output where none is expected ($2)"
  fi
}

run() {
  name=$1
  shift
  status "$@"
  same out "$expected/$name.out"
  same err "$expected/$name.err"
}

# Tables whose figures follow the cost model: digits become N, blanks one blank.
shape() { sed -E -e 's/[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?/N/g' -e 's/[+-]N%/N%/g' -e 's/ +/ /g' "$1"; }

nothing_written() { # nothing but the files named is in the work folder
  left=$(find . -mindepth 1 ! -name out ! -name err ! -name '*.normal' $(printf ' ! -name %s' "$@"))
  [ -z "$left" ] || fail "left behind: $left"
}

# All columns but those that are volatile (the environment), exact, in an order of its own.
rows() { # DATABASE
  columns=$(sqlite3 "$1" "SELECT group_concat('quote(' || name || ')', ' || ''|'' || ') FROM pragma_table_info('runs')
    WHERE name <> 'environment'")
  sqlite3 "$1" "SELECT $columns FROM runs ORDER BY run_id"
}
intact() { [ "$(sqlite3 "$1" 'PRAGMA integrity_check')" = ok ] || fail "$1 is damaged"; }
count() { sqlite3 "$1" "SELECT count(*) FROM runs${2:+ WHERE $2}"; }
