//go:build jvm

package conformance

import (
	"encoding/hex"
	"fmt"
	"reflect"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// begin asks on a connection of its own and returns who waits for the answer.
func (o *oracle) begin(name string, build func(s *side) kmsg.Request) (wait func() []kmsg.Response) {
	var wires [2]*wire
	var requests [2]kmsg.Request
	for i, s := range o.sides {
		req := build(s)
		r := o.ranges[req.Key()]
		req.SetVersion(max(r.min, r.max-o.pass))
		w, err := dial(s.address)
		if err == nil {
			err = w.send(w.frame(req))
		}
		if err != nil {
			o.t.Fatalf("%s: %s: %v", s.name, name, err)
		}
		wires[i], requests[i] = w, req
	}
	return func() []kmsg.Response {
		responses := make([]kmsg.Response, 2)
		var answers [2]map[string]string
		for i, s := range o.sides {
			answers[i] = make(map[string]string)
			frame, err := wires[i].receive()
			if err == nil {
				responses[i], err = wires[i].decode(requests[i], frame)
			}
			wires[i].close()
			if err != nil {
				answers[i]["Outcome"] = err.Error()
				continue
			}
			s.flatten(answers[i], "", reflect.ValueOf(responses[i]).Elem())
		}
		key := requests[0].Key()
		o.note(kmsg.NameForKey(key)+": "+name, fmt.Sprint("v", requests[0].GetVersion()), diff(answers[0], answers[1]))
		return responses
	}
}

// member knows the ids that brokers gave to a member.
func (o *oracle) member(name string, responses []kmsg.Response) {
	for i, r := range responses {
		if j, ok := r.(*kmsg.JoinGroupResponse); ok && j.MemberID != "" {
			o.sides[i].members[name] = j.MemberID
			o.sides[i].aliases[j.MemberID] = "<member " + name + ">"
			o.sides[i].aliases[hex.EncodeToString([]byte(j.MemberID))] = "<member " + name + ">"
		}
	}
}

func (s *side) join(group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = s.nameOf(group), s.members[member], "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30_000, 10_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 1}}, {Name: "roundrobin", Metadata: []byte{0, 2}}}
	return req
}

func groupScript(o *oracle) {
	findCoordinatorScript(o)
	join := func(name, group, member string, change func(s *side, r *kmsg.JoinGroupRequest)) []kmsg.Response {
		return o.ask(name, func(s *side) kmsg.Request {
			req := s.join(group, member)
			if change != nil {
				change(s, req)
			}
			return req
		})
	}
	// A coordinator loads before it answers.
	o.look("first contact", func(s *side) kmsg.Request {
		return &kmsg.HeartbeatRequest{Group: s.nameOf("g"), MemberID: "nobody"}
	})
	join("empty group", "", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.Group = "" })
	join("session too short", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 })
	join("session too long", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 100_000_000 })
	join("unknown member", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.MemberID = "nobody" })
	join("no protocols", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.Protocols = nil })
	join("no protocol type", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })
	o.member("a", join("without an id", "g", "", nil))
	if o.ranges[int16(kmsg.JoinGroup)].max-o.pass >= 4 { // the first answer gave an id only (KIP-394)
		o.member("a", join("with the id", "g", "a", nil))
	}
	join("another protocol type", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	join("no protocol in common", "g", "", func(_ *side, r *kmsg.JoinGroupRequest) {
		r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "sticky"}}
	})
	memberScript(o, 1)
	describeGroupsScript(o, "a member")
	rebalanceScript(o)
	leaveScript(o)
	staticScript(o)
	describeGroupsScript(o, "left")
	deleteGroupsScript(o)
}

