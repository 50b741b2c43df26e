#!/bin/sh
# Runs the samples as a user would, over loopback, and looks at what comes back.
#
#   sh samples_test.sh [--big] [--many] echo|embedded|host|httpd FOLDER [SUFFIX [RUNNER...]]
#
# FOLDER holds the programs, SUFFIX is ".exe" or nothing, RUNNER starts them if the system cannot ("wine"). --big also
# fetches a file of 1 GiB, --many also opens 5,000 connections. Prints "ok NAME" or "FAIL NAME" for each thing looked at.
#
# Nothing sleeps. Whatever has to happen first is waited for: the first line of a server, the end of a client, a line of
# a log. A server's output goes into a pipe from which this script reads. Its Ctrl-C is SIGINT, which a shell makes its
# background programs ignore: perl undoes that. bash is there to open raw connections.

# Whatever hangs must not do so for ever.
if [ -z "${SAMPLES_TEST_SECONDS-}" ] && command -v timeout >/dev/null; then
    case $1 in
    --*) export SAMPLES_TEST_SECONDS=500 ;;
    *) export SAMPLES_TEST_SECONDS=110 ;;
    esac
    exec timeout "$SAMPLES_TEST_SECONDS" sh "$0" "$@"
fi

big=
many=
while :; do
    case $1 in
    --big) big=yes ;;
    --many) many=yes ;;
    *) break ;;
    esac
    shift
done
sample=$1
programs=$2
suffix=$3
shift "$(($# < 3 ? $# : 3))"

work=$(mktemp -d)
failed=0
pid=
trap 'test -z "$pid" || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

expect() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        echo "FAIL $1: wanted '$2', got '$3'"
        failed=1
    fi
}

expect_match() { # NAME PATTERN GOT: a pattern of case
    # shellcheck disable=SC2254
    case $3 in
    $2) echo "ok $1" ;;
    *)
        echo "FAIL $1: wanted '$2', got '$3'"
        failed=1
        ;;
    esac
}

# --- Starting and stopping servers --------------------------------------------------------------------------

start() { # PROGRAM ARGUMENT...: waits for its first line, sets line, port and pid; the rest comes from descriptor 3
    program=$1
    shift
    rm -f "$work/output"
    mkfifo "$work/output"
    # shellcheck disable=SC2016,SC2086
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' $runner "$programs/$program$suffix" "$@" \
        >"$work/output" 2>"$work/errors" </dev/null &
    pid=$!
    exec 3<"$work/output"
    if ! IFS= read -r line <&3; then
        echo "FAIL $program starts: $(cat "$work/errors")"
        exit 1
    fi
    line=$(printf '%s' "$line" | tr -d '\r')
    port=$(printf '%s' "$line" | sed 's/.*:\([0-9]*\)\/*$/\1/')
}

stop() { # sends Ctrl-C and waits for the end; sets rest (the output since the first line), code and errors
    kill -INT "$pid"
    finish
}

finish() {
    rest=$(tr -d '\r' <&3)
    exec 3<&-
    wait "$pid"
    code=$?
    errors=$(cat "$work/errors")
    pid=
}

run_to_its_end() { # PROGRAM ARGUMENT...: sets output, errors and code
    program=$1
    shift
    # shellcheck disable=SC2086
    output=$($runner "$programs/$program$suffix" "$@" 2>"$work/errors" </dev/null | tr -d '\r')
    errors=$(cat "$work/errors")
}

exit_code() { # PROGRAM ARGUMENT...
    program=$1
    shift
    # shellcheck disable=SC2086
    $runner "$programs/$program$suffix" "$@" >"$work/ignored" 2>&1 </dev/null
    echo $?
}

descriptors() { # of the server; 0 where there is no way to tell
    if [ -z "$runner" ] && [ -d "/proc/$pid/fd" ]; then
        find "/proc/$pid/fd" -type l | wc -l
    else
        echo 0
    fi
}

