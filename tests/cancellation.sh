#!/bin/sh
# Is every call that can be cancelled in docs/cancellation.md? Asked of the headers: a function whose docstring says that it is
# a task call, or that it suspends or wants a task, or that has a _start with an operation, must have a row in one of the tables.
#
#   sh tests/cancellation.sh SOURCE_FOLDER
set -eu
cd "$1"

# The names of the functions that wait, from a header whose comments stand before what they are about.
calls()
{
    awk '
        function waits(text)
        {
            gsub(/ +/, " ", text)
            gsub(/[Nn]ever suspends|[Dd]oes not suspend/, "", text)
            return text ~ /Task call|[Ss]uspends|PL_ENOTASK/
        }
        /^\/\*\*/ { text = ""; inside = 1 }
        inside { line = $0; sub(/^ *\/?\*+\/?/, "", line); text = text " " line }
        /\*\// { if (inside) inside = 0; next }
        inside { next }
        /^$/ { text = "" }
        /^PL_API/ {
            name = $0
            sub(/\(.*/, "", name)
            sub(/.*[ *]/, "", name)
            sub(/_here$/, "", name) # what a macro of that name calls
            if ($0 ~ /_start\(pl_op \*/) {
                sub(/_start$/, "", name)
                print name
            } else if (waits(text)) {
                print name
            }
        }
    ' "$@" | sort -u
}

missing=0
count=0
for name in $(calls include/proloop/*.h); do
    count=$((count + 1))
    if ! grep -q "^|.*\`$name[\`(]" docs/cancellation.md; then
        echo "docs/cancellation.md has no row for $name"
        missing=$((missing + 1))
    fi
done
echo "$count calls, $missing without a row"
[ "$missing" -eq 0 ] && [ "$count" -gt 60 ] # else the headers look different now, and this finds nothing