func findCoordinatorScript(o *oracle) {
	for _, s := range o.sides { // the first to ask has the offsets topic created
		err := eventually(answerTimeout, func() error {
			resp, err := s.exchange(&kmsg.FindCoordinatorRequest{Version: 4, CoordinatorKeys: []string{s.nameOf("g")}})
			if err != nil {
				return err
			}
			return kerr.ErrorForCode(resp.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode)
		})
		if err != nil {
			o.t.Fatalf("%s: coordinator of g: %v", s.name, err)
		}
	}
	find := func(name string, kind int8, keys ...string) {
		if kind > 0 && o.ranges[int16(kmsg.FindCoordinator)].max-o.pass < 1 {
			return
		}
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType = kind
			for _, k := range keys {
				if k != "" {
					k = s.nameOf(k)
				}
				req.CoordinatorKeys, req.CoordinatorKey = append(req.CoordinatorKeys, k), k
			}
			return req
		})
	}
	find("a group", 0, "g")
	find("groups", 0, "g", "h", "g")
	find("empty group", 0, "")
	find("nothing", 0)
	find("unknown type", 9, "g")
	find("transaction", 1, "t")
	find("share group", 2, "t")
}

// memberScript is what a member in a generation may get wrong.
func memberScript(o *oracle, generation int32) {
	beat := func(name, group, member string, generation int32, instance *string) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group, req.Generation, req.MemberID, req.InstanceID = s.nameOf(group), generation, member, instance
			if id, ok := s.members[member]; ok {
				req.MemberID = id
			}
			return req
		})
	}
	sync := func(name, member string, generation int32, change func(s *side, r *kmsg.SyncGroupRequest)) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Group, req.Generation, req.MemberID = s.nameOf("g"), generation, member
			if id, ok := s.members[member]; ok {
				req.MemberID = id
			}
			req.ProtocolType, req.Protocol = pointer("consumer"), pointer("range")
			if change != nil {
				change(s, req)
			}
			return req
		})
	}
	beat("before the assignment", "g", "a", generation, nil)
	sync("wrong generation", "a", generation+5, nil)
	sync("unknown member", "nobody", generation, nil)
	sync("empty group", "a", generation, func(_ *side, r *kmsg.SyncGroupRequest) { r.Group = "" })
	sync("unknown group", "a", generation, func(_ *side, r *kmsg.SyncGroupRequest) { r.Group = "nowhere" })
	if o.ranges[int16(kmsg.SyncGroup)].max-o.pass >= 5 {
		sync("wrong protocol type", "a", generation, func(_ *side, r *kmsg.SyncGroupRequest) { r.ProtocolType = pointer("connect") })
		sync("wrong protocol", "a", generation, func(_ *side, r *kmsg.SyncGroupRequest) { r.Protocol = pointer("roundrobin") })
		sync("no protocol", "a", generation, func(_ *side, r *kmsg.SyncGroupRequest) { r.ProtocolType, r.Protocol = nil, nil })
	}
	sync("the leader's", "a", generation, func(s *side, r *kmsg.SyncGroupRequest) {
		r.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: s.members["a"], MemberAssignment: []byte{0, 1, 2}}, {MemberID: "nobody", MemberAssignment: []byte{3}}}
	})
	sync("again", "a", generation, nil)
	beat("member", "g", "a", generation, nil)
	beat("wrong generation", "g", "a", generation+1, nil)
	beat("older generation", "g", "a", generation-1, nil)
	beat("unknown member", "g", "nobody", generation, nil)
	beat("no member", "g", "", generation, nil)
	beat("unknown group", "nowhere", "a", generation, nil)
	if o.ranges[int16(kmsg.Heartbeat)].max-o.pass >= 3 {
		beat("unknown instance", "g", "a", generation, pointer("i"))
	}
}

