#!/bin/sh
# packages.sh GROUP...: makes sure that the system packages of the groups (build, run, test) are there. On Debian and Ubuntu
# it installs what is missing, as root or through sudo; elsewhere it says what is missing and fails.
set -eu

# One word is one need; a|b means either.
build="gcc pkg-config libgl1-mesa-dev|libgl-dev libegl1-mesa-dev|libegl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev libxkbcommon-dev libwayland-dev libc6-dev"
run="libgl1-mesa-dri libegl1 libgl1 libglx-mesa0 libegl-mesa0"
test="xvfb xauth xdotool imagemagick openbox x11-utils"

say() { printf '%s\n' "$*" >&2; }

if ! command -v go >/dev/null 2>&1; then
	say "Go is missing: install Go 1.26 or newer (https://go.dev/dl) and put it in PATH. Go 1.21 or newer fetches the right version by itself."
	exit 1
fi

case "$(uname -s)" in
Darwin)
	if ! xcode-select -p >/dev/null 2>&1; then
		say "The Xcode command-line tools are missing: run xcode-select --install."
		exit 1
	fi
	exit 0
	;;
Linux) ;;
*)
	if ! command -v gcc >/dev/null 2>&1; then
		say "A C compiler is missing: on Windows install MSYS2 and its package mingw-w64-x86_64-gcc, and put its bin folder in PATH."
		exit 1
	fi
	exit 0
	;;
esac

if ! command -v apt-get >/dev/null 2>&1; then
	missing=""
	command -v gcc >/dev/null 2>&1 || missing="$missing gcc"
	if command -v pkg-config >/dev/null 2>&1; then
		for lib in gl egl x11 xcursor xrandr xinerama xi xxf86vm xkbcommon wayland-client; do
			pkg-config --exists "$lib" || missing="$missing $lib"
		done
	else
		missing="$missing pkg-config"
	fi
	for group in "$@"; do
		[ "$group" = test ] || continue
		for tool in Xvfb xdotool import openbox xprop; do
			command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
		done
	done
	[ -z "$missing" ] && exit 0
	say "This system has no apt-get, so nothing was installed. Install these by hand (programs, and the development files of libraries):$missing"
	exit 1
fi

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

need=""
for group in "$@"; do
	eval "list=\$$group"
	for want in $list; do
		found=""
		for p in $(printf %s "$want" | tr '|' ' '); do
			if installed "$p"; then found=yes; fi
		done
		[ -n "$found" ] || need="$need $want"
	done
done
[ -z "$need" ] && exit 0

if [ "$(id -u)" = 0 ]; then
	root=""
elif command -v sudo >/dev/null 2>&1; then
	root="sudo"
else
	say "These packages are missing:$need"
	say "Installing them needs root or sudo: run this as root, or install them by hand."
	exit 1
fi
say "Installing:$need"
apt() { $root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@"; }
if ! apt update >/dev/null; then
	say "apt-get update failed; trying with the package lists that are there."
fi
names=""
for want in $need; do
	pick=""
	for p in $(printf %s "$want" | tr '|' ' '); do
		if [ -z "$pick" ] && apt-cache show "$p" >/dev/null 2>&1; then pick=$p; fi
	done
	if [ -z "$pick" ]; then
		say "No package named $want is known here. On Debian 12 and Ubuntu 24.04 there is one; is this another system, or is the network away?"
		exit 1
	fi
	names="$names $pick"
done
# shellcheck disable=SC2086 # the names are words
apt install -y --no-install-recommends $names >/dev/null || {
	say "apt-get could not install:$names"
	exit 1
}
