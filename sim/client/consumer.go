package client

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// The kinds of call and of timer of a consumer.
const (
	callFetch uint8 = callClient + iota
	callListOffsets
	callListEnds
	callEpochs
	callOffsetFetch
	callCommit
	callCoordinator
	callJoin
	callSync
	callHeartbeat
	callLeave
)

const (
	timerApplication uint8 = iota + 1
	timerHeartbeat
	timerSession
	timerPollInterval
	timerPositions
	timerEnds
	timerGroupRetry
	timerCommitRetry
	timerAutoCommit
)

// appState is what the application around the consumer is doing.
//
//	idle --Start--> polling --records--> processing --done--> committing or polling
//	committing --answered--> polling
//	any --Stop--> closing --left--> closed
type appState uint8

const (
	appIdle appState = iota
	appPolling
	appProcessing
	appCommitting
	appClosing
	appClosed
)

// position says how far a partition's position is known.
//
//	none --OffsetFetch--> valid, validating or resetting
//	resetting --ListOffsets--> valid
//	valid --new leader epoch--> validating --OffsetForLeaderEpoch--> valid
//	valid --out of range--> resetting
type positionState uint8

const (
	positionNone positionState = iota
	positionResetting
	positionValidating
	positionValid
)

// noBroker stands for none.
const noBroker int32 = -1

// readPartition is the consumer's side of one partition.
type readPartition struct {
	topic    int32 // place in the configuration
	number   int32
	assigned bool

	state        positionState
	reason       PositionReason // of a reset
	position     int64          // of the next record to hand out
	epoch        int32          // of the last record handed out; -1
	leaderEpoch  int32          // for which the position is valid
	asking       bool           // a request about the position is in flight
	retryAt      clock.Instant
	attempts     int32
	committed    int64 // last offset committed or fetched as such; -1
	replica      int32 // preferred read replica; -1
	replicaUntil clock.Instant
	buffered     bool  // a completed fetch waits
	from         int32 // the broker to be asked in this round of fetches
	end          int64 // last known high watermark; -1
}

// Consumer is a KafkaConsumer and the application that polls it.
type Consumer struct {
	cfg      ConsumerConfig
	settings *clientconfig.Consumer
	observer ConsumerObserver
	net      network
	meta     metadata

	app          appState
	until        clock.Instant // of processing
	lastPoll     clock.Instant
	partitions   []readPartition // by topic, then number
	first        []int           // of each topic in partitions
	metaSeen     int64
	nodes        []fetchNode
	completed    []completedFetch
	spareFetches [][]edge.Slice // memory of completed fetches
	turn         int            // rotates partitions in fetches
	group        membership
	commit       commitState
	shutdown     bool
	stopped      bool // fatal

	reader   record.Reader
	scratch  record.Scratch
	payload  payloadReader
	intended []Due
	keys     []Key
	delivery Delivery // the run that is being handed out
	request  wire.FetchRequest
	response wire.FetchResponse
	stats    ConsumerStats
}

// NewConsumer returns a consumer.
func NewConsumer(cfg ConsumerConfig) *Consumer {
	c := &Consumer{cfg: cfg, observer: cfg.Observer, metaSeen: -1}
	c.settings = &c.cfg.Settings
	c.net = newNetwork(&c.cfg.Identity, &c.settings.Common, c)
	var names []string
	for i := range cfg.Topics {
		names = append(names, cfg.Topics[i].Name)
	}
	c.meta = newMetadata(&c.net, cfg.Bootstrap, names)
	c.first = make([]int, len(names)+1)
	c.group = newMembership()
	return c
}

// Closed tells whether the consumer has been closed, or gave up.
func (c *Consumer) Closed() bool { return c.app == appClosed }

// Stats returns the counts so far.
func (c *Consumer) Stats() ConsumerStats {
	s := c.stats
	s.Disconnects = c.net.disconnects
	for i := range c.partitions {
		if p := &c.partitions[i]; p.assigned {
			s.Assigned++
			if p.state == positionValid {
				s.Lag += max(p.end-p.position, 0)
			}
		}
	}
	return s
}

