package runner

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// inflict does to the world what an event says.
func (f *faults) inflict(now clock.Instant, w *sim.World, s *span, e *scenarios.Event) {
	hosts, index := s.hosts, s.event
	if e.Operator == "restore_backup" {
		f.restore(now, w, s, e)
	}
	switch e.Fault {
	case "zone_outage":
		switch e.Mode {
		case "network":
			w.Network().CutPairs(netsim.CutID(index), both(hosts, f.others(hosts)))
		case "kill":
			each(hosts, w.Kill)
		default:
			each(hosts, w.PowerLoss)
		}
	case "kill":
		each(hosts, w.Kill)
	case "power_loss":
		each(hosts, w.PowerLoss)
	case "pause":
		each(hosts, w.Pause)
	case "partition":
		w.Network().CutPairs(netsim.CutID(index), f.cut(e, hosts))
	case "link":
		f.degrade(now, w, index, e)
	case "reset_connections":
		w.Network().ResetConnections(now, hosts, f.everybody())
	case "hold_rpc":
		f.hold(now, w, s, e)
	case "disk":
		f.disks(now, w, s, e)
	case "dns":
		if e.ChangeIP {
			w.Network().HalfOpen(now, hosts, f.everybody())
			return
		}
		each(hosts, func(h netsim.HostID) { w.Network().SetLookups(h, false) })
	case "stress":
		each(hosts, func(h netsim.HostID) { f.setStress(now, w, h) })
	case "clock":
		for _, h := range hosts {
			if e.Bump != 0 {
				w.BumpClock(h, e.Bump)
			} else {
				w.SetClockStrobe(h, clock.Strobe{From: now, Until: now.Add(e.For), Period: e.Period, Delta: e.Strobe})
			}
		}
	}
}

// withdraw ends what an event does, as far as no other event that goes on does
// the same to the same host.
func (f *faults) withdraw(now clock.Instant, w *sim.World, s *span, e *scenarios.Event) {
	switch e.Fault {
	case "zone_outage", "kill", "power_loss":
		if e.Mode == "network" && e.Fault == "zone_outage" {
			w.Network().Heal(netsim.CutID(s.event))
			return
		}
		for _, h := range s.hosts {
			if !f.held(now, s, h, takesDown) {
				f.start(w, h)
			}
		}
	case "pause":
		for _, h := range s.hosts {
			if !f.held(now, s, h, func(o *scenarios.Event) bool { return o.Fault == "pause" }) {
				w.Resume(h)
			}
		}
	case "partition":
		w.Network().Heal(netsim.CutID(s.event))
	case "link":
		w.Network().Restore(now, netsim.DegradeID(2*s.event))
		w.Network().Restore(now, netsim.DegradeID(2*s.event+1))
	case "dns":
		for _, h := range s.hosts {
			if !f.held(now, s, h, func(o *scenarios.Event) bool { return o.Fault == "dns" && o.Fail }) {
				w.Network().SetLookups(h, true)
			}
		}
	case "stress":
		each(s.hosts, func(h netsim.HostID) { f.setStress(now, w, h) })
	case "hold_rpc":
		w.Network().Release(now, netsim.HoldID(s.event))
		s.damage = append(s.damage, fmt.Sprintf("%d held", w.Network().Stats().FramesHeld-s.held))
	case "disk":
		for _, h := range s.hosts {
			f.setDisk(now, w, h)
			if !f.held(now, s, h, takesDown) {
				f.start(w, h) // a broker that its disk has halted
			}
		}
	}
}

// degrade makes links worse in both directions.
func (f *faults) degrade(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	a, b := f.ends(e)
	d := netsim.Degradation{ // its jitter goes both ways, the file's only up
		Latency: e.Latency + e.Jitter/2, Jitter: e.Jitter / 2, LossPPM: int32(e.LostPackets()), DuplicatePPM: int32(e.Duplicate),
		ReorderPPM: int32(e.Reorder), BytesPerSecond: e.Bandwidth.BytesPerSecond(),
	}
	w.Network().Degrade(now, netsim.DegradeID(2*index), a, b, d)
	w.Network().Degrade(now, netsim.DegradeID(2*index+1), b, a, d)
}

// hold keeps requests back between two hosts that are found when it begins.
func (f *faults) hold(now clock.Instant, w *sim.World, s *span, e *scenarios.Event) {
	from, to := f.resolve(&e.From, true), f.resolve(&e.To, true)
	for _, end := range []struct {
		hosts []netsim.HostID
		text  string
	}{{from, e.From.Text}, {to, e.To.Text}} {
		if len(end.hosts) == 0 {
			f.nothing(now, e, end.text+" was nobody")
		}
	}
	s.held = w.Network().Stats().FramesHeld
	w.Network().Hold(netsim.HoldID(s.event), from, to, netsim.Match{API: e.APIKey()})
}

