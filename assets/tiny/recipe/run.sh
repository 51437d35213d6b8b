#!/bin/sh
# Builds the tiny checkpoint from nothing; every stage resumes where it stopped.
# usage: run.sh ICONS_JSON    (icons.json of the npm package @iconify-json/noto 1.2.9)
set -e
cd "$(dirname "$0")"
mkdir -p work
PY=${PYTHON:-python3}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} FASTNORM=${FASTNORM-1} FASTOPS=${FASTOPS-1}
[ -f work/stickers.npz ] || $PY -c "import render,sys; render.load('work/stickers.npz', sys.argv[1])" "$1"
[ -f ../tokenizer.json ] || $PY make_tokenizer.py ..
[ -f work/vq1.done ] || { CYCLE=0.1 $PY train_vq.py 1 ${VQ1:-14} 12 2e-3; touch work/vq1.done; }
[ -f work/bank.npz ] || $PY encode_bank.py 4
# the transformer needs only the encoder, which stands still from here on
[ -f work/vq2.done ] || { $PY train_vq.py 2 ${VQ2:-10} 8 1.5e-3; touch work/vq2.done; }
$PY train.py joint ${MINUTES:-90} --lr 2e-3 --decay ${DECAY:-30}
$PY evaluate.py work/joint.ema.pt 50
$PY export.py work/joint.ema.pt ..
$PY check_export.py work/joint.ema.pt ..