// Step consumes one event.
func (c *Consumer) Step(ev *edge.Event, out *edge.Effects) {
	n := &c.net
	n.begin(ev, out)
	if ev.Kind == edge.EventShutdown {
		c.shutdown = true
	}
	n.handle(ev)
	for {
		id, ok := n.timers.Pop(n.now)
		if !ok {
			break
		}
		if id.Owner == ownerNetwork {
			n.due(id)
		} else if id.Owner == ownerClient {
			c.due(id)
		}
	}
	if c.app != appClosed {
		c.meta.maintain()
		c.followMetadata()
		c.run()
	}
	if c.app != appClosed {
		c.meta.maintain()
	}
	if c.shutdown && c.app == appClosed {
		out.Stopped = true
	}
	out.Wake = n.timers.Next()
}

func (c *Consumer) due(id timer.ID) {
	switch id.Kind {
	case timerHeartbeat, timerSession:
		c.heartbeat()
	case timerPollInterval:
		c.pollInterval()
	case timerEnds:
		c.askEnds()
	}
}

func (c *Consumer) set(kind uint8, at clock.Instant) {
	c.net.timers.Set(timer.ID{Owner: ownerClient, Kind: kind}, at)
}

func (c *Consumer) waits(kind uint8) bool {
	_, ok := c.net.timers.Pending(timer.ID{Owner: ownerClient, Kind: kind})
	return ok
}

func (c *Consumer) waitRetry(kind uint8, attempts int32) {
	s := c.net.common
	c.set(kind, c.net.now.Add(c.net.backoff(s.RetryBackoffMillis, s.RetryBackoffMaxMillis, attempts)))
}

// stalledUntil is the end of the stall that now lies in; 0 if in none.
func (c *Consumer) stalledUntil() clock.Instant {
	for _, w := range c.cfg.Stalls {
		if c.net.now >= w.From && c.net.now < w.To {
			return w.To
		}
	}
	return 0
}

// run moves the application on as far as it goes now.
func (c *Consumer) run() {
	now := c.net.now
	if c.app != appClosing && c.app != appIdle && (now >= c.cfg.Stop || c.shutdown || c.stopped) {
		c.close()
	}
	for range roundsMax {
		switch c.app {
		case appIdle:
			if c.shutdown {
				c.app = appClosed
				return
			}
			if now < c.cfg.Start {
				c.set(timerApplication, c.cfg.Start)
				return
			}
			c.app, c.lastPoll = appPolling, now
			if c.cfg.Stop != clock.Never {
				c.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerApplication, A: 1}, c.cfg.Stop)
			}
			if c.cfg.Ends > 0 {
				c.set(timerEnds, now.Add(c.cfg.Ends))
			}
		case appProcessing:
			if now < c.until {
				c.set(timerApplication, c.until)
				return
			}
			c.app = appPolling
			if c.cfg.CommitAfterPoll && !c.settings.EnableAutoCommit && c.settings.GroupID != "" {
				c.app = appCommitting
				c.commitSync()
			}
		case appCommitting:
			if !c.committing() {
				return
			}
			c.app = appPolling
		case appPolling:
			if to := c.stalledUntil(); to != 0 {
				c.set(timerApplication, to)
				return
			}
			if !c.poll() {
				return
			}
		case appClosing:
			c.closing()
			return
		case appClosed:
			return
		}
	}
	c.set(timerApplication, now.Add(1)) // others may act before the next round
}

// roundsMax bounds the polls of one step.
const roundsMax = 64

// poll is KafkaConsumer.poll: it returns false while there is nothing to hand
// out.
func (c *Consumer) poll() bool {
	c.lastPoll = c.net.now
	c.stats.Polls++
	if c.cfg.Assign {
		c.assignAll()
	} else {
		c.pollGroup()
	}
	c.maintainPositions()
	records := c.collect()
	// The next fetches leave before the application works on this one.
	c.sendFetches()
	if records == 0 {
		return false
	}
	c.app = appProcessing
	c.until = c.net.now.Add(c.cfg.ProcessingTime * durationOf(records))
	return true
}

