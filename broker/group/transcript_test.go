package group

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: every answer of the coordinator, and every record that it writes, in the
// stories that the classic protocol is made of. Method: transcripts of requests,
// time and failures of the log against a log that exists in memory only. "#3"
// names the third request, "m2" the second member id that anybody has seen.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		w := newWorld()
		s := &script{world: w}
		w.answered = s.answer
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.lines = s.lines[:0]
			s.d = d
			s.run(t)
			for id := conn.RequestID(1); id <= w.lastID; id++ {
				if w.requests[id] != nil && id == s.sent {
					s.printf("#%d waits", id)
				}
			}
			s.sent = 0
			if len(s.lines) == 0 {
				return "ok"
			}
			return w.short(strings.Join(s.lines, "\n"))
		})
	})
}

type script struct {
	*world
	d     *datadriven.TestData
	lines []string
	sent  conn.RequestID
}

func (s *script) printf(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *script) run(t *testing.T) {
	switch s.d.Cmd {
	case "config":
		s.cfg.GroupInitialRebalanceDelayMillis = s.number("delay", s.cfg.GroupInitialRebalanceDelayMillis)
		s.cfg.GroupMaxSize = s.number("max-size", s.cfg.GroupMaxSize)
		s.cfg.OffsetMetadataMaxBytes = s.number("metadata-max", s.cfg.OffsetMetadataMaxBytes)
		s.start()
	case "advance":
		d, err := time.ParseDuration(s.d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.advance(d)
	case "live":
		s.live(t)
	case "hold":
		s.log.hold = true
	case "release":
		s.log.hold = false
		s.log.commit()
		s.settle()
	case "doubt":
		s.log.doubt()
		s.settle()
	case "refuse":
		s.log.refuse = int16(s.number("code", 0))
	case "failover":
		s.failover(s.d.HasArg("lose"), s.d.HasArg("lag"))
	case "topics":
		var names []string
		for _, a := range s.d.CmdArgs {
			names = append(names, a.Key)
		}
		s.apply(image(names...))
	case "authorizer":
		if err := s.authorize(strings.Split(strings.TrimSpace(s.d.Input), "\n")); err != nil {
			t.Fatal(err)
		}
	case "as":
		s.peer = security.NewSession(security.User(s.d.CmdArgs[0].Key), "10.0.0.1")
	case "groups":
		s.groups()
	case "log":
		s.dump()
	default:
		s.request(t)
	}
}

// live lets a member do nothing but send heartbeats for a while; the answers to
// the last are told.
func (s *script) live(t *testing.T) {
	d, err := time.ParseDuration(s.text("for", ""))
	if err != nil {
		t.Fatal(err)
	}
	until, every := s.now.Add(d), time.Duration(s.number("session", 10_000))*time.Millisecond*9/10
	s.d.Cmd = "heartbeat"
	for s.now < until {
		s.advance(min(every, until.Sub(s.now)))
		s.lines = s.lines[:0]
		s.request(t)
	}
}

func (s *script) text(name, otherwise string) string {
	for _, a := range s.d.CmdArgs {
		if a.Key == name && len(a.Vals) > 0 {
			return strings.Join(a.Vals, ",")
		}
	}
	return otherwise
}

func (s *script) number(name string, otherwise int64) int64 {
	if text := s.text(name, ""); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	return otherwise
}

func (s *script) optional(name string) *string {
	if text := s.text(name, ""); text != "" {
		return &text
	}
	return nil
}

func (s *script) version(otherwise int16) int16 { return int16(s.number("v", int64(otherwise))) }

func (s *script) request(t *testing.T) {
	client, group, member := s.text("client", "c"), s.text("group", "g"), s.long(s.text("member", ""))
	if group == "none" {
		group = ""
	}
	var req kmsg.Request
	switch s.d.Cmd {
	case "join":
		req = s.joinRequest(group, member)
	case "sync":
		r := kmsg.NewPtrSyncGroupRequest()
		r.Group, r.MemberID, r.InstanceID, r.Generation = group, member, s.optional("instance"), int32(s.number("generation", 1))
		r.ProtocolType, r.Protocol = s.optional("type"), s.optional("protocol")
		newest := int16(5)
		if r.ProtocolType == nil && r.Protocol == nil {
			newest = 4 // that does not have to say them
		}
		r.SetVersion(s.version(newest))
		for _, part := range strings.Fields(strings.ReplaceAll(s.text("assign", ""), ",", " ")) {
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			name, value, _ := strings.Cut(part, "/")
			a.MemberID, a.MemberAssignment = s.long(name), []byte(value)
			r.GroupAssignment = append(r.GroupAssignment, a)
		}
		req = r
	case "heartbeat":
		r := kmsg.NewPtrHeartbeatRequest()
		r.SetVersion(s.version(4))
		r.Group, r.MemberID, r.InstanceID, r.Generation = group, member, s.optional("instance"), int32(s.number("generation", 1))
		req = r
	case "leave":
		req = s.leaveRequest(group)
	case "commit":
		req = s.commitRequest(group, member)
	case "fetch":
		req = s.fetchRequest(group)
	case "describe":
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.SetVersion(s.version(6))
		r.Groups = strings.Split(group, ",")
		req = r
	case "list":
		r := kmsg.NewPtrListGroupsRequest()
		r.SetVersion(s.version(5))
		r.StatesFilter, r.TypesFilter = strings.Fields(s.text("states", "")), strings.Fields(s.text("types", ""))
		req = r
	case "delete-offsets":
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = group
		for _, part := range strings.Split(s.text("offsets", ""), ",") {
			name, index, _ := strings.Cut(part, "/")
			topic := kmsg.NewOffsetDeleteRequestTopic()
			p := kmsg.NewOffsetDeleteRequestTopicPartition()
			n, _ := strconv.Atoi(index)
			topic.Topic, p.Partition = name, int32(n)
			topic.Partitions = append(topic.Partitions, p)
			r.Topics = append(r.Topics, topic)
		}
		req = r
	case "delete":
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.SetVersion(s.version(2))
		r.Groups = strings.Split(group, ",")
		req = r
	default:
		t.Fatalf("unknown command %q", s.d.Cmd)
	}
	s.sent = s.lastID + 1
	s.send(client, req)
}

func (s *script) joinRequest(group, member string) kmsg.Request {
	r := kmsg.NewPtrJoinGroupRequest()
	r.SetVersion(s.version(9))
	r.Group, r.MemberID, r.InstanceID = group, member, s.optional("instance")
	r.SessionTimeoutMillis = int32(s.number("session", 10_000))
	r.RebalanceTimeoutMillis = int32(s.number("rebalance", 60_000))
	r.ProtocolType = s.text("type", "consumer")
	for _, part := range strings.Split(s.text("protocols", "range/x"), ",") {
		p := kmsg.NewJoinGroupRequestProtocol()
		name, value, _ := strings.Cut(part, "/")
		p.Name, p.Metadata = name, []byte(value)
		if topics, reads := strings.CutPrefix(value, "reads:"); reads {
			subscription := kmsg.NewConsumerMemberMetadata()
			subscription.Topics = strings.Split(topics, "+")
			p.Metadata = subscription.AppendTo(nil)
		}
		r.Protocols = append(r.Protocols, p)
	}
	return r
}

// subscription shows what joinRequest made of "reads:".
func subscription(b []byte) string {
	var v kmsg.ConsumerMemberMetadata
	if len(b) == 0 || b[0] != 0 || v.ReadFrom(b) != nil {
		return string(b)
	}
	return "reads:" + strings.Join(v.Topics, "+")
}

func (s *script) leaveRequest(group string) kmsg.Request {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.SetVersion(s.version(5))
	r.Group, r.MemberID = group, s.long(s.text("member", ""))
	for _, name := range strings.Split(s.text("members", s.text("member", "")), ",") {
		m := kmsg.NewLeaveGroupRequestMember()
		name, instance, static := strings.Cut(name, "/")
		m.MemberID = s.long(name)
		if static {
			m.InstanceID = &instance
		}
		r.Members = append(r.Members, m)
	}
	return r
}

// commitRequest reads offsets=orders/0/17/metadata,orders/1/5.
func (s *script) commitRequest(group, member string) kmsg.Request {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.SetVersion(s.version(9))
	r.Group, r.MemberID, r.InstanceID, r.Generation = group, member, s.optional("instance"), int32(s.number("generation", -1))
	r.RetentionTimeMillis = s.number("retention", -1)
	for _, part := range strings.Split(s.text("offsets", ""), ",") {
		f := strings.Split(part+"/", "/")
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = f[0]
		copy(t.TopicID[:], f[0])
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		n, _ := strconv.Atoi(f[1])
		p.Partition = int32(n)
		p.Offset, _ = strconv.ParseInt(f[2], 10, 64)
		p.LeaderEpoch, p.Metadata = 7, &f[3]
		t.Partitions = append(t.Partitions, p)
		r.Topics = append(r.Topics, t)
	}
	return r
}

// fetchRequest reads topics=orders/0/1, or asks for everything.
func (s *script) fetchRequest(group string) kmsg.Request {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.SetVersion(s.version(9))
	r.Group = group
	var topics []kmsg.OffsetFetchRequestGroupTopic
	for _, part := range strings.Split(s.text("topics", ""), ",") {
		f := strings.Split(part, "/")
		if f[0] == "" {
			continue
		}
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic = f[0]
		copy(t.TopicID[:], f[0])
		old := kmsg.NewOffsetFetchRequestTopic()
		old.Topic = f[0]
		for _, p := range f[1:] {
			n, _ := strconv.Atoi(p)
			t.Partitions, old.Partitions = append(t.Partitions, int32(n)), append(old.Partitions, int32(n))
		}
		topics = append(topics, t)
		r.Topics = append(r.Topics, old)
	}
	if s.d.HasArg("nothing") {
		topics, r.Topics = []kmsg.OffsetFetchRequestGroupTopic{}, []kmsg.OffsetFetchRequestTopic{}
	}
	for _, name := range strings.Split(group, ",") {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = name, topics
		r.Groups = append(r.Groups, g)
	}
	return r
}

func code(c int16) string {
	if c == 0 {
		return "ok"
	}
	return kerr.ErrorForCode(c).(*kerr.Error).Message
}

func or(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

func (s *script) answer(id conn.RequestID, _ kmsg.Request, resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		if r.ErrorCode != 0 {
			s.printf("#%d join %s member=%s generation=%d", id, code(r.ErrorCode), r.MemberID, r.Generation)
			return
		}
		line := fmt.Sprintf("#%d join ok member=%s generation=%d type=%s protocol=%s leader=%s", id, r.MemberID, r.Generation,
			or(r.ProtocolType, "?"), or(r.Protocol, "null"), r.LeaderID)
		if r.SkipAssignment {
			line += " skip-assignment"
		}
		for _, m := range r.Members {
			line += fmt.Sprintf(" %s/%s/%s", m.MemberID, or(m.InstanceID, "-"), subscription(m.ProtocolMetadata))
		}
		s.lines = append(s.lines, line)
	case *kmsg.SyncGroupResponse:
		s.printf("#%d sync %s %q", id, code(r.ErrorCode), r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		s.printf("#%d heartbeat %s", id, code(r.ErrorCode))
	case *kmsg.LeaveGroupResponse:
		s.printf("#%d leave %s", id, code(r.ErrorCode))
		for _, m := range r.Members {
			s.printf("  %s/%s %s", m.MemberID, or(m.InstanceID, "-"), code(m.ErrorCode))
		}
	case *kmsg.OffsetCommitResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s.printf("#%d commit %s%s-%d %s", id, t.Topic, strings.TrimRight(string(t.TopicID[:]), "\x00"), p.Partition, code(p.ErrorCode))
			}
		}
	case *kmsg.OffsetFetchResponse:
		s.answerFetch(id, r)
	default:
		s.answerAdmin(id, resp)
	}
}