# A connection that is held open: it sends something, waits until the server has answered, and says so; it ends with the
# end of its input.
hold() { # BYTES, as printf takes them
    bash -c 'exec 4<>/dev/tcp/127.0.0.1/"$0" && printf "$1" >&4 && IFS= read -r _ <&4 && echo held && cat' "$port" "$1"
}

hold_several() { # COUNT BYTES: returns when all are held; release_all lets them go
    rm -f "$work/held" "$work/release"
    mkfifo "$work/held" "$work/release"
    holders=
    for _ in $(seq "$1"); do
        hold "$2" >"$work/held" 2>/dev/null <"$work/release" &
        holders="$holders $!"
    done
    exec 6<"$work/held" 5>"$work/release"
    for _ in $(seq "$1"); do IFS= read -r _ <&6; done
}

release_all() {
    exec 5>&- 6<&-
    # shellcheck disable=SC2086
    wait $holders
}

expect_soon() { # NAME WANTED COMMAND: asks again while a client comes and goes
    for _ in $(seq 100); do
        [ "$("$3")" = "$2" ] && break
        hold 'GET / HTTP/1.0\r\n\r\n' >"$work/ignored" 2>&1 </dev/null
    done
    expect "$1" "$2" "$("$3")"
}

# --- The echo programs --------------------------------------------------------------------------------------

client() { # NAME ARGUMENT...: a run of echo_client without any error; sets output
    name=$1
    shift
    run_to_its_end echo_client --port "$port" "$@"
    expect_match "$name" "*errors 0, mismatches 0, *" "$output$errors"
    expect_match "$name made requests" "*requests [1-9]*" "$output"
}

test_echo() {
    expect "echo_server explains itself" 0 "$(exit_code echo_server --help)"
    expect "echo_server refuses a bad option" 2 "$(exit_code echo_server --ports 7)"
    expect "echo_client refuses a bad number" 2 "$(exit_code echo_client --connections none)"

    start echo_server --port 0
    expect_match "echo_server says where it listens" "listening on 127.0.0.1:[1-9]*" "$line"
    expect "a second server on the port gives up" 1 "$(exit_code echo_server --port "$port")"
    client "one connection" --connections 1 --seconds 1
    before=$(descriptors)
    client "50 connections" --connections 50 --seconds 1
    client "500 connections" --connections 500 --seconds 2
    client "messages of 1 byte" --connections 10 --seconds 1 --size 1
    client "messages of 1 MiB" --connections 4 --seconds 1 --size 1048576
    client "connections that reset" --connections 20 --seconds 3 --chaos
    expect_match "chaos reset some" "*resets [1-9]*" "$output"
    if [ -n "$many" ]; then
        # shellcheck disable=SC3045
        ulimit -n 12000
        client "5,000 connections" --connections 5000 --seconds 5
    fi
    expect_soon "echo_server has closed its descriptors" "$before" descriptors
    hold_several 100 'hello\n'
    stop
    release_all
    expect "echo_server says what it dropped" "stopped: 100 connections dropped" "$rest"
    expect "echo_server ends well" 0 "$code"
    expect "echo_server reports nothing" "" "$errors"
    expect "echo_client notices that no server is there" 1 "$(exit_code echo_client --port "$port" --connections 1 --seconds 1)"

    start echo_server --port 0 --max-connections 2
    hold_several 2 'hello\n'
    expect "a connection too many is closed" "" "$(hold 'hello\n' 2>/dev/null </dev/null)"
    stop
    release_all
    expect "echo_server with limits ends well" 0 "$code"
}

# --- embedded -----------------------------------------------------------------------------------------------

embedded_says() { # ARGUMENT...
    # shellcheck disable=SC2086
    $runner "$programs/embedded$suffix" "$@" 2>&1 </dev/null | tr -d '\r' | tr '\n' ';'
}

