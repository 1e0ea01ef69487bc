# Everything a contributor runs. CI runs .ci/run, which calls these.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CORE          := ./broker/... ./netsim/... ./sim/...
SEEDS         ?= 100
FUZZTIME      ?= 30s
SOAK          ?= 1h

.PHONY: build test race lint lint-golangci sim soak fuzz bench golden docs

build: ## both commands into bin/
	$(GO) build -o bin/ ./cmd/...

test:
	$(GO) test ./...

race:
	$(GO) test -race ./clock/... ./linearizability/... ./scenarios/... ./reports/... ./cmd/...

lint: lint-golangci ## vet, determinism, golangci-lint
	$(GO) vet ./...
	$(GO) run ./cmd/detlint -test=false $(CORE)

lint-golangci:
	$(GOLANGCI_LINT) run ./...

sim: build ## every shipped scenario, SEEDS seeds each
	bin/simrun --runs $(SEEDS) --jobs 2 --quiet $(filter-out scenarios/billion.yaml,$(wildcard scenarios/*.yaml))

soak: ## random clusters, loads and faults for SOAK
	WINDTUNNEL_SOAK=$(SOAK) $(GO) test -timeout 0 -run Swarm ./scenarios

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

golden: ## write the golden trace hashes, references and error texts again
	$(GO) test ./scenarios -run 'Golden|Broken|Docs' -update

docs: golden