func (s *script) answerFetch(id conn.RequestID, r *kmsg.OffsetFetchResponse) {
	if len(r.Groups) == 0 {
		s.printf("#%d fetch %s", id, code(r.ErrorCode))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s.printf("  %s-%d %d epoch=%d %q %s", t.Topic, p.Partition, p.Offset, p.LeaderEpoch, or(p.Metadata, "null"), code(p.ErrorCode))
			}
		}
	}
	for _, g := range r.Groups {
		s.printf("#%d fetch %s %s", id, g.Group, code(g.ErrorCode))
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				s.printf("  %s%s-%d %d epoch=%d %q %s", t.Topic, strings.TrimRight(string(t.TopicID[:]), "\x00"), p.Partition,
					p.Offset, p.LeaderEpoch, or(p.Metadata, "null"), code(p.ErrorCode))
			}
		}
	}
}

func (s *script) answerAdmin(id conn.RequestID, resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.DescribeGroupsResponse:
		for _, g := range r.Groups {
			line := fmt.Sprintf("#%d describe %s %s state=%s type=%s protocol=%s", id, g.Group, code(g.ErrorCode), g.State, g.ProtocolType, g.Protocol)
			for _, m := range g.Members {
				line += fmt.Sprintf(" %s/%s/%s/%s/%s=%s", m.MemberID, or(m.InstanceID, "-"), m.ClientID, m.ClientHost, subscription(m.ProtocolMetadata), m.MemberAssignment)
			}
			s.lines = append(s.lines, line)
		}
	case *kmsg.ListGroupsResponse:
		line := fmt.Sprintf("#%d list %s", id, code(r.ErrorCode))
		for _, g := range r.Groups {
			line += fmt.Sprintf(" %s/%s/%s/%s", g.Group, g.ProtocolType, g.GroupState, g.GroupType)
		}
		s.lines = append(s.lines, line)
	case *kmsg.OffsetDeleteResponse:
		s.printf("#%d delete-offsets %s", id, code(r.ErrorCode))
		for _, topic := range r.Topics {
			for _, p := range topic.Partitions {
				s.printf("  %s-%d %s", topic.Topic, p.Partition, code(p.ErrorCode))
			}
		}
	case *kmsg.DeleteGroupsResponse:
		for _, g := range r.Groups {
			s.printf("#%d delete %s %s", id, g.Group, code(g.ErrorCode))
		}
	}
}