test_embedded() {
    expect "embedded explains itself" 0 "$(exit_code embedded --help)"
    expect "embedded refuses a bad number" 2 "$(exit_code embedded --clients 0)"
    expect "a few clients in a foreign loop" "2 clients, 81920 bytes echoed;the host went on meanwhile: yes;" \
        "$(embedded_says --clients 2 --pieces 10)"
    expect "many clients in a foreign loop" "50 clients, 4096000 bytes echoed;the host went on meanwhile: yes;" \
        "$(embedded_says --clients 50 --pieces 20)"
    expect "embedded ends well" 0 "$(exit_code embedded)"
}

# --- host ---------------------------------------------------------------------------------------------------

answer() { # COMMANDS, as printf takes them: what host says to them, without its first line
    # shellcheck disable=SC2059,SC2086
    printf "$1" | $runner "$programs/host$suffix" 2>&1 | tr -d '\r' | sed 1d
}

start_host() { # its commands go to descriptor 4; sets line and pid
    rm -f "$work/commands" "$work/output"
    mkfifo "$work/commands" "$work/output"
    # shellcheck disable=SC2016,SC2086
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' $runner "$programs/host$suffix" \
        <"$work/commands" >"$work/output" 2>"$work/errors" &
    pid=$!
    exec 4>"$work/commands" 3<"$work/output"
    IFS= read -r line <&3
}

host_says() { # sets line
    IFS= read -r line <&3
    line=$(printf '%s' "$line" | tr -d '\r')
}

test_host() {
    mkdir -p "$work/root"
    printf 'hello' >"$work/root/index.html"
    expect "host explains itself" 0 "$(exit_code host --help)"
    expect "host refuses a bad option" 2 "$(exit_code host --nothing)"
    expect "host refuses a bad number" 2 "$(exit_code host --seconds 0)"
    expect "host ends with its input" 0 "$(exit_code host)"
    expect "an address" "127.0.0.1 ... 127.0.0.1: 127.0.0.1:0 " "$(answer 'resolve 127.0.0.1\n' | tr '\n' ' ')"
    expect "nothing after quit" "" "$(answer 'quit\nresolve 127.0.0.1\n')"
    expect_match "what is no command" "not a command: do *" "$(answer 'do that\n')"
    expect_match "a command without its argument" "not a command: get *" "$(answer '\nget\n')"
    expect "what is no port" "not a port: 65536" "$(answer 'get 127.0.0.1 65536\n')"

    start httpd --port 0 --quiet "$work/root"
    expect_match "a page" "*: HTTP/1.1 200 OK, [1-9]* bytes*" "$(answer "get 127.0.0.1 ${port}\n")"
    stop
    expect_match "nobody there" "*: connection refused*" "$(answer "get 127.0.0.1 ${port}\n")"

    start echo_server --port 0 # which never ends an answer
    server=$pid
    exec 5<&3
    start_host
    echo "get 127.0.0.1 $port" >&4
    host_says
    expect "a request begins" "127.0.0.1 ..." "$line"
    kill -INT "$pid"
    host_says
    expect "Ctrl-C cancels the request" "127.0.0.1:$port: cancelled" "$line"
    echo "resolve 127.0.0.1" >&4
    host_says
    host_says
    expect "and the program goes on" "127.0.0.1: 127.0.0.1:0" "$line"
    exec 4>&-
    finish
    expect "host ends well" 0 "$code"
    expect "host reports nothing" "" "$errors"

    pid=$server
    exec 3<&5 5<&-
    stop
}

# --- httpd --------------------------------------------------------------------------------------------------

make_folder() {
    root=$work/root
    mkdir -p "$root/with index" "$root/list/inner"
    : >"$root/zero"
    printf x >"$root/one"
    printf 'hello\n' >"$root/hello.txt"
    printf '<p>index</p>' >"$root/with index/index.html"
    printf 'one' >"$root/list/a&b'c.txt"
    printf 'two' >"$root/list/caf$(printf '\303\251').html"
    head -c 5000 /dev/urandom >"$root/5000"
    head -c 65536 /dev/urandom >"$root/65536"
    head -c 65537 /dev/urandom >"$root/65537"
    head -c 20000000 /dev/urandom >"$root/20M.bin"
    printf secret >"$work/secret.txt"
}