// followMetadata makes partitions known and has positions validated when their
// leader has changed (KIP-320).
func (c *Consumer) followMetadata() {
	if c.metaSeen == c.meta.version {
		return
	}
	c.metaSeen = c.meta.version
	c.growPartitions()
	for i := range c.partitions {
		p := &c.partitions[i]
		m := c.meta.partition(int(p.topic), p.number)
		if m.leader < 0 || m.epoch <= p.leaderEpoch || p.state != positionValid {
			continue
		}
		p.leaderEpoch, p.replica = m.epoch, -1
		if p.epoch >= 0 {
			p.state = positionValidating
		}
	}
}

// growPartitions keeps the table sorted by topic and number when topics appear
// or grow; what points into it is moved along.
func (c *Consumer) growPartitions() {
	total := 0
	for i := range c.meta.topics {
		total += len(c.meta.topics[i].partitions)
	}
	if total <= len(c.partitions) {
		return
	}
	old, oldFirst := c.partitions, append([]int(nil), c.first...)
	c.partitions = make([]readPartition, 0, total)
	for t := range c.meta.topics {
		c.first[t] = len(c.partitions)
		had := old[oldFirst[t]:oldFirst[t+1]]
		c.partitions = append(c.partitions, had...)
		for k := len(had); k < len(c.meta.topics[t].partitions); k++ {
			c.partitions = append(c.partitions, readPartition{topic: int32(t), number: int32(k), epoch: -1, leaderEpoch: -1, committed: -1, replica: -1, end: -1})
		}
	}
	c.first[len(c.meta.topics)] = len(c.partitions)
	c.sessionsForget()
	if !c.cfg.Assign {
		c.group.grown = c.group.generation >= 0
	}
}

func (c *Consumer) partition(topic int, number int32) *readPartition {
	if topic < 0 || number < 0 || int(number) >= c.first[topic+1]-c.first[topic] {
		return nil
	}
	return &c.partitions[c.first[topic]+int(number)]
}

// public names a partition as observers know it.
func (c *Consumer) public(p *readPartition) TopicPartition {
	return TopicPartition{c.cfg.Topics[p.topic].Index, p.number}
}

// assignAll takes all partitions, without a group.
func (c *Consumer) assignAll() {
	var added []TopicPartition
	for i := range c.partitions {
		if p := &c.partitions[i]; !p.assigned {
			c.begin(p)
			added = append(added, c.public(p))
		}
	}
	if len(added) > 0 {
		c.observer.Assigned(c.cfg.Index, -1, "", added)
	}
}

// begin makes a partition the consumer's, with no position yet.
func (c *Consumer) begin(p *readPartition) {
	*p = readPartition{topic: p.topic, number: p.number, assigned: true, epoch: -1, leaderEpoch: -1, committed: -1, replica: -1, end: -1}
}

// end takes a partition away, with what was fetched of it.
func (c *Consumer) end(p *readPartition) {
	p.assigned, p.state, p.buffered = false, positionNone, false
	c.discard(p)
}

// fatal stops the application with an error.
func (c *Consumer) fatal(code int16, reason string) {
	if !c.stopped {
		c.stopped = true
		c.observer.Stopped(c.cfg.Index, code, reason)
	}
}

func (c *Consumer) answered(from *peer, r *call, body []byte, frame *edge.Buffer) {
	var ok bool
	switch r.kind {
	case callMetadata:
		ok = c.meta.answered(r, body)
	case callFetch:
		ok = c.fetched(from, r, body, frame)
	case callListOffsets, callListEnds:
		ok = c.listed(r, body)
	case callEpochs:
		ok = c.validated(r, body)
	case callOffsetFetch:
		ok = c.offsetsFetched(r, body)
	case callCommit:
		ok = c.committed(r, body)
	default:
		ok = c.groupAnswered(r, body)
	}
	if !ok {
		c.net.hangUp(from, false)
	}
}

func (c *Consumer) lost(from *peer, r *call, _ bool) {
	switch r.kind {
	case callMetadata:
		c.meta.failed()
	case callFetch:
		c.fetchLost(from)
	case callListOffsets, callListEnds, callEpochs:
		c.questionLost(r)
	case callOffsetFetch:
		c.offsetsFailed(codeNetworkException)
	case callCommit:
		c.commitEnded(codeNetworkException)
	default:
		c.groupLost(r)
	}
}

func (c *Consumer) closed(p *peer) {
	c.meta.request()
	if p.id >= math.MaxInt32/2 {
		c.coordinatorLost()
	}
}
