package client

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// The kinds of call and of timer of a producer.
const (
	callProduce uint8 = callClient + iota
	callInitProducerID
)

const (
	timerExpiry uint8 = iota + 1
	timerProducerID
	timerForgotten
)

// Limits that keep mistakes from filling memory; Java has none of the kind.
const (
	partitionsMax   = 1 << 16
	producerIndices = 1 << 24
	idsMax          = 1 << 40 // of one producer
)

// forgottenAfter is how long the operating system takes for a request without
// answer (acks=0): the batch counts as sent then. Without it a closed model
// would send for ever at one instant.
const forgottenAfter = 50 * time.Microsecond

// partitionQueue is the producer's side of one partition.
type partitionQueue struct {
	queue []*batch // those to be sent, the open one last
	sequences
	flying int
}

// Producer is a KafkaProducer with the application that feeds it: records come
// into being as its load says, wait in a batch for their partition, and end as
// acked, failed or dropped.
type Producer struct {
	cfg      ProducerConfig
	settings *clientconfig.Producer
	observer ProducerObserver
	net      network
	meta     metadata
	load     arrivals
	keys     keySource
	encoder  encoder

	partitions []partitionQueue
	sticky     sticky
	identity   producerIdentity

	pendingKey  Key // drawn for the next record
	hasPending  bool
	blocked     bool // the next record waits for memory or metadata
	paused      bool // shared iterations: enough batches outstanding
	closing     bool
	expiring    bool   // a timer is set for the oldest batch
	nextID      uint64 // of the batch that is closed next, from 1 on
	buffered    int64
	outstanding int64 // batches without an outcome, open ones included
	queued      int   // batches in the partitions' queues

	nodes       []drainNode
	nodeOf      []int32 // place in nodes of each partition's leader; -1
	nodesAs     int64   // of which metadata version
	requests    []produceRequest
	free        []uint32 // unused requests
	spare       []*batch
	response    wire.ProduceResponse
	forgotten   []forgotten
	stats       ProducerStats
	recordBytes int // upper bound of one record
}

// forgotten is a request with acks=0 that counts as sent at an instant.
type forgotten struct {
	slot uint32
	at   clock.Instant
}

// produceRequest is a Produce request in flight.
type produceRequest struct {
	used    bool
	batches []*batch
}

// NewProducer returns a producer; it panics on a configuration that no checked
// scenario can have.
func NewProducer(cfg ProducerConfig) *Producer {
	if cfg.Index < 0 || cfg.Index >= producerIndices || cfg.Topic.Index < 0 || cfg.Topic.Index >= partitionsMax {
		panic(fmt.Sprintf("client: producer %d of topic %d", cfg.Index, cfg.Topic.Index))
	}
	if cfg.Load.MessageSizeBytes < PayloadHeaderBytes {
		panic(fmt.Sprintf("client: values of %d bytes, at least %d", cfg.Load.MessageSizeBytes, PayloadHeaderBytes))
	}
	if cfg.Load.Kind == SharedIterations && cfg.Load.Outstanding == 0 {
		cfg.Load.Outstanding = OutstandingDefault
	}
	p := &Producer{cfg: cfg, observer: cfg.Observer, nextID: 1}
	p.settings = &p.cfg.Settings
	p.net = newNetwork(&p.cfg.Identity, &p.settings.Common, p)
	p.meta = newMetadata(&p.net, cfg.Bootstrap, []string{cfg.Topic.Name})
	p.load = newArrivals(&p.cfg.Load)
	p.keys = newKeySource(cfg.Load.Keys, cfg.Seed)
	p.encoder.codec = record.Codec(p.settings.Compression)
	p.encoder.level = p.settings.CompressionLevels.Of(p.encoder.codec)
	p.encoder.size = cfg.Load.MessageSizeBytes
	p.sticky = sticky{rng: rand.New(rand.NewPCG(cfg.Seed, pcgStream+2)), partition: -1}
	p.recordBytes = max(p.encoder.recordBytes(1<<20, 1<<40, 0), p.encoder.recordBytes(1<<20, 1<<40, tombstoneBit))
	p.identity = producerIdentity{id: record.EmptyProducerID, epoch: record.EmptyProducerEpoch}
	return p
}

// Step consumes one event.
func (p *Producer) Step(ev *edge.Event, out *edge.Effects) {
	p.net.begin(ev, out)
	if ev.Kind == edge.EventShutdown {
		p.closing = true
	}
	p.net.handle(ev)
	for {
		id, ok := p.net.timers.Pop(p.net.now)
		if !ok {
			break
		}
		p.due(id)
	}
	p.meta.maintain()
	p.grow()
	p.generate()
	if p.settings.EnableIdempotence {
		p.maintainIdentity()
	}
	p.send()
	if p.closing && p.Drained() {
		out.Stopped = true
	}
	out.Wake = min(p.net.timers.Next(), p.loadWake(), p.queueWake())
}

func (p *Producer) due(id timer.ID) {
	switch {
	case id.Owner == ownerNetwork:
		p.net.due(id)
	case id.Owner == ownerClient && id.Kind == timerExpiry:
		p.expire()
	case id.Owner == ownerClient && id.Kind == timerForgotten:
		p.forget()
	}
}

// Drained tells whether the load is over and every batch has its outcome.
func (p *Producer) Drained() bool {
	return p.outstanding == 0 && p.finishing()
}

// Stats returns the counts so far.
func (p *Producer) Stats() ProducerStats {
	s := p.stats
	s.Disconnects = p.net.disconnects
	s.BufferedBytes = p.buffered
	s.InFlight = int64(len(p.requests) - len(p.free))
	return s
}

// grow follows the topic's number of partitions.
func (p *Producer) grow() {
	for len(p.partitions) < len(p.meta.topics[0].partitions) {
		p.partitions = append(p.partitions, partitionQueue{sequences: newSequences()})
	}
}

func (p *Producer) answered(from *peer, c *call, body []byte, _ *edge.Buffer) {
	switch c.kind {
	case callMetadata:
		if !p.meta.answered(c, body) {
			p.net.hangUp(from, false)
		}
	case callProduce:
		p.produced(from, c, body)
	case callInitProducerID:
		p.identified(c, body)
	}
}

func (p *Producer) lost(_ *peer, c *call, _ bool) {
	switch c.kind {
	case callMetadata:
		p.meta.failed()
	case callProduce:
		p.endRequest(c.slot, codeNetworkException)
	case callInitProducerID:
		p.identityFailed()
	}
}

func (p *Producer) closed(*peer) { p.meta.request() }
