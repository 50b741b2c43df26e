#!/bin/sh
# Runs a Windows program under Wine, in a prefix of this project's own with its server already running.
#
#   sh scripts/wine.sh PROGRAM [ARGUMENT...]   runs it; the first time this makes the prefix, which takes some seconds
#   sh scripts/wine.sh --start                 makes the prefix and starts its server
#   sh scripts/wine.sh --stop                  stops the server, and every program that runs there
#
# The prefix is $WINEPREFIX, or build/wine. The server stays until it is stopped: without it each program would wait for
# its own.
set -eu

WINEPREFIX=${WINEPREFIX:-$(cd "$(dirname "$0")/.." && pwd)/build/wine}
WINEDEBUG=${WINEDEBUG:--all}
WINEDLLOVERRIDES='mscoree=;mshtml=;winedbg.exe=d'
export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES
unset DISPLAY

# The server outlives this script: it must not hold the caller's pipes open, nor the lock.
quietly()
{
    "$@" </dev/null >/dev/null 2>&1 9>&-
}

# Fails where one runs already.
start_server()
{
    quietly "$server" -p || :
}

find_server()
{
    for server in wineserver /usr/lib/wine/wineserver64 /usr/lib/wine/wineserver; do
        if command -v "$server"; then
            return
        fi
    done
    echo 'wine.sh: there is no wineserver: install Wine (scripts/install.sh does)' >&2
    return 1
}

make_prefix()
{
    quietly wine cmd /c exit 0
    quietly wine winecfg -v win10
    : >"$WINEPREFIX/.proloop-ready"
}

# Of several at once, one makes the prefix and the others wait for it.
start()
{
    if [ ! -e "$WINEPREFIX/.proloop-ready" ]; then
        mkdir -p "$WINEPREFIX"
        (
            flock 9
            start_server
            [ -e "$WINEPREFIX/.proloop-ready" ] || make_prefix
        ) 9>"$WINEPREFIX/.proloop-lock"
    fi
    start_server
}

server=$(find_server)
case ${1-} in
--start)
    start
    ;;
--stop)
    quietly "$server" -k || :
    ;;
*)
    start
    exec wine "$@"
    ;;
esac