func rebalanceScript(o *oracle) {
	withID := o.ranges[int16(kmsg.JoinGroup)].max-o.pass >= 4
	if withID {
		o.member("b", o.ask("a second member", func(s *side) kmsg.Request { return s.join("g", "") }))
		describeGroupsScript(o, "a pending member")
	}
	second := o.begin("the second member", func(s *side) kmsg.Request { return s.join("g", "b") })
	beat := func(s *side) kmsg.Request {
		return &kmsg.HeartbeatRequest{Group: s.nameOf("g"), Generation: 1, MemberID: s.members["a"]}
	}
	o.await(beat, func(resp kmsg.Response) bool {
		return resp.(*kmsg.HeartbeatResponse).ErrorCode == kerr.RebalanceInProgress.Code
	})
	o.ask("during a rebalance", beat)
	o.ask("during a rebalance", func(s *side) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.Generation, req.MemberID = s.nameOf("g"), 1, s.members["a"]
		req.ProtocolType, req.Protocol = pointer("consumer"), pointer("range")
		return req
	})
	describeGroupsScript(o, "rebalancing")
	first := o.ask("the first member again", func(s *side) kmsg.Request {
		req := s.join("g", "a")
		req.Protocols = req.Protocols[1:]
		return req
	})
	answers := second()
	o.member("b", answers)
	// Before version 4 the leader lists the second before the script knows its id.
	_ = first
	o.ask("by the leader", func(s *side) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.Generation, req.MemberID = s.nameOf("g"), 2, s.members["a"]
		req.ProtocolType, req.Protocol = pointer("consumer"), pointer("roundrobin")
		req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: s.members["a"], MemberAssignment: []byte{1}}}
		return req
	})
	o.ask("by the other", func(s *side) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.Generation, req.MemberID = s.nameOf("g"), 2, s.members["b"]
		req.ProtocolType, req.Protocol = pointer("consumer"), pointer("roundrobin")
		return req
	})
	describeGroupsScript(o, "two members")
	o.ask("the follower again", func(s *side) kmsg.Request {
		req := s.join("g", "b")
		return req
	})
}

func leaveScript(o *oracle) {
	leave := func(name, group string, members ...string) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = s.nameOf(group)
			for _, m := range members {
				if id, ok := s.members[m]; ok {
					m = id
				}
				req.MemberID = m
				req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: m})
			}
			return req
		})
	}
	leave("unknown group", "nowhere", "a")
	leave("unknown member", "g", "nobody")
	leave("nobody", "g")
	leave("one and one unknown", "g", "nobody", "b")
	leave("again", "g", "b")
	leave("the last", "g", "a")
}

func staticScript(o *oracle) {
	if o.ranges[int16(kmsg.JoinGroup)].max-o.pass < 5 {
		return
	}
	join := func(name, member string, change func(r *kmsg.JoinGroupRequest)) []kmsg.Response {
		return o.ask("static: "+name, func(s *side) kmsg.Request {
			req := s.join("static", member)
			req.InstanceID = pointer("i1")
			if change != nil {
				change(req)
			}
			return req
		})
	}
	join("unknown member id", "", func(r *kmsg.JoinGroupRequest) { r.MemberID = "nobody" })
	o.member("s1", join("first", "", nil))
	assign := func(name string, generation int32) {
		o.ask("static: "+name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Group, req.Generation, req.MemberID = s.nameOf("static"), generation, s.members["s1"]
			req.InstanceID, req.ProtocolType, req.Protocol = pointer("i1"), pointer("consumer"), pointer("range")
			req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: s.members["s1"], MemberAssignment: []byte{1}}}
			return req
		})
	}
	assign("assignment", 1)
	o.member("s2", join("back without an id", "", nil))
	join("its former id", "s1", nil)
	assign("its former id", 1)
	o.ask("static: its former id", func(s *side) kmsg.Request {
		return &kmsg.HeartbeatRequest{Group: s.nameOf("static"), Generation: 1, MemberID: s.members["s1"], InstanceID: pointer("i1")}
	})
	o.ask("static: its new id", func(s *side) kmsg.Request {
		return &kmsg.HeartbeatRequest{Group: s.nameOf("static"), Generation: 1, MemberID: s.members["s2"], InstanceID: pointer("i1")}
	})
	o.look("static", func(s *side) kmsg.Request {
		return &kmsg.DescribeGroupsRequest{Groups: []string{s.nameOf("static")}}
	})
	leave := func(name string, change func(s *side, m *kmsg.LeaveGroupRequestMember)) {
		o.ask("static: "+name, func(s *side) kmsg.Request {
			m := kmsg.LeaveGroupRequestMember{InstanceID: pointer("i1")}
			change(s, &m)
			return &kmsg.LeaveGroupRequest{Group: s.nameOf("static"), Members: []kmsg.LeaveGroupRequestMember{m}, MemberID: m.MemberID}
		})
	}
	leave("unknown instance", func(_ *side, m *kmsg.LeaveGroupRequestMember) { m.InstanceID = pointer("i2") })
	leave("former id", func(s *side, m *kmsg.LeaveGroupRequestMember) { m.MemberID = s.members["s1"] })
	leave("by instance", func(*side, *kmsg.LeaveGroupRequestMember) {})
	leave("again", func(*side, *kmsg.LeaveGroupRequestMember) {})
}