fetch() {
    curl -sS --noproxy '*' --no-progress-meter --path-as-is --max-time 60 "$@"
}

status() { # CURL-ARGUMENT...
    fetch -o "$work/ignored" -w '%{http_code}' "$@"
}

raw() { # BYTES: what the server answers until it closes
    bash -c 'exec 4<>/dev/tcp/127.0.0.1/"$0" && printf "$1" >&4; cat <&4' "$port" "$1" 2>/dev/null | tr -d '\r\0'
}

statuses() { # BYTES: the status of each response
    raw "$1" | grep -ao 'HTTP/1\.1 [0-9][0-9][0-9] ' | cut -d ' ' -f 2 | tr '\n' ' '
}

repeat() { # COUNT TEXT
    text=$2 awk -v count="$1" 'BEGIN { while (count-- > 0) printf "%s", ENVIRON["text"] }'
}

test_files() {
    for file in zero one hello.txt 5000 65536 65537 20M.bin; do
        fetch "$url/$file" | cmp -s - "$root/$file"
        expect "$file comes as it is" 0 $?
        expect "HEAD of $file tells its size" "200 $(wc -c <"$root/$file" | tr -d ' ')" \
            "$(fetch -I -w '%{http_code} ' -o "$work/head" "$url/$file"; tr -d '\r' <"$work/head" | sed -n 's/^Content-Length: //p')"
    done
    if [ -n "$big" ]; then
        : >"$root/1G.bin" # the last MiB is random, the rest a hole
        dd if=/dev/urandom of="$root/1G.bin" bs=1048576 count=1 seek=1023 2>/dev/null
        fetch "$url/1G.bin" | cmp -s - "$root/1G.bin"
        expect "1 GiB comes as it is" 0 $?
        rm "$root/1G.bin"
    fi
    expect "a type" "text/plain; charset=utf-8" "$(fetch -o "$work/ignored" -w '%{content_type}' "$url/hello.txt")"
    expect "what is not there" 404 "$(status "$url/nothing")"
    expect "a file is no folder" 404 "$(status "$url/hello.txt/")"
    expect "nothing is in a file" 404 "$(status "$url/hello.txt/more")"
}

test_folders() {
    expect "an index" "<p>index</p>" "$(fetch "$url/with%20index/")"
    expect "a folder without its slash" "301 $url/with%20index/?a=b" \
        "$(fetch -o "$work/ignored" -w '%{http_code} %{redirect_url}' "$url/with%20index?a=b")"
    expect "slashes do not lead to other hosts" 404 "$(status "$url//example.com/%2e%2e")"
    listing=$(fetch "$url/list/")
    expect_match "a listing shows folders" '*<a href="./inner/">inner/</a>*' "$listing"
    expect_match "a listing is escaped" "*<a href=\"./a%26b%27c.txt\">a&amp;b&#39;c.txt</a>*" "$listing"
    expect_match "a listing knows UTF-8" "*<a href=\"./caf%C3%A9.html\">caf$(printf '\303\251').html</a>*" "$listing"
    expect "its links lead somewhere" one "$(fetch "$url/list/a%26b%27c.txt")"
    expect "its links are UTF-8" two "$(fetch "$url/list/caf%C3%A9.html")"
}

test_ranges() {
    for range in 0-0 0-99 100-4999 4000- 4000-9999 -1 -700 -5000 0-; do
        fetch -r "$range" "file://$root/5000" >"$work/wanted"
        fetch -r "$range" -w '%{http_code}' -o "$work/got" "$url/5000" >"$work/status"
        cmp -s "$work/wanted" "$work/got"
        expect "range $range" "0 206" "$? $(cat "$work/status")"
    done
    fetch -r 19000000- "$url/20M.bin" >"$work/got"
    tail -c 1000000 "$root/20M.bin" | cmp -s - "$work/got"
    expect "the end of a large file" 0 $?
    fetch -r -9999 "$url/5000" | cmp -s - "$root/5000"
    expect "a range longer than the file" 0 $?
    expect "where a range lies" "bytes 10-19/5000" "$(field content-range -r 10-19 "$url/5000")"
    expect "a range behind the end" 416 "$(status -r 5000- "$url/5000")"
    expect "how long the file is" "bytes */5000" "$(field content-range -r 5000- "$url/5000")"
    for range in 0-1,5-6 5-4 a-b -; do
        expect "range $range is ignored" 200 "$(status -H "Range: bytes=$range" "$url/5000")"
    done
    expect "a range of another version" 200 "$(status -r 0-9 -H 'If-Range: "other"' "$url/5000")"
    expect "a range of this version" 206 "$(status -r 0-9 -H "If-Range: $(field etag "$url/5000")" "$url/5000")"
}