// everyOp is all that a disk does.
var everyOp = disk.KindsOf(edge.OpMkdir, edge.OpList, edge.OpOpen, edge.OpRead, edge.OpWrite, edge.OpTruncate, edge.OpSync,
	edge.OpSyncDir, edge.OpRename, edge.OpRemove, edge.OpReadFile, edge.OpReplaceFile, edge.OpAllocate)

// setDisk gives a disk what the events in force ask for together: the longest
// delay, the largest share of errors, and full if one says so.
func (f *faults) setDisk(now clock.Instant, w *sim.World, h netsim.HostID) {
	latency, share, full := time.Duration(0), scenarios.PPM(0), false
	for i := range f.done {
		s, e := &f.done[i], &f.events[f.done[i].event]
		if e.Fault == "disk" && !s.over(now) && slices.Contains(s.hosts, h) {
			latency, share, full = max(latency, e.Latency), max(share, e.Error), full || e.Full
		}
	}
	d, problem := w.Disk(h), edge.DiskOK
	if share > 0 {
		problem = edge.ErrIO
	}
	d.SetLatency(everyOp, latency)
	d.SetError(everyOp, problem, uint32(share))
	d.SetFull(full)
}

// setStress takes the largest share of a processor that an event in force asks for.
func (f *faults) setStress(now clock.Instant, w *sim.World, h netsim.HostID) {
	share := scenarios.PPM(0)
	for i := range f.done {
		s, e := &f.done[i], &f.events[f.done[i].event]
		if e.Fault == "stress" && !s.over(now) && slices.Contains(s.hosts, h) {
			share = max(share, e.CPU)
		}
	}
	w.SetStress(h, int64(share))
}

// disks makes disks slow, full or faulty for as long as the event lasts, or
// damages them once.
func (f *faults) disks(now clock.Instant, w *sim.World, s *span, e *scenarios.Event) {
	damaged := 0
	for _, h := range s.hosts {
		d := w.Disk(h)
		f.setDisk(now, w, h)
		if e.Error > 0 {
			f.inside.LostTail(h) // a failed sync may lose what it was to save
		}
		for range e.BitFlip {
			if c, ok := d.FlipBit("*.log"); ok {
				f.inside.Corrupted(h)
				damaged++
				s.damage = append(s.damage, fmt.Sprintf("%s: %s bit %d of byte %d", w.Name(h), c.Path, c.Bit, c.Offset))
			}
		}
		if e.Truncate > 0 {
			if c, ok := d.TruncateFile("*.log", int64(e.Truncate)); ok {
				f.inside.Corrupted(h)
				damaged++
				s.damage = append(s.damage, fmt.Sprintf("%s: %s cut to %d B", w.Name(h), c.Path, c.Offset))
			}
		}
		if e.Lose {
			w.LoseDisk(h)
			f.inside.LostTail(h)
		}
	}
	if (e.BitFlip > 0 || e.Truncate > 0) && damaged == 0 {
		f.nothing(now, e, "no segment of "+f.names(s.hosts)+" had anything in it")
	}
}

// savedDisk is a copy of a node's disk that an event will restore.
type savedDisk struct {
	event  int
	host   netsim.HostID
	backup *disk.Backup
}

// save copies the disks that an event is going to restore.
func (f *faults) save(w *sim.World, index int, e *scenarios.Event) {
	for _, h := range f.resolve(&e.Target, false) {
		w.Note("backup of " + w.Name(h))
		f.saved = append(f.saved, savedDisk{event: index, host: h, backup: w.Disk(h).Backup()})
	}
}

// restore puts the copies in the place of the disks.
func (f *faults) restore(now clock.Instant, w *sim.World, s *span, e *scenarios.Event) {
	for _, h := range s.hosts {
		at := slices.IndexFunc(f.saved, func(d savedDisk) bool { return d.event == s.event && d.host == h })
		if at < 0 {
			f.nothing(now, e, w.Name(h)+" was not there when the copy was to be taken")
			continue
		}
		w.RestoreDisk(h, f.saved[at].backup)
		f.saved[at].backup = nil
		f.inside.LostTail(h)
	}
}

func each(hosts []netsim.HostID, do func(netsim.HostID)) {
	for _, h := range hosts {
		do(h)
	}
}