func describeGroupsScript(o *oracle, when string) {
	o.look(when, func(s *side) kmsg.Request {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{s.nameOf("g"), s.nameOf("nowhere"), ""}
		req.IncludeAuthorizedOperations = o.ranges[req.Key()].max-o.pass >= 3
		return req
	})
	version := o.ranges[int16(kmsg.ListGroups)].max - o.pass
	list := func(name string, states, types []string) {
		o.look(when+", "+name, func(s *side) kmsg.Request { return &kmsg.ListGroupsRequest{StatesFilter: states, TypesFilter: types} })
	}
	list("all", nil, nil)
	if version >= 4 {
		list("stable", []string{"Stable"}, nil)
		list("in small letters", []string{"stable", "empty"}, nil)
		list("unknown state", []string{"Weird"}, nil)
		list("empty and dead", []string{"Empty", "Dead"}, nil)
	}
	if version >= 5 {
		list("classic", nil, []string{"classic"})
		list("of the new protocol", nil, []string{"consumer"})
		list("of unknown type", nil, []string{"weird"})
		list("stable and classic", []string{"Stable"}, []string{"Classic"})
	}
}

func deleteGroupsScript(o *oracle) {
	o.ask("empty, unknown and nameless", func(s *side) kmsg.Request {
		return &kmsg.DeleteGroupsRequest{Groups: []string{s.nameOf("g"), s.nameOf("nowhere"), ""}}
	})
	o.ask("again", func(s *side) kmsg.Request { return &kmsg.DeleteGroupsRequest{Groups: []string{s.nameOf("g")}} })
	o.ask("static", func(s *side) kmsg.Request { return &kmsg.DeleteGroupsRequest{Groups: []string{s.nameOf("static")}} })
	o.ask("none", func(*side) kmsg.Request { return &kmsg.DeleteGroupsRequest{} })
}

