#!/usr/bin/env bash
# A run on a SLURM allocation: a Ray cluster over its nodes, with a token, and the run on the first.
#   sbatch --nodes=4 --gpus-per-node=8 slurm.sh --config multi_node name=first run_root=/shared/runs
# Two minutes before the time is up the run saves a checkpoint and ends; the job is then queued again
# and goes on with --resume. redline has to be installed on all nodes; REDLINE_BIN names its folder.
#SBATCH --job-name=redline
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

bin=${REDLINE_BIN:+$REDLINE_BIN/}
port=${REDLINE_RAY_PORT:-6379}
fail() { echo "slurm.sh: $1" >&2; exit 2; }
[ $# -gt 0 ] || fail "give the arguments of redline train, such as --config multi_node name=first"
[ -n "${SLURM_JOB_NODELIST:-}" ] || fail "is not in an allocation: start it with sbatch"

# One token for the allocation, in a file that only this user reads and all nodes see.
scratch=${REDLINE_SCRATCH:-$HOME/.redline-slurm}/$SLURM_JOB_ID
mkdir -p "$scratch"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$scratch/token
(umask 077; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address)
address=${address%% *}:$port

steps=()
start() {  # node, then arguments of `ray start`: it goes on until it is killed
  srun --nodes=1 --ntasks=1 --nodelist="$1" --overlap --kill-on-bad-exit=0 \
    "${bin}ray" start --block --disable-usage-stats "${@:2}" > "$scratch/$1.log" 2>&1 &
  steps+=($!)
}
run=
cleanup() {
  for step in "${steps[@]}"; do kill "$step" 2> /dev/null || true; done
  wait
  rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap cleanup EXIT

start "$head" --head --port="$port" --node-ip-address="${address%:*}"
deadline=$((SECONDS + ${REDLINE_START_SECONDS:-180}))
until RAY_ADDRESS=$address "${bin}ray" status > /dev/null 2>&1; do
  [ $SECONDS -lt $deadline ] || { cat "$scratch/$head.log" >&2; fail "no Ray on $head in time"; }
  sleep 2
done
for node in "${nodes[@]:1}"; do start "$node" --address="$address"; done
# The run itself refuses to start on fewer nodes than it needs, so wait for all of them.
until [ "$(RAY_ADDRESS=$address "${bin}ray" list nodes --filter state=ALIVE --format json |
           grep -c '"node_id"')" -ge ${#nodes[@]} ]; do
  [ $SECONDS -lt $deadline ] || fail "not all of ${nodes[*]} joined in time: see $scratch"
  sleep 2
done

resume=()
[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || resume=(--resume)
stopped=0
trap 'stopped=1; [ -z "$run" ] || kill -TERM "$run"' TERM
"${bin}redline" train "$@" ray.address="$address" "${resume[@]}" &
run=$!
status=0
wait "$run" || status=$?
# A signal ends `wait` before the run has ended.
while kill -0 "$run" 2> /dev/null; do status=0; wait "$run" || status=$?; done
if [ $stopped = 1 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $status
