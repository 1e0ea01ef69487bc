package client

import (
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiKeysMax is above every API key that a client speaks.
const apiKeysMax = 72

const apiVersionsVersion = 4

// spoken are the versions that the clients know. OffsetCommit and OffsetFetch
// stop short of the versions that name topics by id.
var spoken = []struct{ key, min, max int16 }{
	{int16(kmsg.Produce), wire.ProduceVersionMin, wire.ProduceVersionMax},
	{int16(kmsg.Fetch), wire.FetchVersionMin, wire.FetchVersionMax},
	{int16(kmsg.ListOffsets), 1, 10},
	{int16(kmsg.Metadata), 5, 13},
	{int16(kmsg.OffsetCommit), 2, 9},
	{int16(kmsg.OffsetFetch), 1, 9},
	{int16(kmsg.FindCoordinator), 1, 6},
	{int16(kmsg.JoinGroup), 2, 9},
	{int16(kmsg.Heartbeat), 0, 4},
	{int16(kmsg.LeaveGroup), 0, 5},
	{int16(kmsg.SyncGroup), 0, 5},
	{int16(kmsg.CreateTopics), 2, 7},
	{int16(kmsg.InitProducerID), 0, 5},
	{int16(kmsg.CreatePartitions), 0, 3},
	{int16(kmsg.AlterPartitionAssignments), 0, 1},
	{int16(kmsg.OffsetForLeaderEpoch), 2, 4},
	{int16(kmsg.ElectLeaders), 1, 2},
	{int16(kmsg.UnregisterBroker), 0, 0},
}

func (n *network) sendApiVersions(p *peer, version int16) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(version)
	req.ClientSoftwareName, req.ClientSoftwareVersion = "windtunnel", "4.4"
	n.send(p, req, 0, 0, n.requestTimeout())
}

// greeted ends the handshake: for each API the newest version that both sides
// know.
func (n *network) greeted(p *peer, c *call, body []byte) {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(c.version)
	if err := resp.ReadFrom(body); err != nil {
		// An unknown version of the request is answered in version 0.
		resp = kmsg.NewPtrApiVersionsResponse()
		if err = resp.ReadFrom(body); err != nil {
			n.hangUp(p, false)
			return
		}
	}
	if resp.ErrorCode == codeUnsupportedVersion && c.version > 0 {
		n.sendApiVersions(p, 0)
		return
	}
	if resp.ErrorCode != 0 {
		n.hangUp(p, false)
		return
	}
	for i := range p.versions {
		p.versions[i] = -1
	}
	for _, k := range resp.ApiKeys {
		for _, s := range spoken {
			if v := min(k.MaxVersion, s.max); s.key == k.ApiKey && v >= max(k.MinVersion, s.min) {
				p.versions[s.key] = v
			}
		}
	}
	p.state, p.failures = peerReady, 0
}

// version returns what to speak with a ready peer, -1 if it does not know the
// API.
func (p *peer) version(key kmsg.Key) int16 { return p.versions[int16(key)] }