func commitScript(o *oracle) {
	commit := func(name, topic string, partition int32, change func(r *kmsg.OffsetCommitRequest, p *kmsg.OffsetCommitRequestTopicPartition)) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group, req.Generation = s.nameOf("commits"), -1
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = partition, 3, -1, pointer("meta")
			req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: s.nameOf(topic), TopicID: s.id(topic), Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
			if change != nil {
				change(req, &req.Topics[0].Partitions[0])
			}
			return req
		})
	}
	type req = kmsg.OffsetCommitRequest
	type partition = kmsg.OffsetCommitRequestTopicPartition
	commit("unknown topic in an unknown group", "nowhere", 0, nil)
	commit("of nobody", "once", 0, nil)
	commit("unknown partition", "once", 9, nil)
	commit("negative offset", "once", 0, func(_ *req, p *partition) { p.Offset = -5 })
	commit("null metadata", "once", 1, func(_ *req, p *partition) { p.Metadata = nil })
	commit("long metadata", "once", 1, func(_ *req, p *partition) { p.Metadata = pointer(fmt.Sprintf("%05000d", 1)) })
	commit("with an epoch", "once", 0, func(_ *req, p *partition) { p.LeaderEpoch = 4 })
	commit("generation of a group that is empty", "once", 0, func(r *req, _ *partition) { r.Generation, r.MemberID = 3, "nobody" })
	commit("member without a generation", "once", 0, func(r *req, _ *partition) { r.MemberID = "nobody" })
	commit("empty group", "once", 0, func(r *req, _ *partition) { r.Group = "" })
	commit("generation of an unknown group", "once", 0, func(r *req, _ *partition) { r.Group, r.Generation, r.MemberID = "unheard of", 1, "m" })
	commit("no topics", "once", 0, func(r *req, _ *partition) { r.Topics = nil })
	commit("the same partition twice", "once", 0, func(r *req, p *partition) {
		other := *p
		other.Offset = 4
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, other)
	})
	if version := o.ranges[int16(kmsg.OffsetCommit)].max - o.pass; version >= 7 {
		commit("unknown instance", "once", 0, func(r *req, _ *partition) { r.Generation, r.MemberID, r.InstanceID = 1, "m", pointer("i") })
	}
	fetchOffsets := func(name, group string, all bool, change func(s *side, r *kmsg.OffsetFetchRequest)) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			req.Group, g.Group = s.nameOf(group), s.nameOf(group)
			if !all {
				for _, topic := range []string{"once", "nowhere"} {
					partitions := []int32{0, 1, 9}
					req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: s.nameOf(topic), Partitions: partitions})
					g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: s.nameOf(topic), TopicID: s.id(topic), Partitions: partitions})
				}
			}
			req.Groups = []kmsg.OffsetFetchRequestGroup{g}
			if change != nil {
				change(s, req)
			}
			return req
		})
	}
	version := o.ranges[int16(kmsg.OffsetFetch)].max - o.pass
	fetchOffsets("some", "commits", false, nil)
	fetchOffsets("unknown group", "unheard of", false, nil)
	if version >= 2 {
		fetchOffsets("all", "commits", true, nil)
		fetchOffsets("all of an unknown group", "unheard of", true, nil)
	}
	if version >= 7 {
		fetchOffsets("stable", "commits", false, func(_ *side, r *kmsg.OffsetFetchRequest) { r.RequireStable = true })
	}
	if version >= 8 {
		fetchOffsets("two groups and the same again", "commits", false, func(s *side, r *kmsg.OffsetFetchRequest) {
			r.Groups = append(r.Groups, kmsg.OffsetFetchRequestGroup{Group: s.nameOf("g"), MemberEpoch: -1}, r.Groups[0])
		})
		fetchOffsets("no groups", "commits", false, func(_ *side, r *kmsg.OffsetFetchRequest) { r.Groups = nil })
	}
	if version >= 9 {
		fetchOffsets("a member of no generation", "commits", false, func(_ *side, r *kmsg.OffsetFetchRequest) {
			r.Groups[0].MemberID, r.Groups[0].MemberEpoch = pointer("nobody"), 3
		})
	}
	forget := func(name, group, topic string, partitions ...int32) {
		o.ask(name, func(s *side) kmsg.Request {
			req := &kmsg.OffsetDeleteRequest{Group: s.nameOf(group), Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: s.nameOf(topic)}}}
			for _, p := range partitions {
				req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
			}
			return req
		})
	}
	forget("unknown group", "unheard of", "once", 0)
	forget("unknown topic", "commits", "nowhere", 0)
	forget("committed, without a commit and unknown", "commits", "once", 0, 2, 9)
	forget("nothing", "commits", "once")
	fetchOffsets("after the deletion", "commits", false, nil)
	o.ask("with commits", func(s *side) kmsg.Request { return &kmsg.DeleteGroupsRequest{Groups: []string{s.nameOf("commits")}} })
}