func (s *script) groups() {
	for _, sh := range s.m.Shards() {
		if sh.State != coordinator.Active {
			s.printf("partition %d %s", sh.Partition, sh.State)
		}
	}
	for _, v := range s.m.Groups() {
		line := fmt.Sprintf("%s %s generation=%d type=%q protocol=%q leader=%s", v.ID, v.State, v.Generation, v.ProtocolType, v.Protocol, v.Leader)
		for _, m := range v.Members {
			line += fmt.Sprintf(" %s/%s/%s", m.ID, m.InstanceID, m.Assignment)
		}
		for _, o := range s.m.Offsets(v.ID) {
			line += fmt.Sprintf(" %s-%d@%d", o.Topic, o.Partition, o.Offset)
		}
		s.lines = append(s.lines, line)
	}
	if len(s.lines) == 0 {
		s.printf("no groups")
	}
}

// dump prints the records that the log holds, a * behind those above the high
// watermark.
func (s *script) dump() {
	var reader record.Reader
	var scratch record.Scratch
	for _, b := range s.log.batches {
		if err := reader.Reset(record.Batch(b.Bytes()), &scratch); err != nil {
			panic(err)
		}
		for rec, ok, err := reader.Next(); ok || err != nil; rec, ok, err = reader.Next() {
			if err != nil {
				panic(err)
			}
			line := fmt.Sprintf("%d %s", reader.Offset(), recordText(rec.Key, rec.Value))
			if reader.Offset() >= s.log.mark {
				line += " *"
			}
			s.lines = append(s.lines, line)
		}
	}
}

