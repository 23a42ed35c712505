#!/bin/sh
# Makes this computer ready to build, run and test Signet. Safe to run again at any time.
#
#   scripts/setup.sh
#
# 1. Checks for what is needed: Rust, a C compiler, cmake, nasm (x86-64), Python with pip;
#    and for what only tests use: exiftool, ledger, jsonschema, poppler, qpdf, a printer; and for libheif, with which HEIC and AVIF
#    are read. As root on Debian or Ubuntu, missing packages are installed; otherwise one
#    command is printed that installs them.
# 2. Fetches into target/peers/ what only tests use: the Python packages `standardwebhooks`,
#    `schemathesis` and `moto`.
# 3. Puts the two public face networks of models/faces/model.toml into target/models/faces/ for the
#    demo: from ../shared/models when they are there, else from the addresses written there. Without
#    them everything but faces works. An owner fetches them with `signet models pull faces`.
# 4. Fetches the ONNX Runtime shared library into target/onnxruntime/, out of the Python
#    package `onnxruntime`. Nothing is installed into Python. The library is taken only if
#    its SHA-256 is the one written below.
#
# Linux on x86-64 and arm64 (glibc 2.28 or newer), macOS 14 or newer on Apple silicon.
set -eu

rust_min=1.92
onnxruntime_version=1.31.1

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

system=$(uname -s)
machine=$(uname -m)
case "$system-$machine" in
    Linux-x86_64)
        wheel_platform=manylinux_2_28_x86_64
        library=libonnxruntime.so.$onnxruntime_version
        library_sha256=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
    Linux-aarch64 | Linux-arm64)
        wheel_platform=manylinux_2_28_aarch64
        library=libonnxruntime.so.$onnxruntime_version
        library_sha256=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
    Darwin-arm64)
        wheel_platform=macosx_14_0_arm64
        library=libonnxruntime.$onnxruntime_version.dylib
        library_sha256=d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36 ;;
    *)
        fail "$system on $machine is not supported: Linux on x86-64 or arm64, macOS on Apple silicon" ;;
esac

# --- 1. Programs -----------------------------------------------------------------------

# Names of missing packages, as apt calls them and as Homebrew calls them.
needed_apt='' needed_brew='' tests_apt='' tests_brew='' heif_apt='' heif_brew=''

# The program opens libheif when the first HEIC comes; without it everything else works.
have_libheif() {
    if [ "$system" = Darwin ]; then
        for place in /opt/homebrew/lib /usr/local/lib; do
            [ ! -e "$place/libheif.1.dylib" ] || return 0
        done
        return 1
    fi
    python3 -IBc 'import ctypes; ctypes.CDLL("libheif.so.1")' >/dev/null 2>&1
}

look_for_programs() {
    needed_apt='' needed_brew='' tests_apt='' tests_brew='' heif_apt='' heif_brew=''
    have cc || needed_apt="$needed_apt build-essential"
    have cmake || { needed_apt="$needed_apt cmake"; needed_brew="$needed_brew cmake"; }
    # libjpeg-turbo's fast paths: assembled by nasm on x86-64, by the C compiler on arm64.
    [ "$machine" != x86_64 ] || have nasm || needed_apt="$needed_apt nasm"
    if ! have python3; then
        needed_apt="$needed_apt python3 python3-pip" needed_brew="$needed_brew python"
    elif ! python3 -m pip --version >/dev/null 2>&1; then
        needed_apt="$needed_apt python3-pip" needed_brew="$needed_brew python"
    fi
    have exiftool || { tests_apt="$tests_apt libimage-exiftool-perl"; tests_brew="$tests_brew exiftool"; }
    python3 -c 'import jsonschema' 2>/dev/null || /usr/bin/python3 -c 'import jsonschema' 2>/dev/null \
        || tests_apt="$tests_apt python3-jsonschema"
    have ledger || { tests_apt="$tests_apt ledger"; tests_brew="$tests_brew ledger"; }
    # What reads the reports that are written as PDF.
    have pdftotext || { tests_apt="$tests_apt poppler-utils"; tests_brew="$tests_brew poppler"; }
    have qpdf || { tests_apt="$tests_apt qpdf"; tests_brew="$tests_brew qpdf"; }
    # The printer that orders are printed on in tests, and the message bus that it wants. A Mac has one.
    if [ "$system" = Linux ]; then
        have ippeveprinter || [ -x /usr/sbin/ippeveprinter ] || tests_apt="$tests_apt cups-ipp-utils"
        have dbus-daemon || tests_apt="$tests_apt dbus"
    fi
    have_libheif || { heif_apt=' libheif1'; heif_brew=' libheif'; }
}

