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
# The tree is copied to build/semantics/tree and changed there only. A test is red if it fails, stops the program or
# hangs. A test that stays green is a failure of this script: the test has to become better, not the table.
#
# The last line is "N statements: N red, N not". The exit code is 0 if all are red.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/.."
root=$PWD
table=$root/tests/semantics.txt
document=$root/docs/semantics.md
work=$root/build/semantics
tree=$work/tree
limit_seconds=10
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

# changed FILE IN OLD NEW SED: the same for both kinds of changes
changed()
{
    if [ -z "$5" ]; then
        change "$1" "$2" "$3" "$4"
        return
    fi
    sed "$5" "$1" >"$work/sed" || return 1
    cat "$work/sed"
    [ "$(diff "$1" "$work/sed" | grep -c '^[<>]')" -eq 2 ]
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

# Only what differs is copied, so that a second run compiles little.
copy_tree()
{
    mkdir -p "$tree"
    (cd "$tree" && find . -type f) | while read -r path; do
        [ -e "$path" ] || rm -f "$tree/$path"
    done
    find . \( -path ./build -o -path ./out -o -path ./.git \) -prune -o -type f -print | while read -r path; do
        cmp -s "$path" "$tree/$path" && continue
        mkdir -p "$tree/${path%/*}"
        cp "$path" "$tree/$path"
    done
}

# build TARGET...: silent; what it said is in the log
build()
{
    cmake --build "$work/build" -j "$jobs" --target "$@" >"$work/log" 2>&1
}

# run_test TEST: its exit code
run_test()
{
    target=$(program_of "$1")
    code=0
    if [ "$target" = proloop_abort_program ]; then
        timeout -s KILL "$limit_seconds" cmake -D "PROGRAM=$work/build/tests/$target" -D "CASE=${1##*.}" \
            -P "$root/tests/aborts.cmake" >"$work/output" 2>&1 || code=$?
    else
        # The outer redirection is for what the shell itself says of a program that was stopped. Tests of files make
        # theirs where they are.
        (
            cd "$work"
            # shellcheck disable=SC3045 # every shell of the systems this runs on has it
            ulimit -c 0
            timeout -s KILL "$limit_seconds" "$work/build/tests/$target" --gtest_filter="$1" >"$work/output" 2>&1
            exit "$?"
        ) 2>"$work/shell" || code=$?
        if [ "$code" -eq 0 ] && ! grep -q '^cases: [1-9][0-9]* passed' "$work/output"; then
            code=1
        fi
    fi
    return "$code"
}

# verdict TEST FILE: of the changed tree, in a word
verdict()
{
    if ! build "$(program_of "$1")"; then
        echo 'does not compile'
        return
    fi
    code=0
    run_test "$1" || code=$?
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

is_red()
{
    [ "$1" = fails ] || [ "$1" = hangs ] || [ "$1" = 'stops the program' ]
}

run()
{
    copy_tree
    cmake -S "$tree" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
    build proloop_tests proloop_shim_tests proloop_abort_program || { cat "$work/log"; return 1; }
    records >"$work/records"
    : >"$work/results"
    red=0 others=0
    while IFS=$separator read -r section statement test file place old new expression; do
        result=
        if ! changed "$file" "$place" "$old" "$new" "$expression" >"$work/changed"; then
            result='no place, or several'
        elif ! build "$(program_of "$test")" || ! run_test "$test"; then
            result='red without the change'
        else
            cp "$work/changed" "$tree/$file"
            result=$(verdict "$test")
            cp "$file" "$tree/$file"
        fi
        if is_red "$result"; then
            red=$((red + 1))
        else
            others=$((others + 1))
        fi
        printf '%-18s %s: %s (%s)\n' "$result" "$section" "$statement" "$test"
        echo "$result" >>"$work/results"
    done <"$work/records"
    count="$((red + others)) statements: $red red, $others not"
    if [ -z "$filter" ]; then
        write_document "$work/results" >"$document"
    fi
    echo "$count"
    [ "$others" -eq 0 ]
}

# --- The document -----------------------------------------------------------------------------------------------------

# write_document RESULTS: a line of results for each record
write_document()
{
    cat <<'END'
# The scheduler's semantics, and what proves them

Loop, futures and tasks behave as CPython's asyncio does, in C. Each statement below is held by a test. What proves that
the test holds it: somebody broke the statement by changing one line of the library, and the test turned red. The script
`scripts/semantics.sh` does that for all of them and writes this page from `tests/semantics.txt`; the suite
`semantics` of `ctest` checks that each change still has its place and each test is there.

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
