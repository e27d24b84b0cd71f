#!/bin/bash
# midtrain: mine, submission 1, by profile slurm-h100
#SBATCH --job-name="midtrain-mine"
#SBATCH --comment="0123456789abcdef"
#SBATCH --output="/lustre/runs/mine/launch/1/%j.out"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=96
#SBATCH --mem="0"
#SBATCH --gres="gpu:h100:8"
#SBATCH --time="0-12:00:00"
#SBATCH --signal="B:USR1@900"
#SBATCH --partition="preemptible"
#SBATCH --account="alignment"
#SBATCH --qos="normal"
#SBATCH --constraint="h100"

# The run of this task; `midtrain job` reads it from the environment.
runs=(
  /lustre/runs/mine
)
id=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}  # of this task alone, which its number is not
export MIDTRAIN_RUN=${runs[${SLURM_ARRAY_TASK_ID:-0}]}
export MIDTRAIN_JOB=slurm:$id
mkdir -p "$MIDTRAIN_RUN/logs" && exec >>"$MIDTRAIN_RUN/logs/job.log" 2>&1 || exit 6
say() { echo "$(date +%FT%T) $MIDTRAIN_JOB: $*"; }

export NCCL_IB_HCA==mlx5_0,mlx5_1,mlx5_2,mlx5_3,mlx5_4,mlx5_5,mlx5_6,mlx5_7
export NCCL_SOCKET_IFNAME=bond0
export NCCL_DEBUG=WARN

# A Ray cluster of this job's own: a token that nobody else knows, a port that no other job on the node is likely to have taken.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN
restarts=${SLURM_RESTART_COUNT:-0}
export MIDTRAIN_CLUSTER=$SLURM_JOB_ID.$restarts
nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
head=${nodes[0]}
address=$head:$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
say "on $SLURM_JOB_NODELIST, restart $restarts of 50"

# Ray's steps end when nobody holds the other end of their standard input any more: with this script, however it ends.
hold=$(mktemp -u /tmp/midtrain-hold-XXXXXX)
mkfifo "$hold" && exec 9<>"$hold" 8<"$hold" || { say "no pipe in /tmp of $(hostname)"; exit 6; }
rm "$hold"

inside=()
# The steps stand side by side, and none takes another down: only the run decides when it has saved.
run_step() { exec srun --overlap --wait=0 --kill-on-bad-exit=0 --cpus-per-task=96 --container-image=/lustre/images/midtrain-cuda.sqsh --container-mounts=/tmp:/tmp,/lustre:/lustre "$@"; }
node=("${inside[@]}" python -P -m orchestrator.scheduling.ray_node --address "$address" --num-cpus 8 --num-gpus 8)
run_step --nodes=1 --ntasks=1 --nodelist="$head" "${node[@]}" --head 9>&- <&8 &
steps=($!)
run_step --nodes=7 --ntasks=7 --ntasks-per-node=1 --relative=1 --input=all "${node[@]}" 9>&- <&8 &
steps+=($!)
export RAY_ADDRESS=$address
run_step --nodes=1 --ntasks=1 --nodelist="$head" --gres=none "${inside[@]}" midtrain job 9>&- </dev/null &
driver=$!

# Whoever asks this script to stop asks the run to save first.
trap 'say "asked to stop"; kill -USR1 "$driver"' USR1 USR2 HUP TERM
is_up() { kill -0 "$1" 2>/dev/null; }
lost=
look_at_steps() {
  for step in "${steps[@]}"; do
    if [ -z "$lost" ] && ! is_up "$step"; then
      lost=yes
      say "a step of Ray has ended before the run"
    fi
  done
}
while is_up "$driver"; do
  sleep 1 &
  wait $!
  before=$lost
  look_at_steps
  [ "$before" = "$lost" ] || kill -USR1 "$driver" 2>/dev/null
done
wait "$driver"
code=$?
look_at_steps
trap : USR1 USR2 HUP TERM  # there is nobody left to ask
exec 9>&-
say "midtrain job ended with exit code $code"
for step in "${steps[@]}"; do
  for _ in {1..30}; do is_up "$step" && sleep 1; done
done

# Again, where it stopped: on 75 (EX_TEMPFAIL), and when a node was lost that Slurm has not noticed. What the run itself has ended with stays
# (0 done, 2 the user's, 3 data, 5 numerics). A job that has been requeued or cancelled meanwhile is not this script's any more.
case "$code" in
  75 | 129 | 130 | 138 | 140 | 143) again=yes ;;  # the latter: a signal, before there was anything to save
  0 | 2 | 3 | 5 | 126 | 127) again= ;;
  *) again=$lost ;;
esac
# Nodes on which nothing even begins are tried a few times in a row, not max_restarts times.
begun=$(grep -os "\"cluster\": \"$SLURM_JOB_ID\.[0-9]*" "$MIDTRAIN_RUN/attempts.jsonl" | tail -n 1)
begun=${begun##*.}
if [ -n "$again" ] && [ $((restarts - ${begun:--1})) -ge 5 ]; then
  say "not requeued: five starts in a row, and no attempt began. What the nodes said is above; go on with: midtrain resume $MIDTRAIN_RUN"
  again=
fi
patiently() { for pause in 5 10 20 40 60 60 60 0; do timeout 60 "$@" && return 0; sleep $pause; done; return 1; }
if [ -n "$again" ]; then
  facts=$(patiently scontrol show job --oneliner "$id")
  case "$facts" in
    *JobState=RUNNING*" Restarts=$restarts "*)
      if [ "$restarts" -ge 50 ]; then
        say "not requeued: launch.max_restarts=50 are spent. Go on with: midtrain resume $MIDTRAIN_RUN"
      elif patiently scontrol requeue "$id"; then
        say "requeued"
        code=0
      else
        say "not requeued: the controller does not answer. Go on with: midtrain resume $MIDTRAIN_RUN"
      fi ;;
    *) say "not requeued: the job is $(echo "$facts" | grep -o 'JobState=[A-Z_]*' || echo unknown) by now" ;;
  esac
fi
exit "$code"
