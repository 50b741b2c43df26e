#!/bin/sh
# Proves that the tests hold the scheduler's semantics: each statement of tests/semantics.txt is broken, one after the
# other, by changing one line of the library, and the test it names must turn red.
#
#   sh scripts/semantics.sh            all statements; writes docs/semantics.md
#   sh scripts/semantics.sh FILTER     those in whose record the text FILTER stands; writes nothing
#   sh scripts/semantics.sh --check [FILTER]
#                                      builds nothing: each change still has exactly one place, each test exists, and
#                                      docs/semantics.md is of this table
#
# Library and tests are built once, as they are. For each statement only the changed file is compiled, from a copy of the
# sources that is changed, and linked before the library: the linker then takes nothing from the library that the file
# has too. After a change of a header all files of the library are compiled. SEMANTICS_JOBS statements (2) are tried at a
# time. A test is red if it fails, stops the program or hangs. A test that stays green is a failure of this script: the
# test has to become better, not the table.
#
# The last line is "N statements: N red, N not". The exit code is 0 if all are red.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/.."
root=$PWD
table=$root/tests/semantics.txt
document=$root/docs/semantics.md
work=$root/build/semantics
build=$work/build
limit_seconds=5
jobs=${SEMANTICS_JOBS:-2}
separator=$(printf '\001')

# records: a line for each statement that has a test: section, statement, test, file, in, old, new, sed
records()
{
    awk -v filter="$filter" '
        function field(name) { return name in fields ? fields[name] : "" }
        function finish() {
            if (statement != "") {
                line = section "\001" statement "\001" field("test") "\001" field("file") "\001" field("in") "\001" \
                       field("old") "\001" field("new") "\001" field("sed")
                if (field("test") != "" && (filter == "" || index(line, filter)))
                    print line
            }
            statement = ""
            split("", fields)
        }
        /^#/ { next }
        /^= / { finish(); section = substr($0, 3); next }
        /^$/ { finish(); next }
        /^  / {
            key = $1
            text = $0
            sub(/^ *[a-z]+ */, "", text)
            fields[key] = text
            next
        }
        { statement = statement == "" ? $0 : statement " " $0 }
        END { finish() }
    ' "$table"
}

# change FILE IN OLD NEW: the file with that change; exit code 1 if it has no place or several. IN, if any, stands in the
# first line of the function that is meant.
change()
{
    place=$2 old=$3 new=$4 awk '
        BEGIN { place = ENVIRON["place"]; old = ENVIRON["old"]; new = ENVIRON["new"]; inside = place == "" }
        place != "" && /^[^ }{#*\/]/ && index($0, place) && !/;$/ { inside = 1; functions++ }
        inside && (at = index($0, old)) {
            count++
            $0 = substr($0, 1, at - 1) new substr($0, at + length(old))
        }
        { print }
        place != "" && /^}/ { inside = 0 }
        END { exit !(count == 1 && (place == "" || functions == 1)) }
    ' "$1"
}

# changed FILE IN OLD NEW SED: the same for both kinds of changes. One with sed is of one line.
changed()
{
    if [ -z "$5" ]; then
        change "$1" "$2" "$3" "$4"
        return
    fi
    sed "$5" "$1" || return 1
    [ "$(sed "$5" "$1" | diff "$1" - | grep -c '^<')" -eq 1 ]
}

# program_of TEST: the target that has it
program_of()
{
    suite=${1%%[./]*}
    if [ "$suite" = abort ]; then
        echo proloop_abort_program
    elif grep -qx "X($suite)" tests/shim_suites.h; then
        echo proloop_shim_tests
    else
        echo proloop_tests
    fi
}

