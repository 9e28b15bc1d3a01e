#!/usr/bin/env bash
# A Docker engine with the images that the tests run: scripts/docker_engine.sh [IMAGE ...]
#
# Starts an engine where none answers (Debian, as root: installs docker.io first) and sees to it that each image is there:
# it is there already, or it can be pulled, or a stand-in of the same name is built from Debian's packages. Without
# arguments: all images of tests/docker/images. Safe to run again; what is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

IMAGES=tests/docker/images
LOG=${MLINFRA_DOCKERD_LOG:-/var/log/mlinfra-dockerd.log}
WAIT=60 # seconds that an engine may take to answer
PULL=120

say() { echo "docker: $*" >&2; }
give_up() { say "$*"; exit 3; }
answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
has() { docker image inspect "$1" >/dev/null 2>&1; }

# -- the engine -------------------------------------------------------------------------------------------------------------

install_engine() {
	command -v dockerd >/dev/null && command -v docker >/dev/null && return
	[ "$(id -u)" = 0 ] || give_up "no engine answers, and only root can install one"
	command -v apt-get >/dev/null || give_up "no engine answers, and this is no Debian to install one on"
	say "installing docker.io"
	apt-get update -qq
	# Debian's policy-rc.d or systemd may start or not start it; it is started below if it does not answer.
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io iptables >/dev/null
}

# Starts dockerd with the given flags and waits until it answers. Fails as soon as it ended.
start_engine() {
	say "starting dockerd $*"
	setsid nohup dockerd "$@" >"$LOG" 2>&1 </dev/null &
	local pid=$! tries=0
	until answers; do
		kill -0 "$pid" 2>/dev/null || return 1
		tries=$((tries + 1))
		[ "$tries" -lt $((WAIT * 5)) ] || { kill "$pid"; wait "$pid" || true; return 1; }
		sleep 0.2
	done
}

bring_up() {
	answers && return
	[ -z "${DOCKER_HOST:-}" ] || give_up "the engine at DOCKER_HOST=$DOCKER_HOST does not answer"
	install_engine
	answers && return
	[ "$(id -u)" = 0 ] || give_up "no engine answers, and only root can start one"
	# A container without its own kernel may allow less than a machine does: overlayfs cannot stand on another overlayfs
	# (vfs copies instead), and where netfilter is closed there are no rules to be made; ports then go through the proxy.
	start_engine ||
		start_engine --storage-driver=vfs ||
		start_engine --storage-driver=vfs --iptables=false --ip-masq=false ||
		{ tail -n 20 "$LOG" >&2; give_up "dockerd does not start; its log is $LOG"; }
}

# -- the images -------------------------------------------------------------------------------------------------------------

installed() { # PACKAGE PROGRAM
	command -v "$2" >/dev/null && return
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || give_up "the stand-in needs $2, which only root on Debian can install"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
}

make_busybox() {
	installed busybox-static busybox
	local root
	root=$(mktemp -d)
	mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/var/www" "$root/root"
	chmod 1777 "$root/tmp"
	cp "$(command -v busybox)" "$root/bin/busybox"
	"$root/bin/busybox" --list | while read -r name; do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
	printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' >"$root/etc/group"
	tar -C "$root" -c . | docker import -c 'CMD ["sh"]' - "$1" >/dev/null
	rm -rf "$root"
}

make_debian() {
	installed debootstrap debootstrap
	local root mirror release=bookworm
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $release" | head -n 1)
	[ -n "$mirror" ] || give_up "apt knows no mirror of $release to make $1 from"
	root=$(mktemp -d)
	debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
	rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
	tar -C "$root" -c . | docker import -c 'CMD ["bash"]' - "$1" >/dev/null
	rm -rf "$root" "$root.log"
}

# Builds the Dockerfile of a folder. The machine's own certificates go into the context, so that pip within a build trusts
# what this machine trusts.
build() { # FOLDER IMAGE
	local context bundle=/etc/ssl/certs/ca-certificates.crt
	context=$(mktemp -d)
	cp -r "$1/." "$context"
	if [ -s "$bundle" ]; then cp "$bundle" "$context/ca-certificates.crt"; else : >"$context/ca-certificates.crt"; fi
	# The classic builder is in every engine; BuildKit's client is a package of its own on Debian.
	DOCKER_BUILDKIT=0 docker build --quiet --tag "$2" "$context" >/dev/null 2>"$context.log" ||
		{ cat "$context.log" >&2; rm -rf "$context" "$context.log"; give_up "the stand-in for $2 cannot be built"; }
	rm -rf "$context" "$context.log"
}

image_of() { sed -n 's/^# image: //p' "$1/Dockerfile" | head -n 1; }

folder_of() { # IMAGE
	local folder
	for folder in "$IMAGES"/*/; do
		if [ "$(image_of "${folder%/}")" = "$1" ]; then echo "${folder%/}"; return; fi
	done
}

provide() { # IMAGE
	has "$1" && return
	if timeout "$PULL" docker pull --quiet "$1" >/dev/null 2>&1; then return; fi
	say "making a stand-in for $1"
	case $1 in
	busybox | busybox:*) make_busybox "$1" ;;
	debian:bookworm-slim) make_debian "$1" ;;
	*)
		local folder base
		folder=$(folder_of "$1")
		[ -n "$folder" ] || give_up "$1 cannot be pulled, and $IMAGES has no stand-in for it"
		for base in $(sed -n 's/^FROM \([^ ]*\).*/\1/p' "$folder/Dockerfile"); do provide "$base"; done
		build "$folder" "$1"
		;;
	esac
}

bring_up
if [ $# -eq 0 ]; then
	set -- busybox:latest debian:bookworm-slim
	for folder in "$IMAGES"/*/; do set -- "$@" "$(image_of "${folder%/}")"; done
fi
for image in "$@"; do provide "$image"; done
say "engine $(docker version --format '{{.Server.Version}}'), $# images"
