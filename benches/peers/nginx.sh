#!/bin/sh
# Fetches nginx, with which `benches/serving.rs` compares, into target/nginx/. Installs nothing; needs apt (Debian, Ubuntu).
set -eu

cd "$(dirname "$0")/../.."
target=$(pwd)/${CARGO_TARGET_DIR:-target}/nginx
[ ! -x "$target/usr/sbin/nginx" ] || { echo "nginx: is here: $target"; exit 0; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    { echo 'nginx: no apt here: install nginx with your package manager' >&2; exit 1; }
mkdir -p "$target"
cd "$target"
apt-get download --quiet nginx >/dev/null
dpkg -x nginx_*.deb "$target"
"$target/usr/sbin/nginx" -v
