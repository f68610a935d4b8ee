#!/usr/bin/env bash
# The whole run as one job of Slurm, for sites that end long processes on their login nodes:
#   sbatch inside-a-job.sh --archive /shared/gaia --workdir /shared/me/dr3
# Five minutes before its end the driver is told to stop; submit it again and it goes on.
#SBATCH --job-name=catalog-builder
#SBATCH --ntasks=33
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=4500M
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --output=catalog-builder-%j.log
set -euo pipefail

# CORRECT: what makes `catalog-builder` known on a compute node.
# module load python/3.12 && source /shared/me/venv/bin/activate

# 32 workers; the place of the 33rd task is the driver's and the scheduler's. `exec`: the signal
# reaches the driver and not this shell.
exec catalog-builder run --cluster srun --workers 32 --set cluster.memory_limit=3GiB "$@"