look_for_programs
if [ -n "$needed_apt$tests_apt$heif_apt" ] && have apt-get && [ "$(id -u)" = 0 ]; then
    say "installing$needed_apt$tests_apt$heif_apt"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # shellcheck disable=SC2086  # the lists are meant to be split
    if ! { apt-get update && apt-get install -y --no-install-recommends $needed_apt $tests_apt; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        say "some packages could not be installed"
    fi
    # Apart, so that a system without it gets the rest.
    if [ -n "$heif_apt" ]; then
        # shellcheck disable=SC2086
        apt-get install -y --no-install-recommends $heif_apt >"$log" 2>&1 || true
    fi
    rm -f "$log"
    look_for_programs
fi

# The command that installs packages here: $1 as apt calls them, $2 as Homebrew does.
cure() {
    if [ "$system" = Darwin ]; then
        if [ -n "$2" ]; then printf 'brew install%s' "$2"; else printf 'xcode-select --install'; fi
    elif have apt-get; then
        printf 'sudo apt-get install -y%s' "$1"
    else
        printf 'install with your package manager what Debian calls:%s' "$1"
    fi
}

if [ -n "$needed_apt" ]; then
    fail "missing:$needed_apt. Cure: $(cure "$needed_apt" "$needed_brew")"
fi
if [ -n "$tests_apt" ]; then
    say "some tests will be skipped without:$tests_apt. Cure: $(cure "$tests_apt" "$tests_brew")"
fi
if [ -n "$heif_apt" ]; then
    say "HEIC and AVIF cannot be read without libheif. Cure: $(cure "$heif_apt" "$heif_brew")"
fi

rust_cure="https://rustup.rs, or \`rustup update stable\`"
have cargo || fail "Rust is missing. Cure: $rust_cure"
rust_version=$(cargo --version | cut -d' ' -f2)
if ! printf '%s\n%s\n' "$rust_min" "$rust_version" | sort -t. -k1,1n -k2,2n -C; then
    fail "Rust $rust_version is too old, $rust_min is needed. Cure: $rust_cure"
fi

# --- 2. Peers of tests -----------------------------------------------------------------

# Read by Python where it lies; only tests miss it.
webhooks=standardwebhooks-1.1.0-py3-none-any.whl
webhooks_sha256=9a88d48a1f198be61517fc7ad328cf58ba02b73f0fbd8941d4213e9c0b6c2a61
if [ ! -f "$target/peers/$webhooks" ]; then
    mkdir -p "$target/peers"
    printf 'standardwebhooks==1.1.0 --hash=sha256:%s\n' "$webhooks_sha256" >"$target/peers/requirements"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir --only-binary=:all: \
        --require-hashes --requirement "$target/peers/requirements" --dest "$target/peers" >/dev/null 2>&1 ||
        say "some tests will be skipped without the Python package standardwebhooks: check the network"
fi

# fetch_peer NAME PACKAGE: the packages of tests/peers/NAME.txt in an environment of their own, since they bring
# others with them.
fetch_peer() {
    peer=$target/peers/$1
    wanted=tests/peers/$1.txt
    if cmp -s "$wanted" "$peer/wanted"; then return; fi
    rm -rf "$peer"
    # Made without pip, which Debian's Python cannot put there.
    if python3 -m venv --without-pip "$peer" >/dev/null 2>&1 &&
        python3 -m pip --python "$peer/bin/python" install --quiet --disable-pip-version-check --no-cache-dir \
            --only-binary=:all: --require-hashes --requirement "$wanted" >/dev/null 2>&1; then
        cp "$wanted" "$peer/wanted"
    else
        rm -rf "$peer"
        say "some tests will be skipped without the Python package $2: check the network and Python, 3.11 to 3.13"
    fi
}

# About 10 seconds and 95 MB; about 15 seconds and 150 MB.
fetch_peer schemathesis schemathesis
fetch_peer s3 moto

# --- 3. Face networks ------------------------------------------------------------------

# 4 MB. Whatever keeps them away is told in one line and harms nothing.
if ! why=$(python3 -IB - models/faces/model.toml "$target/models/faces" "${SIGNET_SHARED:-../shared}/models" 2>/dev/null <<'PYTHON'
import hashlib, os, re, shutil, sys, time, urllib.request
manifest, target, shared = sys.argv[1:]
text = open(manifest, encoding="utf-8").read()
values = lambda key: re.findall(rf'(?m)^{key} = "?([^"\n]+)"?$', text)
networks = list(zip(values("file"), values("url"), values("sha256"), map(int, values("bytes"))))

def is_right(path, wanted):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest() == wanted
    except OSError:
        return False

def fetch(url, part, size):
    end = time.monotonic() + 60
    with urllib.request.urlopen(url, timeout=10) as answer, open(part, "wb") as file:
        while chunk := answer.read(1 << 16):
            file.write(chunk)
            if file.tell() > size or time.monotonic() > end:
                sys.exit(f"{url} is too slow or too long")

try:
    os.makedirs(target, exist_ok=True)
    for name, url, wanted, size in networks:
        path, there = os.path.join(target, name), os.path.join(shared, name)
        if is_right(path, wanted):
            continue
        part = path + ".part"
        if is_right(there, wanted):
            shutil.copyfile(there, part)
        else:
            fetch(url, part, size)
        if not is_right(part, wanted):
            print(f"{url} is not the file that it should be")
            sys.exit(1)
        os.replace(part, path)
    # Last: a folder without it has no networks.
    shutil.copyfile(manifest, os.path.join(target, "model.toml"))
except Exception as trouble:
    print(str(trouble) or type(trouble).__name__)
    sys.exit(1)
PYTHON
); then
    say "the demo shows no faces, since their networks could not be fetched (${why:-they came too slowly}). Cure: check the network and run this again"
fi

# --- 4. ONNX Runtime -------------------------------------------------------------------

# Runs Python with no packages of the user and without writing .pyc files.
library_is_right() {
    [ -f "$target/onnxruntime/$library" ] && python3 -IB - "$target/onnxruntime/$library" "$library_sha256" <<'PYTHON'
import hashlib, sys
path, wanted = sys.argv[1:]
with open(path, "rb") as file:
    sys.exit(hashlib.sha256(file.read()).hexdigest() != wanted)
PYTHON
}

if [ -n "${ORT_DYLIB_PATH:-}" ] && [ -e "$ORT_DYLIB_PATH" ]; then
    say "ready: Rust $rust_version, ONNX Runtime of your own at $ORT_DYLIB_PATH"
    exit 0
fi
if library_is_right; then
    say "ready: Rust $rust_version, ONNX Runtime $onnxruntime_version"
    exit 0
fi

say "fetching ONNX Runtime $onnxruntime_version (about 24 MB)"
mkdir -p "$target/onnxruntime"
fetched=$(mktemp -d "$target/onnxruntime/fetch.XXXXXX")
trap 'rm -rf "$fetched"' EXIT
trap 'exit 130' INT TERM

# The library inside is the same for every Python; 3.12 is named so that any Python 3 can
# fetch it. Downloading touches no environment, so an externally managed one is fine too.
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir \
    --only-binary=:all: --platform "$wheel_platform" --python-version 3.12 \
    --implementation cp --abi cp312 --dest "$fetched" \
    "onnxruntime==$onnxruntime_version" >"$fetched/log" 2>&1; then
    why=$(grep -i error "$fetched/log" | tail -n 1 || true)
    fail "ONNX Runtime could not be fetched (${why:-pip gave no reason}). Cure: check the network and run this again, or point ORT_DYLIB_PATH at a libonnxruntime of version 1.20 or newer"
fi

python3 -IB - "$fetched" "$target/onnxruntime" "$library" "$library_sha256" <<'PYTHON' ||
import glob, hashlib, os, sys, zipfile
fetched, target, library, wanted = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(fetched, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    content = archive.read("onnxruntime/capi/" + library)
    if hashlib.sha256(content).hexdigest() != wanted:
        sys.exit(1)
    files = {
        library: content,
        "LICENSE": archive.read("onnxruntime/LICENSE"),
        "ThirdPartyNotices.txt": archive.read("onnxruntime/ThirdPartyNotices.txt"),
    }
for name, content in files.items():
    part = os.path.join(fetched, name)
    with open(part, "wb") as file:
        file.write(content)
    os.replace(part, os.path.join(target, name))
# Older versions would be found beside the new one.
for path in glob.glob(os.path.join(target, "libonnxruntime*")):
    if os.path.basename(path) != library:
        os.remove(path)
PYTHON
    fail "the ONNX Runtime that was fetched is not the expected one (SHA-256 of $library); nothing was kept"

say "ready: Rust $rust_version, ONNX Runtime $onnxruntime_version in $target/onnxruntime"
