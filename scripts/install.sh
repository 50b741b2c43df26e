#!/bin/sh
# Installs, with apt-get, what is missing of the tools that this project is built and tested with.
#
#   sh scripts/install.sh [GROUP...]
#
#   demo        to build and run the samples natively, and to load them
#   native      to build and test with GCC, the address sanitizer included
#   clang       the same with Clang, the thread sanitizer included
#   valgrind    to run tests under Valgrind
#   mingw       to build for Windows with mingw-w64, and to run that under Wine
#   clang-cl    to build for Windows in the dialect of MSVC, and to run that under Wine
#
# Without a group: all of them. Where everything is there already, nothing is run or changed.
set -eu

missing=

# need PROBE PACKAGE...: a program, or a file (a pattern), and the package it is in; of several packages, the first
# that this system knows.
need()
{
    probe=$1
    shift
    case $probe in
    /*)
        for file in $probe; do
            [ ! -e "$file" ] || return 0
        done
        ;;
    *) ! command -v "$probe" >/dev/null || return 0 ;;
    esac
    missing="$missing
$*"
}

need_group()
{
    case $1 in
    demo)
        need cc gcc
        need /usr/include/stdlib.h libc6-dev
        need cmake cmake
        need make make
        need curl curl
        need wrk wrk
        ;;
    native)
        need gcc gcc
        need g++ g++
        need cmake cmake
        need ninja ninja-build
        need pkg-config pkg-config
        need curl curl
        need /usr/src/googletest/googletest/CMakeLists.txt googletest
        need /usr/include/gtest/gtest.h libgtest-dev
        need '/usr/include/*/curl/curl.h' libcurl4-openssl-dev
        need /usr/include/uv.h libuv1-dev
        ;;
    clang)
        need_group native
        need clang++ clang
        need '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.tsan-*.a' libclang-rt-14-dev libclang-rt-dev
        ;;
    valgrind)
        need_group native
        need valgrind valgrind
        need /usr/lib/debug/.build-id libc6-dbg
        ;;
    wine)
        need wine wine
        need '/usr/lib/wine/wine*64' wine64
        ;;
    mingw)
        need_group native
        need_group wine
        need x86_64-w64-mingw32-gcc-posix gcc-mingw-w64-x86-64-posix
        need x86_64-w64-mingw32-g++-posix g++-mingw-w64-x86-64-posix
        ;;
    clang-cl)
        need cmake cmake
        need ninja ninja-build
        need curl curl
        need_group wine
        need /usr/include/wine/wine/windows/windows.h libwine-dev
        need '/usr/bin/clang-cl-*' clang-tools-14 clang-tools-19
        need '/usr/bin/lld-link-*' lld-14 lld-19
        need '/usr/bin/llvm-lib-*' llvm-14 llvm-19
        ;;
    *)
        echo "install.sh: no such group: $1 (demo, native, clang, valgrind, mingw, clang-cl)" >&2
        exit 2
        ;;
    esac
}

# Of each line of $missing the first package that apt knows.
choose()
{
    echo "$missing" | sort -u | while read -r first others; do
        [ -n "$first" ] || continue
        chosen=$first
        for package in $first $others; do
            if apt-cache show "$package" >/dev/null 2>&1; then
                chosen=$package
                break
            fi
        done
        echo "$chosen"
    done
}

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "install.sh: as root, run: $*" >&2
        exit 1
    fi
}

[ $# -gt 0 ] || set -- demo native clang valgrind mingw clang-cl
for group in "$@"; do
    need_group "$group"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    cat >&2 <<END
install.sh: this is no Debian or Ubuntu. Please install what these packages of Debian hold (one of each line), and
begin again:
$missing
END
    exit 1
fi
as_root apt-get update
packages=$(choose | tr '\n' ' ')
echo "install.sh: installing $packages"
# shellcheck disable=SC2086 # some words
as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $packages