field() { # NAME CURL-ARGUMENT...
    name=$1
    shift
    fetch -D - -o "$work/ignored" "$@" | tr -d '\r' | awk -v name="$name:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }'
}

test_conditions() {
    modified=$(field last-modified "$url/hello.txt")
    expect "not modified" 304 "$(status -H "If-Modified-Since: $modified" "$url/hello.txt")"
    expect "modified since" 200 "$(status -H "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT" "$url/hello.txt")"
    tag=$(field etag "$url/hello.txt")
    expect "the same tag" 304 "$(status -H "If-None-Match: \"other\", W/$tag" "$url/hello.txt")"
    expect "another tag" 200 "$(status -H 'If-None-Match: "other"' "$url/hello.txt")"
}

test_connections() {
    expect "a connection is kept" "1 0 " "$(fetch -w '%{num_connects} ' -o "$work/ignored" -o "$work/ignored" "$url/one" "$url/one")"
    expect "HTTP/1.0 is not" "1 1 " "$(fetch -0 -w '%{num_connects} ' -o "$work/ignored" -o "$work/ignored" "$url/one" "$url/one")"
    expect "HTTP/1.0 may ask for it" "200 200 " \
        "$(statuses 'GET /one HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /one HTTP/1.0\r\n\r\n')"
    get='GET /one HTTP/1.1\r\nHost: a\r\n\r\n'
    last='GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    expect "pipelined requests" "200 200 200 404 " "$(statuses "$get$get\r\n$get$last")"
    expect "nothing after the last one" "404 " "$(statuses "$last$get")"
    expect "many pipelined requests" "$(repeat 200 '200 ')404 " "$(statuses "$(repeat 200 "$get")$last")"
    expect "a small body is passed over" "405 200 404 " \
        "$(statuses "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345$get$last")"
    expect "parallel clients" "$(repeat 300 '200 ')" \
        "$(fetch -Z --parallel-max 300 --parallel-immediate -w '%{http_code} ' -o "$work/ignored" "$url/5000?[1-300]")"
}

