#!/bin/sh
# Installs proloop as vcpkg does, static and shared, Release into a prefix and Debug into its debug/; moves the prefix;
# checks what was installed; and builds and runs programs that find it by CMake and by pkg-config, in C and in C++.
#
#   packaging.sh native|mingw SOURCE WORK
#
# SOURCE is proloop's folder. WORK is made anew. Native: by $CC and $CXX (cc and c++). mingw: the programs run under Wine.
set -eu

kind=$1
source=$2
work=$3

case $kind in
native)
    CC=${CC:-cc}
    CXX=${CXX:-c++}
    platform_flags="-DCMAKE_C_COMPILER=$CC -DCMAKE_CXX_COMPILER=$CXX"
    runtime_dlls=
    launcher=
    ;;
mingw)
    CC=x86_64-w64-mingw32-gcc-posix
    CXX=x86_64-w64-mingw32-g++-posix
    platform_flags="-DCMAKE_TOOLCHAIN_FILE=$source/cmake/mingw64.cmake"
    # The compiler's own, for what is linked without the toolchain file.
    runtime_dlls=
    for dll in libgcc_s_seh-1.dll libwinpthread-1.dll; do
        runtime_dlls="$runtime_dlls $($CC -print-file-name=$dll)"
    done
    launcher="sh $source/scripts/wine.sh"
    ;;
*)
    echo "packaging.sh: native or mingw, not '$kind'" >&2
    exit 2
    ;;
esac

vcpkg_flags='
    -DCMAKE_INSTALL_LIBDIR:STRING=lib
    -DCMAKE_INSTALL_BINDIR:STRING=bin
    -DCMAKE_ERROR_ON_ABSOLUTE_INSTALL_DESTINATION=ON
    -DCMAKE_DISABLE_SOURCE_CHANGES=ON
    -DCMAKE_DISABLE_IN_SOURCE_BUILD=ON
    -DCMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON
    -DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON
    -DCMAKE_FIND_PACKAGE_NO_SYSTEM_PACKAGE_REGISTRY=ON
    -DFETCHCONTENT_FULLY_DISCONNECTED=ON'
port_flags='
    -DPROLOOP_BUILD_TESTS=OFF
    -DPROLOOP_BUILD_SAMPLES=OFF
    -DPROLOOP_BUILD_BENCH=OFF'

fail()
{
    echo "packaging.sh: $linkage: $*" >&2
    exit 1
}

# Runs a command; shows what it said only if it fails.
quietly()
{
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "failed: $*"
    }
}

# install_into PREFIX CONFIGURATION
install_into()
{
    # shellcheck disable=SC2086 # these are lists of words
    quietly cmake -S "$source" -B "$work/$linkage-$2" -G Ninja -DCMAKE_BUILD_TYPE="$2" \
        -DCMAKE_INSTALL_PREFIX="$1" -DBUILD_SHARED_LIBS="$shared" $platform_flags $vcpkg_flags $port_flags
    quietly cmake --build "$work/$linkage-$2" -j 2 --target install
}

# run PREFIX PROGRAM: beside the DLLs, which is where Windows looks for them
run()
{
    for dll in "$1"/bin/*.dll $runtime_dlls; do
        [ ! -e "$dll" ] || cp "$dll" "$(dirname "$2")"
    done
    program=$2
    [ -e "$program" ] || program=$2.exe
    # shellcheck disable=SC2086
    LD_LIBRARY_PATH=$1/lib $launcher "$program" || fail "failed: $program"
}

# consume_by_cmake PREFIX CONFIGURATION
consume_by_cmake()
{
    build=$work/$linkage-$2-by-cmake
    # shellcheck disable=SC2086
    quietly cmake -S "$source/tests/consumer" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE="$2" \
        -DCMAKE_PREFIX_PATH="$1" -DCMAKE_FIND_ROOT_PATH="$1" $platform_flags
    quietly cmake --build "$build" -j 2
    run "$1" "$build/consumer_c"
    run "$1" "$build/consumer_cxx"
}

# consume_by_pkg_config PREFIX CONFIGURATION
consume_by_pkg_config()
{
    build=$work/$linkage-$2-by-pkg-config
    mkdir "$build"
    flags=$(PKG_CONFIG_LIBDIR=$1/lib/pkgconfig pkg-config --cflags --libs proloop)
    # shellcheck disable=SC2086
    {
        quietly "$CC" "$source/tests/consumer/consumer.c" -o "$build/consumer_c" $flags
        quietly "$CXX" "$source/tests/consumer/consumer.cpp" -o "$build/consumer_cxx" $flags
    }
    run "$1" "$build/consumer_c"
    run "$1" "$build/consumer_cxx"
}

# count_libraries PREFIX
count_libraries()
{
    find "$1/lib" "$1/bin" -maxdepth 1 \( -name '*.a' -o -name '*.so*' -o -name '*.dll' \) 2>/dev/null | wc -l
}

# exported LIBRARY: the names it gives to programs
exported()
{
    case $1 in
    *.dll) x86_64-w64-mingw32-objdump -p "$1" | awk '/^\[Ordinal\/Name Pointer\]/ { on = 1; next } /^$/ { on = 0 } on { print $NF }' ;;
    *) nm -D --defined-only "$1" | awk '{ print $NF }' ;;
    esac
}

# check_tree PREFIX
check_tree()
{
    for entry in "$1"/* "$1"/debug/*; do
        [ -d "$entry" ] || fail "loose at the root: $entry"
        case ${entry#"$1"/} in
        include | lib | bin | share | debug | debug/lib | debug/bin) ;;
        *) fail "not a folder of a package: $entry" ;;
        esac
    done
    if [ "$shared" = OFF ] && { [ -e "$1/bin" ] || [ -e "$1/debug/bin" ]; }; then
        fail 'a static build has a bin folder'
    fi
    empty=$(find "$1" -type d -empty)
    [ -z "$empty" ] || fail "empty: $empty"
    absolute=$(grep -rIlF -e "$work" -e "$source" "$1" || :)
    [ -z "$absolute" ] || fail "holds an absolute path: $absolute"
    release=$(count_libraries "$1")
    debug=$(count_libraries "$1/debug")
    if [ "$release" -eq 0 ] || [ "$release" -ne "$debug" ]; then
        fail "$release release and $debug debug libraries"
    fi
    for file in \
        include/proloop/proloop.h \
        include/proloop/config.h \
        lib/cmake/proloop/proloop-config.cmake \
        lib/cmake/proloop/proloop-config-version.cmake \
        lib/pkgconfig/proloop.pc \
        share/licenses/proloop/LICENSE \
        share/proloop/proloop.natvis; do
        [ -f "$1/$file" ] || fail "missing: $file"
    done
    for library in "$1"/lib/*.so "$1"/bin/*.dll; do
        [ -e "$library" ] || continue
        others=$(exported "$library" | grep -v '^pl_[a-z]' || :)
        [ -z "$others" ] || fail "exports more than pl_...: $others"
    done
}

rm -rf "$work"
mkdir -p "$work"
for linkage in static shared; do
    if [ "$linkage" = shared ]; then
        shared=ON
    else
        shared=OFF
    fi
    made=$work/$linkage-made
    moved=$work/$linkage-moved
    install_into "$made" Release
    install_into "$made/debug" Debug
    mv "$made" "$moved"

    consume_by_cmake "$moved/debug" Debug
    rm -rf "$moved/debug/include" "$moved/debug/share" # as the port does
    check_tree "$moved"
    consume_by_cmake "$moved" Release
    consume_by_pkg_config "$moved" Release
done
echo 'packaging: as it should be'
