package wire

// NoBroker is a leader or replica id that stands for none.
const NoBroker int32 = -1

// CurrentLeader tells a client whom to ask instead (KIP-951), from Produce 10 and
// Fetch 12 on. {-1, -1} is not sent.
type CurrentLeader struct {
	LeaderID    int32
	LeaderEpoch int32
}

var noLeader = CurrentLeader{LeaderID: -1, LeaderEpoch: -1}

const currentLeaderBytes = 4 + 4 + 1

func appendCurrentLeader(dst []byte, key uint32, l *CurrentLeader) []byte {
	dst = appendTag(dst, key, currentLeaderBytes)
	dst = appendInt32(dst, l.LeaderID)
	dst = appendInt32(dst, l.LeaderEpoch)
	return append(dst, 0)
}

func readCurrentLeader(d *decoder, l *CurrentLeader) {
	l.LeaderID = d.int32("current_leader.leader_id")
	l.LeaderEpoch = d.int32("current_leader.leader_epoch")
	d.skipTags("current_leader.tags")
}

// NodeEndpoint is the address of a broker that CurrentLeader names.
type NodeEndpoint struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   NullableString
}

const nodeEndpointBytesMin = 4 + 1 + 4 + 1 + 1

// appendNodeEndpoints appends the tags of the response's end: the endpoints as
// tag 0, if there are any and the version has them.
func appendNodeEndpoints(dst []byte, nodes []NodeEndpoint, has bool) []byte {
	if len(nodes) == 0 || !has {
		return append(dst, 0)
	}
	size := uvarintBytes(uint32(len(nodes)) + 1)
	for i := range nodes {
		n := &nodes[i]
		size += 4 + stringBytes(n.Host) + 4 + 1 + 1
		if n.Rack.Valid {
			size += stringBytes(n.Rack.String) - 1
		}
	}
	dst = append(dst, 1)
	dst = appendTag(dst, 0, size)
	dst = appendArrayLen(dst, len(nodes), true)
	for i := range nodes {
		n := &nodes[i]
		dst = appendInt32(dst, n.NodeID)
		dst = appendString(dst, n.Host, true)
		dst = appendInt32(dst, n.Port)
		dst = appendNullableString(dst, n.Rack, true)
		dst = append(dst, 0)
	}
	return dst
}

// readNodeEndpoints reads the tags of the response's end.
func readNodeEndpoints(d *decoder, nodes []NodeEndpoint, has bool) []NodeEndpoint {
	nodes = nodes[:0]
	for n := d.tagCount("tags"); n > 0 && d.err == nil; n-- {
		key, value := d.tag("tags")
		if key != 0 || !has || d.err != nil {
			continue
		}
		nodes = nodes[:0]
		for m := value.arrayLen(nodeEndpointBytesMin, "node_endpoints"); m > 0 && value.err == nil; m-- {
			nodes = grow(nodes)
			e := &nodes[len(nodes)-1]
			e.NodeID = value.int32("node_endpoints.node_id")
			value.string(&e.Host, "node_endpoints.host")
			e.Port = value.int32("node_endpoints.port")
			value.nullableString(&e.Rack, "node_endpoints.rack")
			value.skipTags("node_endpoints.tags")
		}
		d.leaveTag(&value)
	}
	return nodes
}
