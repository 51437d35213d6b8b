#!/bin/sh
# Builds the tiny checkpoint from nothing in fixed stages; every stage resumes where it stopped, the seeds are fixed.
# usage: run.sh ICONS_JSON [--preset cpu|gpu] [--minutes N] [--out FOLDER]
#   ICONS_JSON  icons.json of the npm package @iconify-json/noto 1.2.9
#   --preset    cpu: one core; gpu: one large CUDA device and all cores for data (presets.json)
#   --minutes   of training in all: a quarter for the picture tokenizer, the rest for the transformer
#   --out       where the checkpoint goes
set -e
ICONS=$(realpath "$1"); shift
cd "$(dirname "$0")"
PRESET=cpu MINUTES=240 OUT=..
while [ $# -gt 0 ]; do
  case $1 in
    --preset) PRESET=$2 ;;
    --minutes) MINUTES=$2 ;;
    --out) OUT=$2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
mkdir -p work "$OUT"
PY=${PYTHON:-python3}
export TINY_TOKENIZER="$OUT/tokenizer.json"
part() { $PY -c "print($MINUTES * $1)"; }
if [ "$PRESET" = gpu ]; then
  export DEVICE=cuda OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
  BATCH1=96 BATCH2=64
else
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} FASTNORM=${FASTNORM-1} FASTOPS=${FASTOPS-1}
  BATCH1=12 BATCH2=8
fi
once() { name=$1; shift; [ -f "work/$name.done" ] || { echo "== $name $(date +%T)"; "$@"; touch "work/$name.done"; }; }
once stickers $PY -c "import render,sys; render.load('work/stickers.npz', sys.argv[1])" "$ICONS"
once tokenizer $PY make_tokenizer.py "$OUT"
CYCLE=0.1 once vq1 $PY train_vq.py 1 "$(part 0.12)" $BATCH1 2e-3
# the transformer needs only the encoder, which stands still from here on
once bank $PY encode_bank.py ${BANK:-4}
once vq2 $PY train_vq.py 2 "$(part 0.12)" $BATCH2 1.5e-3
# the rate at the start, the mix of tasks and the decay are those of stages.json
once joint $PY train.py joint "$(part 0.76)" --preset "$PRESET" --stages stages.json
once scores $PY evaluate.py work/joint.ema.pt ${ITEMS:-60} --json=work/scores.json
$PY export.py work/joint.ema.pt "$OUT"
$PY check_export.py work/joint.ema.pt "$OUT"
