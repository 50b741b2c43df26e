#!/bin/sh
# Compiles and links every example of README.md and docs/*.md against a build of proloop, and runs those that end.
#
#   check_examples.sh COMPILER BUILD [LAUNCHER...]
#
# COMPILER is a command, perhaps with options: "gcc -fsanitize=address". BUILD is the folder CMake built in, LAUNCHER
# what programs run under, such as Wine. The compiler takes the options of GCC.
#
# An example is a ```c block whose first line is the comment "example: NAME" (it is compiled) or "example: NAME, runs"
# (it is run too, and must exit with 0). A ```c block without such a line is a mistake. Names are used once. Programs for
# other libraries stand in ```C blocks, which are left alone.
#
# Each page stands in both lists of pages, index.md and index.html.
#
# The last line is "N examples, N run"; the exit code is 0 if nothing failed.
#
# shellcheck disable=SC2086 # $compiler, $libraries are some words
set -eu

usage()
{
    echo 'usage: check_examples.sh COMPILER BUILD [LAUNCHER...]' >&2
    exit 2
}

[ $# -ge 2 ] || usage
compiler=$1
build=$2
shift 2

root=$(cd "$(dirname "$0")/.." && pwd)
warnings='-std=c99 -Wall -Wextra -Wpedantic -Wshadow -Werror'
limit_seconds=60

# The library, and what a static one needs.
case $($compiler -dumpmachine) in
*mingw*)
    suffix=.exe
    libraries='-lws2_32 -lmswsock -lntdll'
    ;;
*)
    suffix=
    libraries='-pthread'
    ;;
esac
library=
for name in libproloop.a libproloop.so libproloop.dylib libproloop.dll.a; do
    if [ -e "$build/$name" ]; then
        library=$build/$name
        break
    fi
done
[ -n "$library" ] || {
    echo "check_examples.sh: there is no library in $build" >&2
    exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
compiled=0
run=0

complain()
{
    echo "check_examples.sh: $*" >&2
    failed=1
}

# Each block goes to NAME.c, those that run are listed in $work/runs, and all of them in $work/names. Lines keep their
# numbers: a compiler's message names the page and the line.
awk -v work="$work" '
    function mistake(text) {
        print "check_examples.sh: " FILENAME ":" FNR ": " text | "cat >&2"
        bad = 1
    }
    FNR == 1 && inside { mistake("the block before has no end"); inside = 0 }
    /^```c[ \t]*$/ { inside = 1; first = 1; file = ""; next }
    /^```/ { if (inside && file) close(file); inside = 0; next }
    inside && first {
        first = 0
        if (!match($0, /^\/\* example: [a-z_0-9]+(, runs)? \*\/$/)) {
            mistake("a ```c block begins with /* example: NAME */ or /* example: NAME, runs */")
            file = ""
            next
        }
        name = $3
        sub(/,$/, "", name)
        if (name in seen)
            mistake("the name " name " was used before")
        seen[name] = 1
        file = work "/" name ".c"
        print name >(work "/names")
        if ($0 ~ /, runs \*\/$/)
            print name >(work "/runs")
        printf "#line %d \"%s\"\n", FNR, FILENAME >file
    }
    inside && file { print >file }
    END { exit bad }
' "$root/README.md" "$root"/docs/*.md || failed=1
touch "$work/names" "$work/runs"

for page in "$root"/docs/*.md; do
    page=${page##*/}
    [ "$page" = index.md ] || grep -q "($page)" "$root/docs/index.md" || complain "index.md does not list $page"
    [ "$page" = index.md ] || grep -q "\"$page\"" "$root/docs/index.html" || complain "index.html does not list $page"
done

while read -r name; do
    if $compiler $warnings -I"$root/include" -I"$build/include" "$work/$name.c" "$library" $libraries \
        -o "$work/$name$suffix" >"$work/log" 2>&1; then
        compiled=$((compiled + 1))
    else
        cat "$work/log" >&2
        complain "$name does not compile"
    fi
done <"$work/names"

while read -r name; do
    [ -e "$work/$name$suffix" ] || continue
    code=0
    LD_LIBRARY_PATH="$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" timeout "$limit_seconds" "$@" "$work/$name$suffix" \
        >"$work/log" 2>&1 </dev/null || code=$?
    if [ "$code" -eq 0 ]; then
        run=$((run + 1))
    else
        cat "$work/log" >&2
        complain "$name ended with exit code $code"
    fi
done <"$work/runs"

[ "$compiled" -gt 0 ] || complain 'there are no examples'
echo "$compiled examples, $run run"
exit "$failed"
