# Everything a contributor runs. CI runs .ci/run, which calls these.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CORE          := ./broker/... ./netsim/... ./sim/...
SEEDS         ?= 100
FUZZTIME      ?= 30s
SOAK          ?= 1h
SCENARIO      ?= smoke
N             ?= 200

.PHONY: bench-peers bench-kafka k6 k6-test k6-smoke k6-zone-failure help build test race lint lint-detlint lint-golangci sim verify soak fuzz bench bench-long bench-packages callgrind callgrind-update conformance conformance-jvm kill-loop golden diverge docs ci

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

build: ## every command into bin/
	$(GO) build -o bin/ ./cmd/...

test: ## what CI runs
	$(GO) test ./...

race: ## the packages that use goroutines, with the race detector
	$(GO) test -race ./broker/host/... ./clock/... ./linearizability/... ./reports/... ./cmd/...

lint: lint-detlint lint-golangci ## vet, determinism, golangci-lint
	$(GO) vet ./...

lint-detlint: ## deterministic code is deterministic, and the bad fixture is not
	.ci/detlint $(CORE)

lint-golangci:
	$(GOLANGCI_LINT) run ./...

sim: build ## every shipped scenario, SEEDS seeds each
	bin/simrun --runs $(SEEDS) --jobs 2 --quiet $(filter-out scenarios/billion.yaml scenarios/ten-million-singles.yaml,$(wildcard scenarios/*.yaml))

verify: build ## SCENARIO in two processes: do they do the same?
	bin/simrun --verify --quiet $(SCENARIO)

soak: ## random clusters, loads and faults for SOAK
	WINDTUNNEL_SOAK=$(SOAK) $(GO) test -timeout 0 -run TestSwarm ./scenarios/swarm

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

bench: ## speed, memory and allocations of whole runs, about a minute
	$(GO) test -run '^$$' -bench '^Benchmark(Smoke|Idle|Batches|Singles|Memory|Allocations)$$' -benchtime 1x ./bench

bench-long: ## memory with 10^7 against 10^8 records, minutes
	$(GO) test -run '^$$' -bench '^BenchmarkMemory$$' -benchtime 1x -timeout 2h ./bench -long

bench-packages: ## what single packages cost
	$(GO) test -run '^$$' -bench . -benchmem $$($(GO) list ./... | grep -v /bench$$)

bench-peers: build ## brokerd against kfake and NATS JetStream on this machine, interleaved
	PEERS="kfake jetstream" OUT=results/bench-peers bench/peers/compare.sh

bench-kafka: build ## brokerd against Apache Kafka on this machine, interleaved; needs Java 17 and Maven
	PEERS=kafka OUT=results/bench-kafka bench/peers/compare.sh

k6: ## k6 with the module k6/x/kafka into bin/
	cd bench/k6 && $(GO) build -o ../../bin/k6 .

k6-test: ## the k6 module against a broker in memory
	cd bench/k6 && $(GO) vet ./... && $(GO) test ./...

k6-smoke: build k6 ## a broker, the smoke script, its report in results/k6-smoke
	bench/k6/smoke.sh

k6-zone-failure: build k6 ## three nodes, a load, and kill -9 of one zone; its report in results/k6-zone-failure
	bench/k6/zone-failure.sh

callgrind: ## instructions per record against bench/instructions.txt
	bench/callgrind.sh

callgrind-update: ## record instructions per record
	bench/callgrind.sh -update

conformance: ## clients that others wrote against real brokers, kgo's suite with its 500,000 records
	cd conformance && $(GO) test -count=1 -timeout 60m -v . -kgo-records 500000

conformance-jvm: ## Apache Kafka's own tools and clients against real brokers, its answers and its speed beside ours; needs Java 17 and Maven
	cd conformance && $(GO) vet -tags jvm . && $(GO) test -tags jvm -count=1 -timeout 90m -v -run 'KafkaTools|Verifiable|DumpLogSegments|LogDirectory|Oracle' .
	$(MAKE) bench-kafka REPEATS=1 DURATION=3s WARMUP=3s JVM_WARMUP=20s MEMORY_GIB=2

kill-loop: ## kill -9 of three brokers under load, N times, half of it to preallocated files
	$(GO) test -count=1 -timeout 0 -v -run '^TestKillLoop$$' ./cmd/brokerd -kills $(N) -restart-limit 5s

golden: ## write the golden trace hashes, references and error texts again
	$(GO) test ./scenarios -run 'Golden|Broken|Docs' -update

diverge: ## the first event in which SCENARIO differs from the commit that recorded the golden hashes
	.ci/diverge $(SCENARIO) $(BASE)

docs: golden ## the generated references
	$(GO) test ./cmd/brokerctl -run Walk -update
	$(GO) test ./cmd/brokerctl/internal/cli -run Docs -update

ci: ## all that a push must pass
	.ci/run
