#!/bin/sh
# What is too long for CI, in turns for HOURS (default 1): a server on a hostile machine (tests/soak, where this
# machine lets it: root), the simulator seed by seed, and now and then the crash tests.
#     soak.sh [HOURS=n]
# A failure prints its seed and ends the run.
set -eu
cd "$(dirname "$0")/.."
hours=1
for argument; do
    case $argument in
    HOURS=[0-9]*) hours=${argument#HOURS=} ;;
    *) echo "soak: no argument '$argument'; HOURS=n is the only one" >&2 && exit 2 ;;
    esac
done
end=$(($(date +%s) + hours * 3600))
seed=$(date +%s) # another run looks at other seeds
rounds=0
hostile=0
while [ "$(date +%s)" -lt "$end" ]; do
    if [ $((rounds % 20)) -eq 0 ] && [ "$hostile" -ne 77 ]; then
        hostile=0
        python3 -B tests/soak/soak.py build/insula build/tests/soak/insula_soak_clock.so --seed "$seed" || hostile=$?
        [ "$hostile" -eq 0 ] || [ "$hostile" -eq 77 ] || exit 1
    fi
    build/tests/sim/insula-sim --seed "$seed" || { echo "soak: failed with --seed $seed" >&2 && exit 1; }
    seed=$((seed + 1))
    rounds=$((rounds + 1))
    [ $((rounds % 100)) -ne 0 ] || meson test -C build --suite crash --print-errorlogs
done
echo "soak: $rounds seeds in $hours h, none failed"