test_refusals() {
    end='Host: a\r\n\r\n'
    close="Connection: close\r\n$end"
    expect "a method of HTTP" 405 "$(status -X DELETE "$url/one")"
    expect "405 says what is allowed" "GET, HEAD" "$(field allow -X OPTIONS "$url/one")"
    expect "OPTIONS *" "405 " "$(statuses "OPTIONS * HTTP/1.1\r\n$close")"
    expect "CONNECT" "405 " "$(statuses "CONNECT a:1 HTTP/1.1\r\n$close")"
    expect "no method of HTTP" "501 " "$(statuses "BREW / HTTP/1.1\r\n$end")"
    expect "another version" "505 " "$(statuses "GET / HTTP/2.0\r\n$end")"
    expect "no version" "400 " "$(statuses 'GET /\r\n\r\n')"
    expect "no HTTP" "400 " "$(statuses '\026\003\001\002\000\001\000\n\n')"
    expect "no host" "400 " "$(statuses 'GET / HTTP/1.1\r\n\r\n')"
    expect "two hosts" "400 " "$(statuses "GET / HTTP/1.1\r\nHost: b\r\n$end")"
    expect "bare line ends" "400 " "$(statuses 'GET / HTTP/1.1\nHost: a\n\n')"
    expect "a folded field" "400 " "$(statuses "GET / HTTP/1.1\r\nA: b\r\n c\r\n$end")"
    expect "a blank before the colon" "400 " "$(statuses "GET / HTTP/1.1\r\nA : b\r\n$end")"
    expect "two lengths" "400 " "$(statuses "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n$end")"
    expect "a length with a sign" "400 " "$(statuses "GET / HTTP/1.1\r\nContent-Length: +1\r\n$end")"
    expect "a length and chunks" "400 " \
        "$(statuses "GET / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n${end}GET /one HTTP/1.1\r\n$end")"
    expect "chunks" "411 " "$(statuses "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${end}0\r\n\r\n")"
    expect "another encoding" "501 " "$(statuses "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n$end")"
    expect "a large body" 413 "$(status -X GET --data-binary "@$root/20M.bin" -H 'Expect:' "$url/one")"
    expect "a large upload" 405 "$(status -T "$root/20M.bin" -H 'Expect:' "$url/one")"
    expect "an upload that asks first" 405 "$(status -T "$root/20M.bin" -H 'Expect: 100-continue' "$url/one")"
    expect "a long target" "414 " "$(statuses "GET /$(repeat 9000 x) HTTP/1.1\r\n$end")"
    expect "a long target without an end" "414 " "$(statuses "GET /$(repeat 9000 x)")"
    expect "long fields" "431 " "$(statuses "GET / HTTP/1.1\r\n$(repeat 400 "A: $(repeat 50 x)\r\n")$end")"
    expect "many fields" "431 " "$(statuses "GET / HTTP/1.1\r\n$(repeat 101 'A: b\r\n')$end")"
    expect "as many as allowed" "200 " "$(statuses "GET /one HTTP/1.1\r\n$(repeat 98 'A: b\r\n')$close")"
}

test_ways_out() {
    for path in ../secret.txt %2e%2e/secret.txt .%2e/secret.txt list/../../secret.txt ..%2fsecret.txt ..%5csecret.txt \
        '..\secret.txt' '\secret.txt' list%2f..%2f..%2fsecret.txt %252e%252e/secret.txt ..%c0%afsecret.txt \
        %c0%ae%c0%ae/secret.txt ..%00/secret.txt hello.txt%00.html hello.txt%00 C:/secret.txt C:secret.txt //etc/passwd \
        /etc/passwd %2fetc/passwd %5c%5chost/share hello.txt::%24DATA hello.txt:stream hello.txt. hello.txt%20 \
        hello.txt... 'HELLO~1.TXT' con CON nul NUL.txt aux.html com1 COM1.txt 'lpt%C2%B9' con%20.txt ./hello.txt list//inner/ \
        '*' '%3f' hello%0d%0aX:y %ff %zz % %1; do
        expect_match "no way by $path" "40[04]" "$(status -g "$url/$path")"
    done
    if [ -z "$runner" ]; then
        ln -s "$work/secret.txt" "$root/link_out"
        ln -s "$work" "$root/folder_out"
        ln -s hello.txt "$root/link_in"
        mkfifo "$root/pipe"
        expect "no way by a link" 404 "$(status "$url/link_out")"
        expect "no way by a linked folder" 404 "$(status "$url/folder_out/secret.txt")"
        expect "no list of a linked folder" 404 "$(status "$url/folder_out/")"
        expect "a link within" hello "$(fetch "$url/link_in")"
        expect "a pipe is no file" 404 "$(status "$url/pipe")"
    fi
}

