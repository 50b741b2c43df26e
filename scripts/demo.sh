#!/bin/sh
# Shows proloop at work on a fresh Debian: builds the samples, serves pages and echoes over TCP to hundreds of clients,
# stops the servers with Ctrl-C, and checks every answer. It takes a minute or two, and only talks to this machine.
#
#   sh scripts/demo.sh             the programs built for this system
#   sh scripts/demo.sh --windows   the programs built for Windows, run under Wine
#
# Exit code 0: everything was as it should be. Otherwise a message that begins with "demo.sh:" says what was not.
#
# shellcheck disable=SC2086 # $run and $toolchain are some words, or none
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

connections=200
load_seconds=5
start_seconds=60 # the first start under Wine is slow
stop_seconds=20
limit_seconds=120 # of any one command but the build

fail()
{
    echo "demo.sh: $*" >&2
    exit 1
}

say()
{
    printf '\n== %s\n' "$*"
}

# --- the servers: a file each for the output, the errors, the process and the exit code -------------------------

# start NAME COMMAND...: runs it in the background until it listens; $address is what it printed.
start()
{
    name=$1
    shift
    : >"$work/$name.out"
    (
        # A shell starts background commands with Ctrl-C ignored; a terminal's user does not.
        env --default-signal=INT "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
        echo $! >"$work/$name.process"
        code=0
        wait $! || code=$?
        echo "$code" >"$work/$name.code"
    ) 2>/dev/null &
    tries=$((start_seconds * 10))
    until address=$(tr -d '\r' <"$work/$name.out" | sed -n 's/^listening on //p') && [ -n "$address" ]; do
        [ ! -e "$work/$name.code" ] || fail "$name ended as soon as it was started: $(cat "$work/$name.err")"
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$name did not listen within $start_seconds s"
        sleep 0.1
    done
    echo "$name listens on $address"
}

# stop NAME: Ctrl-C, and the exit code must be 0.
stop()
{
    name=$1
    [ ! -e "$work/$name.code" ] || fail "$name ended before it was asked to: $(cat "$work/$name.err")"
    kill -INT "$(cat "$work/$name.process")"
    tries=$((stop_seconds * 10))
    until [ -s "$work/$name.code" ]; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$name did not end within $stop_seconds s of Ctrl-C"
        sleep 0.1
    done
    code=$(cat "$work/$name.code")
    rm "$work/$name.process" "$work/$name.code"
    [ "$code" -eq 0 ] || fail "$name ended with exit code $code: $(cat "$work/$name.err")"
    echo "Ctrl-C: $name ended with exit code 0"
}

clean_up()
{
    for process in "$work"/*.process; do
        [ ! -e "$process" ] || kill -KILL "$(cat "$process")" 2>/dev/null || :
    done
    wait
    if [ "$windows" = yes ]; then
        sh scripts/wine.sh --stop || :
    fi
    rm -rf "$work"
}

# --- what is checked --------------------------------------------------------------------------------------------

# fetch PATH [OPTION...]: the page into $work/body, its headers into $work/head; prints the status.
fetch()
{
    path=$1
    shift
    : >"$work/body"
    curl --silent --show-error --noproxy '*' --path-as-is --max-time 20 --output "$work/body" \
        --dump-header "$work/head" --write-out '%{http_code}' "$@" "$site$path" ||
        fail "curl could not fetch $site$path"
}

# expect STATUS PATH [OPTION...]
expect()
{
    wanted=$1
    shift
    status=$(fetch "$@")
    [ "$status" = "$wanted" ] || fail "GET $1 was answered with $status, not with $wanted"
}

check_pages()
{
    page=$(cd docs && find . -type f -name '[!.]*' | sed 's,^\./,,' | LC_ALL=C sort | sed -n 1p)
    [ -n "$page" ] || fail 'there is no page in docs/'
    size=$(($(wc -c <"docs/$page")))

    expect 200 /
    if [ -f docs/index.html ]; then
        cmp -s "$work/body" docs/index.html || fail 'the index is not docs/index.html'
    else
        grep -qF "${page%%/*}" "$work/body" || fail "the index does not name ${page%%/*}"
    fi
    echo 'GET /: the index'

    expect 200 "/$page"
    cmp -s "$work/body" "docs/$page" || fail "GET /$page did not give the bytes of docs/$page"
    echo "GET /$page: its $size bytes, compared"

    expect 200 "/$page" --head
    length=$(tr -d '\r' <"$work/head" | sed -n 's/^[Cc]ontent-[Ll]ength: *//p')
    [ "$length" = "$size" ] || fail "HEAD /$page says \"$length\" bytes, docs/$page has $size"
    echo "HEAD /$page: says $size bytes"

    expect 206 "/$page" --range 5-24
    dd if="docs/$page" bs=1 skip=5 count=20 2>/dev/null | cmp -s - "$work/body" ||
        fail "GET /$page with a range did not give bytes 5 to 24"
    echo "GET /$page, bytes 5 to 24: those and no others"

    expect 404 /there-is-no-such-page
    echo 'GET /there-is-no-such-page: 404'

    for path in /../LICENSE /%2e%2e/LICENSE /..%2fLICENSE /..%5cLICENSE; do
        status=$(fetch "$path")
        case $status in
        400 | 403 | 404) ;;
        *) fail "GET $path, which lies outside the folder, was answered with $status" ;;
        esac
    done
    echo 'GET /../LICENSE, written in four ways: refused'
}