test_exists()
{
    suite=${1%%[./]*}
    case=${1##*.}
    if [ "$suite" = abort ]; then
        grep -q "^    {\"$case\"," tests/abort_program.c
        return
    fi
    grep -qx "X($suite)" tests/suites.h tests/shim_suites.h && grep -q "CASE($case)[,)]" "tests/${suite}_test.c"
}

# --- Check ------------------------------------------------------------------------------------------------------------

check()
{
    failed=0
    count=0
    mkdir -p "$work"
    records >"$work/records"
    while IFS=$separator read -r section statement test file place old new expression; do
        count=$((count + 1))
        if ! test_exists "$test"; then
            echo "semantics.sh: no such test: $test ($section: $statement)"
            failed=$((failed + 1))
        fi
        if ! changed "$file" "$place" "$old" "$new" "$expression" >"$work/changed" || cmp -s "$file" "$work/changed"; then
            echo "semantics.sh: $file: not exactly one place: $place $old$expression ($section: $statement)"
            failed=$((failed + 1))
        fi
    done <"$work/records"
    if [ -z "$filter" ]; then
        write_document /dev/null | sed 's/ [^|]*|$//' | grep '^|' >"$work/wanted" || true
        if ! sed 's/ [^|]*|$//' "$document" 2>&1 | grep '^|' | cmp -s - "$work/wanted"; then
            echo 'semantics.sh: docs/semantics.md is not of this table: run scripts/semantics.sh'
            failed=$((failed + 1))
        fi
    fi
    echo "$count statements, $failed mistakes"
    [ "$failed" -eq 0 ]
}

# --- Run --------------------------------------------------------------------------------------------------------------

# run_test PROGRAM TEST DIRECTORY: its exit code. Tests of files make theirs in the directory.
run_test()
{
    code=0
    if [ "${1##*/}" = proloop_abort_program ]; then
        timeout -s KILL "$limit_seconds" cmake -D "PROGRAM=$1" -D "CASE=${2##*.}" -P "$root/tests/aborts.cmake" \
            >"$3/output" 2>&1 || code=$?
    else
        # The outer redirection is for what the shell itself says of a program that was stopped.
        (
            cd "$3"
            # shellcheck disable=SC3045 # every shell of the systems this runs on has it
            ulimit -c 0
            timeout -s KILL "$limit_seconds" "$1" --gtest_filter="$2" >output 2>&1
            exit "$?"
        ) 2>"$3/shell" || code=$?
        if [ "$code" -eq 0 ] && ! grep -q '^cases: [1-9][0-9]* passed' "$3/output"; then
            code=1
        fi
    fi
    return "$code"
}

# compile DIRECTORY FILE: the file of the sources in the directory, into an object there. The command is that of the
# build, with other paths.
compile()
{
    grep " $root/$2\$" "$work/commands" | sed "s|$root/src|$1/src|g; s|$root/include|$1/include|g; \
        s| -o [^ ]*| -o $1/objects/$(echo "$2" | tr / .).o|; s| -MF [^ ]*| -MF $1/dependencies|" >"$1/command"
    [ "$(wc -l <"$1/command")" -eq 1 ] && (cd "$build" && sh "$1/command") >"$1/log" 2>&1
}

# build_changed DIRECTORY FILE PROGRAM: links DIRECTORY/PROGRAM with what the change of FILE changes
build_changed()
{
    rm -rf "$1/objects"
    mkdir "$1/objects"
    case $2 in
    *.h)
        sed "s|.* $root/||" "$work/commands" | grep '^src/.*\.c$' >"$1/files"
        while read -r path; do
            compile "$1" "$path" || return 1
        done <"$1/files"
        ;;
    *) compile "$1" "$2" || return 1 ;;
    esac
    sed "s| -o tests/$3 | -o $1/$3 $(echo "$1"/objects/*.o) |" "$work/$3.link" >"$1/command"
    (cd "$build" && sh "$1/command") >"$1/log" 2>&1
}