test_patience() {
    start httpd --port 0 --header-time 1 --idle 1 --transfer-time 1 "$root"
    expect "a request that does not end" "408 " "$(statuses 'GET / HTTP/1.1\r\n')"
    expect "a body that does not come" "408 " "$(statuses 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n')"
    expect "nothing at all" "" "$(statuses '')"
    expect "an idle connection" "200 " "$(statuses 'GET /one HTTP/1.1\r\nHost: a\r\n\r\n')"
    expect "a request with quotes" "400 " "$(statuses 'GET /"\001" HTTP/1.1\r\n\r\n')"
    hold_several 1 'GET /20M.bin?held HTTP/1.1\r\nHost: a\r\n\r\n'
    log=
    while IFS= read -r logged <&3; do
        log="$log$(printf '%s' "$logged" | tr -d '\r') "
        case $logged in *held*) break ;; esac
    done
    expect_match "who does not read is dropped" '*"GET /20M.bin?held HTTP/1.1" 200 *' "$logged"
    expect_match "a request that was late is logged" '*127.0.0.1:* - - [[]*] "GET / HTTP/1.1" 408 20 *ms *' "$log"
    expect_match "the log is escaped" '*"GET /\\x22\\x01\\x22 HTTP/1.1" 400 *' "$log"
    release_all
    stop
    expect "all of that ends well" "stopped: 0 connections dropped 0" "$rest $code$errors"
}

test_limits() {
    start httpd --port 0 --max-connections 1 --quiet "$root"
    expect "one at a time" "$(repeat 20 '200 ')" \
        "$(fetch -Z --parallel-max 20 --parallel-immediate -w '%{http_code} ' -o "$work/ignored" "http://127.0.0.1:$port/5000?[1-20]")"
    stop
    expect "and it ends well" "0" "$code$errors"
}

test_stop() {
    start httpd --port 0 --grace 1 --quiet "$root"
    hold_several 100 'GET /20M.bin HTTP/1.1\r\nHost: a\r\n\r\n'
    stop
    release_all
    expect "httpd says what it dropped" "stopped: 100 connections dropped" "$rest"
    expect "httpd ends well" "0" "$code$errors"

    start httpd --port 0 --grace 30 --quiet "$root"
    hold_several 3 'GET /one HTTP/1.1\r\nHost: a\r\n\r\n'
    stop
    release_all
    expect "idle connections end at once" "stopped: 0 connections dropped" "$rest"
    expect "without a word" "0" "$code$errors"

    start httpd --port 0 --grace 30 "$root"
    mkfifo "$work/download"
    fetch "http://127.0.0.1:$port/20M.bin" >"$work/download" &
    fetching=$!
    exec 7<"$work/download"
    dd bs=1000 count=1 <&7 >"$work/got" 2>/dev/null
    kill -INT "$pid"
    cat <&7 >>"$work/got"
    exec 7<&-
    wait "$fetching"
    finish
    cmp -s "$work/got" "$root/20M.bin"
    expect "a response under way comes whole" 0 $?
    expect_match "and nothing is dropped" "*stopped: 0 connections dropped" "$rest"
}

test_httpd() {
    make_folder
    expect "httpd explains itself" 0 "$(exit_code httpd --help)"
    expect "httpd refuses a bad option" 2 "$(exit_code httpd --nothing)"
    expect "httpd refuses a bad number" 2 "$(exit_code httpd --port 65536)"
    expect "httpd wants a folder" 1 "$(exit_code httpd --port 0 "$root/hello.txt")"

    start httpd --port 0 --quiet "$root"
    expect_match "httpd says where it listens" "listening on http://127.0.0.1:[1-9]*/" "$line"
    url=http://127.0.0.1:$port
    expect "a second server on the port gives up" 1 "$(exit_code httpd --port "$port" "$root")"
    test_files
    before=$(descriptors)
    test_folders
    test_ranges
    test_conditions
    test_connections
    test_refusals
    test_ways_out
    expect_soon "httpd has closed its descriptors" "$before" descriptors
    stop
    expect "httpd stops" "stopped: 0 connections dropped" "$rest"
    expect "httpd ends well" 0 "$code"
    expect "httpd reports nothing" "" "$errors"
    test_patience
    test_limits
    test_stop
}

runner=$*
case $sample in
echo) test_echo ;;
embedded) test_embedded ;;
host) test_host ;;
httpd) test_httpd ;;
*)
    echo "usage: $0 [--big] [--many] echo|embedded|host|httpd FOLDER [SUFFIX [RUNNER...]]" >&2
    exit 2
    ;;
esac
exit $failed
