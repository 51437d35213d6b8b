#!/usr/bin/env bash
# test.sh: everything that `make test` checks. Stages print their time; the full output is in build/test.log. FUZZTIME (10s)
# is the time of each fuzz target, UNMASK_TEST_SKIP_FUZZ=1 leaves them out.
set -euo pipefail
cd "$(dirname "$0")/.."
tags="-tags=migrated_fynedo"
export UNMASK_REQUIRE_GL="${UNMASK_REQUIRE_GL-1}"
unset LC_ALL LC_MESSAGES
export LANG=C.UTF-8 LANGUAGE=en_US # Fyne logs an error for a locale that names no language
mkdir -p build
log=build/test.log
: >"$log"
started=$SECONDS

stage() {
	local name=$1 at=$SECONDS
	shift
	printf '== %s\n' "$name"
	if ! "$@"; then
		printf '== %s FAILED after %d s\n' "$name" $((SECONDS - at))
		exit 1
	fi
	printf '== %s: %d s\n' "$name" $((SECONDS - at))
}

formatted() {
	local bad
	bad=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
	[ -z "$bad" ] || { printf 'not formatted by gofmt:\n%s\n' "$bad"; return 1; }
}

# gotest runs go test -v, shows results, failures and skips with their reasons, and keeps the rest in the log.
gotest() {
	local out
	out=$(mktemp)
	local rc=0
	go test -v "$@" >"$out" 2>&1 || rc=$?
	cat "$out" >>"$log"
	awk '
		/^=== RUN/ { why = "" }
		/_test\.go:[0-9]+: / { why = $0 }
		/^[[:space:]]*--- SKIP/ { print; if (why) print why }
		(/^(ok|FAIL|panic:)/ || /^#/ || /\[build failed\]/ || /DATA RACE/) && !/no test files/ { print }
	' "$out"
	if [ "$rc" != 0 ]; then
		printf -- '---- what failed (everything is in %s)\n' "$log"
		show_failures "$out"
	fi
	rm -f "$out"
	return "$rc"
}

# show_failures prints the output of the tests that failed: go test -v prints it between the test's RUN or NAME line and the
# next one.
show_failures() {
	awk '
		/^[[:space:]]*--- FAIL: / { name = $3; failed[name] = 1; print; next }
		{ lines[NR] = $0 }
		/^=== (RUN|NAME|CONT)/ { cur = $3 }
		{ owner[NR] = cur }
		/^(panic:|fatal error:|WARNING: DATA RACE|# )/ || /\[build failed\]/ { loud = NR }
		loud && NR - loud < 60 { print }
		END { for (i = 1; i <= NR; i++) if (owner[i] in failed && lines[i] !~ /^=== / && n++ < 300) print lines[i] }
	' "$1"
}

# Packages that link C (windows, GL) or a database would rebuild those under the race detector, which takes minutes; the
# fixtures of engine/verify and the arithmetic of engine/cpu run ten times slower under it. These are tested without it, and
# what engine/cpu does with threads is tested again with it.
split() {
	go list $tags -f '{{.ImportPath}} {{join .Deps ","}} {{join .TestImports ","}} {{join .XTestImports ","}}' ./... >build/packages
	grep -E 'fyne\.io/fyne|go-gl/|modernc\.org/sqlite|^unmask/app|^unmask/engine/(verify|cpu) ' build/packages | cut -d' ' -f1 | sort >build/heavy
	cut -d' ' -f1 build/packages | sort | comm -23 - build/heavy >build/pure
}

# fuzz runs every fuzz target of the repository, two at a time on one core each.
fuzz() {
	grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]+' app engine ui | sed -E 's/^(.*)\/[^/]*:[0-9]+:func (Fuzz.*)$/.\/\1 \2/' | sort -u >build/fuzz
	xargs -P 2 -L 1 bash -c 'one_fuzz "$@"' _ <build/fuzz
}

one_fuzz() {
	local pkg=$1 target=$2 out
	out=$(mktemp)
	if go test -tags=migrated_fynedo -run='^$' -fuzz="^$target\$" -fuzztime="${FUZZTIME:-10s}" -fuzzminimizetime=1x -parallel=1 "$pkg" >"$out" 2>&1; then
		printf '   %-50s %s\n' "$pkg $target" "$(grep -oE 'execs: [0-9]+' "$out" | tail -1)"
		rm -f "$out"
	else
		cat "$out"
		rm -f "$out"
		return 1
	fi
}
export -f one_fuzz

stage "gofmt" formatted
stage "build" go build $tags -buildvcs=false -o unmask ./app
stage "vet" go vet $tags ./...
split
stage "tests with the race detector" gotest $tags -race -shuffle=on -timeout 20m $(cat build/pure)
stage "threads of the kernels with the race detector" gotest $tags -race -run 'Thread|Close|Worker|Pool|^TestNew$' ./engine/cpu
stage "tests of arithmetic, window, GL, database and program" gotest $tags -timeout 20m $(cat build/heavy)
[ -n "${UNMASK_TEST_SKIP_FUZZ-}" ] || stage "fuzz targets, ${FUZZTIME:-10s} each" fuzz
printf '== all passed in %d s; skipped: %d\n' $((SECONDS - started)) "$(grep -c -- '--- SKIP' "$log" || true)"