# verdict DIRECTORY TEST FILE PROGRAM: of the changed sources there, in a word
verdict()
{
    if ! build_changed "$1" "$3" "$4"; then
        echo 'does not compile'
        return
    fi
    code=0
    run_test "$1/$4" "$2" "$1" || code=$?
    if [ "$code" -eq 0 ]; then
        echo green
    elif [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then # 128 and SIGKILL, of timeout
        echo hangs
    elif [ "$code" -ge 128 ]; then
        echo 'stops the program'
    else
        echo fails
    fi
}

# try_records JOB: every so many-th record, one after the other; RESULT lines with the number of the record before them
try_records()
{
    directory=$work/$1
    rm -rf "$directory"
    mkdir -p "$directory"
    cp -R src include "$directory"
    : >"$directory/results"
    number=0
    while IFS=$separator read -r section statement test file place old new expression; do
        number=$((number + 1))
        [ $((number % jobs + 1)) -eq "$1" ] || continue
        program=$(program_of "$test")
        if ! changed "$file" "$place" "$old" "$new" "$expression" >"$directory/changed"; then
            result='no place, or several'
        elif ! run_test "$build/tests/$program" "$test" "$directory"; then
            result='red without the change'
        else
            cp "$directory/changed" "$directory/$file"
            result=$(verdict "$directory" "$test" "$file" "$program")
            cp "$file" "$directory/$file"
        fi
        printf '%-18s %s: %s (%s)\n' "$result" "$section" "$statement" "$test"
        echo "$number $result" >>"$directory/results"
    done <"$work/records"
}

# Without debugging information, which takes most of the time.
build_all()
{
    mkdir -p "$work"
    if ! cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE= -DCMAKE_C_FLAGS=-O0 -DCMAKE_CXX_FLAGS=-O0 >"$work/log" 2>&1 ||
        ! cmake --build "$build" -j "$jobs" --target proloop_tests proloop_shim_tests proloop_abort_program \
            >"$work/log" 2>&1; then
        cat "$work/log"
        return 1
    fi
    ninja -C "$build" -t commands proloop_tests | grep " -c $root/src/" >"$work/commands"
    for program in proloop_tests proloop_shim_tests proloop_abort_program; do
        ninja -C "$build" -t commands "$program" | grep " -o tests/$program " >"$work/$program.link"
    done
}

run()
{
    build_all
    records >"$work/records"
    rm -rf "$work"/[0-9]*
    workers=
    job=0
    while [ "$job" -lt "$jobs" ]; do
        job=$((job + 1))
        try_records "$job" &
        workers="$workers $!"
    done
    # shellcheck disable=SC2064,SC2086 # those that there are now
    trap "kill $workers" INT TERM
    wait
    cat "$work"/[0-9]*/results | sort -n | sed 's/^[0-9]* //' >"$work/results"
    total=$(wc -l <"$work/results")
    if [ "$total" -ne "$(wc -l <"$work/records")" ]; then
        echo 'semantics.sh: stopped before the last statement'
        return 1
    fi
    red=$(grep -c -e '^fails$' -e '^hangs$' -e '^stops the program$' "$work/results" || true)
    if [ -z "$filter" ]; then
        write_document "$work/results" >"$document"
    fi
    echo "$total statements: $red red, $((total - red)) not"
    [ "$total" -eq "$red" ]
}

# --- The document -----------------------------------------------------------------------------------------------------

# write_document RESULTS: a line of results for each record
write_document()
{
    cat <<'END'
# The scheduler's semantics, and what proves them

Loop, futures, tasks and what is built on them behave as CPython's asyncio does, in C. Each statement below is held by a
test. What proves that the test holds it: somebody broke the statement by changing one line of the library, and the test
turned red. The script `scripts/semantics.sh` does that for all of them and writes this page from
`tests/semantics.txt`; the suite `semantics` of `ctest` checks that each change still has its place and each test is
there.

A test is named SUITE/BACKEND.CASE, a filter of GoogleTest: `proloop_tests --gtest_filter='loop/*.NAME'`; `abort.CASE` is
a test of `ctest`, a program that ends on purpose. *Fails*, *stops the program* (an invariant was checked, or memory
touched that is not there) and *hangs* are the ways to be red.
END
    awk -v results="$1" '
        function escaped(text) { gsub(/\|/, "\\|", text); return text }
        function code(text) { return "`" escaped(text) "`" }
        function field(name) { return name in fields ? fields[name] : "" }
        function broken() {
            if (field("sed") != "")
                return code(field("file")) ": " code("sed " field("sed"))
            where = field("in") == "" ? code(field("file")) : code(field("file")) ", " code(field("in"))
            return where ": " code(field("old")) " → " (field("new") == "" ? "nothing" : code(field("new")))
        }
        function finish() {
            if (statement == "")
                return
            if (field("test") == "") {
                if (body != "list")
                    print ""
                body = "list"
                print "- " statement
            } else {
                result = "?"
                if (results != "/dev/null")
                    getline result < results
                count[result]++
                total++
                if (body != "table")
                    print "\n| statement | test | what was broken | result |\n|---|---|---|---|"
                body = "table"
                print "| " escaped(statement) " | " code(field("test")) " | " broken() " | " result " |"
            }
            statement = ""
            split("", fields)
        }
        /^#/ { next }
        /^= / { finish(); print "\n## " substr($0, 3); body = ""; next }
        /^$/ { finish(); next }
        /^  / {
            key = $1
            text = $0
            sub(/^ *[a-z]+ */, "", text)
            fields[key] = text
            next
        }
        { statement = statement == "" ? $0 : statement " " $0 }
        END {
            finish()
            red = count["fails"] + count["stops the program"] + count["hangs"]
            printf "\n%d statements: %d red (%d fail, %d stop the program, %d hang), %d not.\n", total, red, \
                   count["fails"], count["stops the program"], count["hangs"], total - red
        }
    ' "$table"
}

action=run
filter=
for argument; do
    case $argument in
    --check) action=check ;;
    -*)
        echo 'usage: semantics.sh [--check] [FILTER]' >&2
        exit 2
        ;;
    *) filter=$argument ;;
    esac
done
if [ "$action" = check ]; then
    check
else
    run
fi