check_load()
{
    timeout "$limit_seconds" wrk --threads 2 --connections "$connections" --duration "${load_seconds}s" --latency \
        "$site/$page" >"$work/load" 2>&1 || fail "wrk failed: $(cat "$work/load")"
    ! grep -E 'Socket errors|Non-2xx' "$work/load" || fail 'there were errors under load'
    requests=$(sed -n 's/^ *\([0-9][0-9]*\) requests in .*/\1/p' "$work/load")
    [ "${requests:-0}" -gt 0 ] || fail 'nothing was answered under load'
    grep -E 'requests in|Requests/sec|50%|99%' "$work/load"
    echo "no errors on $connections connections"
}

check_echo()
{
    timeout "$limit_seconds" $run "$programs/echo_client$suffix" --port "${address##*:}" --connections "$connections" \
        --seconds "$load_seconds" >"$work/echo" 2>&1 || fail "echo_client: $(cat "$work/echo")"
    tr -d '\r' <"$work/echo"
}

# --- what happens -----------------------------------------------------------------------------------------------

windows=no
case ${1-} in
'') ;;
--windows) windows=yes ;;
*) fail 'usage: sh scripts/demo.sh [--windows]' ;;
esac

if [ "$windows" = yes ]; then
    folder=build/demo-windows
    run='sh scripts/wine.sh'
    suffix=.exe
    toolchain="-DCMAKE_TOOLCHAIN_FILE=$root/cmake/mingw64.cmake"
    # A prefix of its own: stopping it at the end disturbs nothing else.
    WINEPREFIX=${WINEPREFIX:-$root/$folder/wine}
    export WINEPREFIX
else
    folder=build/demo
    run=
    suffix=
    toolchain=
fi
programs=$folder/samples

work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 130' INT TERM

say 'Installing what the demo needs'
if [ "$windows" = yes ]; then
    sh scripts/install.sh demo mingw
else
    sh scripts/install.sh demo
fi

say "Building the samples into $folder"
{
    cmake -S . -B "$folder" -DCMAKE_BUILD_TYPE=Release -DPROLOOP_BUILD_TESTS=OFF -DPROLOOP_BUILD_BENCH=OFF \
        -DPROLOOP_INSTALL=OFF $toolchain &&
        cmake --build "$folder" --parallel "$(nproc)" --target httpd echo_server echo_client
} >"$work/build" 2>&1 || fail "the build failed:
$(tail -n 40 "$work/build")"
ls -l "$programs/httpd$suffix" "$programs/echo_server$suffix" "$programs/echo_client$suffix"

say 'A web server: samples/httpd serves the folder docs'
start httpd $run "$programs/httpd$suffix" --port 0 docs
site=${address%/}
check_pages

say "The same under load: $connections connections for $load_seconds s"
check_load
stop httpd

say "An echo server and its client: $connections connections for $load_seconds s, every byte compared"
start echo_server $run "$programs/echo_server$suffix" --port 0
check_echo
stop echo_server

say 'All of it was as it should be.'
