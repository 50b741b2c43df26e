#!/bin/sh
# Builds and tests everything that can be tested on this machine, preset by preset (see CMakePresets.json).
#
#   sh scripts/test.sh               all of them
#   sh scripts/test.sh PRESET...     only these, such as: sh scripts/test.sh linux-gcc mingw64
#
# What it needs is installed first, where that is missing (scripts/install.sh). Each preset builds into build/PRESET,
# where a second run goes on from. The exit code is 0 if nothing failed.
#
# The closing table counts cases. The last line is "N passed, N failed", and "N skipped" if some were.
set -eu

cd "$(dirname "$0")/.."
all_presets='linux-gcc linux-clang asan-ubsan tsan valgrind mingw64 clang-cl-wine'
jobs=2
percent_that_may_be_skipped=5

# group_of PRESET: what scripts/install.sh calls its tools
group_of()
{
    case $1 in
    linux-gcc | asan-ubsan | coverage) echo native ;;
    linux-clang | tsan) echo clang ;;
    valgrind) echo valgrind ;;
    mingw64) echo mingw ;;
    clang-cl-wine) echo clang-cl ;;
    *)
        echo "test.sh: no such preset: $1 ($all_presets, coverage)" >&2
        return 2
        ;;
    esac
}

uses_wine()
{
    case $1 in
    mingw64 | clang-cl-wine) return 0 ;;
    *) return 1 ;;
    esac
}

# build PRESET: silent, unless it fails
build()
{
    mkdir -p "build/$1"
    log=build/$1/build.log
    if cmake --preset "$1" >"$log" 2>&1 && cmake --build --preset "$1" -j "$jobs" >>"$log" 2>&1; then
        return 0
    fi
    tail -n 60 "$log"
    return 1
}

# count_cases LOG: "passed failed skipped" of ctest's log. A test counts as the cases it says it ran, or else as one; a
# test that failed has at least one failed case; so has one that said nothing at all: it did not run.
count_cases()
{
    LC_ALL=C awk '
        function close_test() {
            if (!open)
                return
            if (!counted && ok && said)
                p = 1
            if (!(ok && said) && f == 0)
                f = 1
            passed += p; failed += f; skipped += s
        }
        / Testing: / { close_test(); open = 1; counted = 0; ok = 0; said = 0; p = 0; f = 0; s = 0 }
        /^Output:/ { getline; getline; said = $0 != "<end of output>" }
        /^cases: / { counted = 1; p = $2; f = $4; s = $6 }
        /^Test Passed\./ { ok = 1 }
        END { close_test(); print passed + 0, failed + 0, skipped + 0 }
    ' "$1"
}

# run PRESET: builds and tests it; sets passed, failed, skipped
run()
{
    passed=0 failed=1 skipped=0
    build "$1" || return 0
    if uses_wine "$1"; then
        sh scripts/wine.sh --start
    fi
    ctest_log=build/$1/Testing/Temporary/LastTest.log
    rm -f "$ctest_log"
    ctest_code=0
    ctest --preset "$1" -j "$jobs" || ctest_code=$?
    [ -e "$ctest_log" ] || return 0
    counts=$(count_cases "$ctest_log")
    passed=${counts%% *}
    failed=${counts#* }
    failed=${failed% *}
    skipped=${counts##* }
    if [ "$ctest_code" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    if [ $((skipped * 100)) -gt $(((passed + failed + skipped) * percent_that_may_be_skipped)) ]; then
        echo "test.sh: $1: more than $percent_that_may_be_skipped% of the cases were left out"
        failed=$((failed + 1))
    fi
}

clean_up()
{
    if [ "$wine" = yes ]; then
        sh scripts/wine.sh --stop
    fi
}

presets=${*:-$all_presets}
groups=
wine=no
for preset in $presets; do
    group=$(group_of "$preset")
    groups="$groups $group"
    if uses_wine "$preset"; then
        wine=yes
    fi
done
# shellcheck disable=SC2086 # some words
sh scripts/install.sh $groups
trap clean_up EXIT
trap 'exit 130' INT TERM

table=
all_passed=0 all_failed=0 all_skipped=0
for preset in $presets; do
    printf '\n== %s\n' "$preset"
    began=$(date +%s)
    run "$preset"
    table="$table$(printf '%-16s %7d %7d %9d %6d s' "$preset" "$passed" "$failed" "$skipped" $(($(date +%s) - began)))
"
    all_passed=$((all_passed + passed))
    all_failed=$((all_failed + failed))
    all_skipped=$((all_skipped + skipped))
done

printf '\n%-16s %7s %7s %9s %8s\n%s\n' preset passed failed 'left out' time "$table"
if [ "$all_skipped" -eq 0 ]; then
    echo "$all_passed passed, $all_failed failed"
else
    echo "$all_passed passed, $all_failed failed, $all_skipped skipped"
fi
[ "$all_failed" -eq 0 ]
