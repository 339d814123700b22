#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# trace_truth against false traces: what the captured decode reads, with one operand left out, made shorter or longer, of
# unknown extent, or one too many, must not pass; nor must tensors that no step reads, or caches that are not there.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need python3
truth=$EMUV_BIN/trace_truth doctor=$EMUV_BIN/trace_doctor
recorded=$EMUV_SOURCE/results/traces/llama-1.1b-decode
said=$recorded.parameters.json
matrix=model.layers.3.mlp.gate_proj.weight

status 0 "$truth" "$recorded.emuv" "$said"
has out 'n_missing                  0'
status 0 "$truth" --json "$recorded.emuv" "$said"
has out '"n_extra": 0,'
status 1 "$truth" --exact 99.999 "$recorded.emuv" "$said" # the norms' weights are bounded

for how in remove shorten; do
  status 0 "$doctor" "$recorded.emuv" false.emuv "$said" $how $matrix
  status 0 "$EMUV_BIN/emuv-trace" check false.emuv
  status 1 "$truth" --exact 0 false.emuv "$said"
  has out "missing: name $matrix steps 32 first_step 0"
done
# Still covered, but not by an exact extent: one matrix of 23 MB is 1.1 % of the bytes.
for how in lengthen loosen; do
  status 0 "$doctor" "$recorded.emuv" false.emuv "$said" $how $matrix
  status 1 "$truth" --json false.emuv "$said"
  has out '"n_missing": 0,'
  python3 - <<PYTHON || fail "$how is not listed"
import json
assert any(e["name"] == "$matrix" and e["steps"] == 32 for e in json.load(open("out"))["not_exact"])
PYTHON
done

# change NAME KEY VALUE: the list of tensors, with another use of one of them, or a new one.
change() {
  python3 - "$said" "$@" >changed.json <<'PYTHON'
import json
import sys
said, name, key, value = sys.argv[1:]
tensors = json.load(open(said))
for t in tensors:
    if t["name"] == name:
        t[key] = json.loads(value)
json.dump(tensors, sys.stdout)
PYTHON
}
change $matrix read '"none"' # the trace has a matrix that the step does not read
status 1 "$truth" "$recorded.emuv" changed.json
has out "extra: name $matrix steps 32 first_step 0"
status 0 "$doctor" "$recorded.emuv" false.emuv "$said" loosen $matrix
status 1 "$truth" false.emuv changed.json # bounded, but at a place where that kernel always has an address
has out "extra: name $matrix steps 32 first_step 0"
change $matrix steps '[0, 1, 2]'
status 1 "$truth" "$recorded.emuv" changed.json
has out "extra: name $matrix steps 29 first_step 3"
change $matrix read '"touch"'
status 0 "$truth" "$recorded.emuv" changed.json
status 0 "$doctor" "$recorded.emuv" false.emuv "$said" remove $matrix
status 1 "$truth" false.emuv changed.json
# A tensor that a step leaves alone is safe from operands that begin before it: only an exact one over it is too much.
change $matrix read '"none"'
status 0 "$truth" false.emuv changed.json
status 0 "$doctor" false.emuv added.emuv "$said" add $matrix
status 1 "$truth" added.emuv changed.json
has out "extra: name $matrix steps 32 first_step 0"
change $matrix read '"often"'
status 3 "$truth" "$recorded.emuv" changed.json
echo '{}' >changed.json
status 3 "$truth" "$recorded.emuv" changed.json
status 2 "$truth" "$recorded.emuv"
