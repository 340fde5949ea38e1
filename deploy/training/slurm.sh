#!/bin/sh
# One step in parts on Slurm, then its join:
#   parts=$(sbatch --parsable --array=1-16 slurm.sh shards ARCHIVE)
#   sbatch --dependency=afterok:$parts slurm.sh shards ARCHIVE --join 16
# The array begins at 1. Give the options of the step after its name; run it in the folder of the repository.
#SBATCH --job-name=ich-training
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --requeue
set -eu
exec .venv/bin/python -m training "$@" ${SLURM_ARRAY_TASK_ID:+--part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"}
