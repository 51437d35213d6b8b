# make run    installs what is missing, builds, opens the window
# make test   installs what the tests need and runs them all
# make help   lists the rest
SHELL := /bin/bash
TAGS  := -tags=migrated_fynedo
GO    ?= go

.PHONY: run build test check golden fuzz bench samples tiny clean help

run: ## install what is missing, build, open the window
	@scripts/packages.sh build run
	@$(MAKE) --no-print-directory build
	@./unmask gui; code=$$?; if [ $$code = 3 ]; then exit 0; fi; exit $$code

build: ## build ./unmask and its worker ./unmask-engined
	@echo "Building (the first time takes minutes: Fyne's OpenGL bindings are large)..."
	@$(GO) build $(TAGS) -buildvcs=false -o unmask ./app
	@$(GO) build $(TAGS) -buildvcs=false -o unmask-engined ./app/engined

test: ## install what the tests need and run them all
	@scripts/packages.sh build run test
	@scripts/test.sh

check: ## the tests, and the linters that are installed
	@scripts/packages.sh build run test
	@if command -v golangci-lint >/dev/null; then golangci-lint run --build-tags migrated_fynedo ./...; else echo "golangci-lint is not installed: skipped"; fi
	@scripts/test.sh

golden: build ## compare with what the official code recorded (committed fixtures)
	@./unmask verify engine/testdata/golden

fuzz: ## every fuzz target for FUZZTIME (1m)
	@grep -rlE '^func Fuzz' --include='*_test.go' app engine ui | while read -r f; do \
		grep -oE '^func Fuzz[A-Za-z0-9_]+' $$f | cut -c6- | while read -r t; do \
			echo "== $$t"; $(GO) test $(TAGS) -run='^$$' -fuzz="^$$t\$$" -fuzztime=$${FUZZTIME:-1m} -fuzzminimizetime=1x ./$$(dirname $$f) || exit 1; done || exit 1; done

bench: build ## measure this machine
	@./unmask bench

samples: build ## 64 pictures and 20 chats that nobody picked, to build/samples
	@./unmask eval --samples build/samples --seed 1

tiny: ## train the embedded model from scratch (hours; resumes)
	@$(MAKE) -C assets/tiny/recipe

clean: ## remove what was built
	@rm -rf unmask unmask-engined bin build

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/'
