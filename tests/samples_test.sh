#!/bin/sh
# Runs the samples as a user would: starts the server, talks to it, ends it by Ctrl-C.
#
#   samples_test.sh echo|httpd PROGRAMS SUFFIX [LAUNCHER...]
#
# PROGRAMS is the folder they are in, SUFFIX what their names end with, LAUNCHER what they run under, such as Wine.
set -eu

sample=$1
programs=$2
suffix=$3
shift 3

fail()
{
    echo "samples_test.sh: $*" >&2
    cat "$work/server.out" "$work/server.err" >&2
    exit 1
}

# wait_for SECONDS COMMAND...: until it holds
wait_for()
{
    tries=$(($1 * 20))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

ended()
{
    [ -s "$work/server.code" ]
}

listens()
{
    ! ended || fail 'the server ended as soon as it was started'
    address=$(tr -d '\r' <"$work/server.out" | sed -n 's/^listening on //p')
    [ -n "$address" ]
}

# start_server COMMAND...: until it listens, on $address. A shell starts background commands with Ctrl-C ignored,
# a terminal's user does not.
start_server()
{
    (
        env --default-signal=INT "$@" >"$work/server.out" 2>"$work/server.err" </dev/null &
        echo $! >"$work/server.process"
        code=0
        wait $! || code=$?
        echo "$code" >"$work/server.code"
    ) &
    wait_for 60 listens || fail 'the server does not listen'
}

# stop_server: Ctrl-C, and it ends with 0
stop_server()
{
    ! ended || fail 'the server ended before it was asked to'
    kill -INT "$(cat "$work/server.process")"
    wait_for 30 ended || fail 'the server did not end after Ctrl-C'
    [ "$(cat "$work/server.code")" -eq 0 ] || fail "the server ended with $(cat "$work/server.code")"
}

clean_up()
{
    ended || kill -KILL "$(cat "$work/server.process")" 2>/dev/null || :
    wait
    rm -rf "$work"
}

# expect STATUS URL [OPTION...]: the body into $work/body
expect()
{
    wanted=$1
    url=$2
    shift 2
    : >"$work/body"
    status=$(curl --silent --show-error --noproxy '*' --path-as-is --max-time 20 --output "$work/body" \
        --write-out '%{http_code}' "$@" "$url") || fail "curl failed: $url"
    [ "$status" = "$wanted" ] || fail "$url: $status, not $wanted"
}

test_echo()
{
    start_server "$@" "$programs/echo_server$suffix" --port 0
    "$@" "$programs/echo_client$suffix" --port "${address##*:}" --connections 20 --seconds 1 ||
        fail 'the client is not content'
    stop_server
}

test_httpd()
{
    mkdir -p "$work/pages/deep"
    echo 'hello' >"$work/pages/hello.txt"
    echo 'deeper' >"$work/pages/deep/page.html"
    dd if=/dev/urandom of="$work/pages/large.bin" bs=65536 count=48 2>/dev/null
    echo 'secret' >"$work/secret.txt"

    start_server "$@" "$programs/httpd$suffix" --port 0 --quiet "$work/pages"
    site=${address%/}
    for page in hello.txt deep/page.html large.bin; do
        expect 200 "$site/$page"
        cmp "$work/body" "$work/pages/$page" || fail "$page came otherwise than it is"
    done
    expect 206 "$site/hello.txt" --range 1-2
    [ "$(cat "$work/body")" = el ] || fail 'a range came otherwise than it is'
    expect 200 "$site/hello.txt" --head
    expect 404 "$site/none"
    expect 404 "$site/../secret.txt"
    stop_server
}

work=$(mktemp -d)
: >"$work/server.out"
: >"$work/server.err"
trap clean_up EXIT
trap 'exit 130' INT TERM

case $sample in
echo) test_echo "$@" ;;
httpd) test_httpd "$@" ;;
*) fail "echo or httpd, not '$sample'" ;;
esac