func recordText(key, value []byte) string {
	var ok kmsg.OffsetCommitKey
	var gk kmsg.GroupMetadataKey
	var ov kmsg.OffsetCommitValue
	var gv kmsg.GroupMetadataValue
	switch {
	case key[1] == byte(keyOffsetCommit) && ok.ReadFrom(key) == nil:
		text := fmt.Sprintf("offset %s %s-%d", ok.Group, ok.Topic, ok.Partition)
		if value == nil {
			return text + " null"
		}
		if err := ov.ReadFrom(value); err != nil {
			return err.Error()
		}
		return text + fmt.Sprintf(" v%d %d epoch=%d %q at %d expires %d", ov.Version, ov.Offset, ov.LeaderEpoch, ov.Metadata,
			ov.CommitTimestamp, ov.ExpireTimestamp)
	case gk.ReadFrom(key) == nil:
		if value == nil {
			return "group " + gk.Group + " null"
		}
		if err := gv.ReadFrom(value); err != nil {
			return err.Error()
		}
		text := fmt.Sprintf("group %s v%d generation=%d type=%q protocol=%s leader=%s at %d", gk.Group, gv.Version, gv.Generation,
			gv.ProtocolType, or(gv.Protocol, "null"), or(gv.Leader, "null"), gv.CurrentStateTimestamp)
		for _, m := range gv.Members {
			text += fmt.Sprintf(" %s/%s/%s/%s/%d/%d=%s", m.MemberID, or(m.InstanceID, "-"), m.ClientID, subscription(m.Subscription),
				m.SessionTimeoutMillis, m.RebalanceTimeoutMillis, m.Assignment)
		}
		return text
	}
	return fmt.Sprintf("unknown key %x", key)
}
