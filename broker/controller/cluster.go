package controller

import (
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// supported lists the features that the controller can finalise, by name, with
// the level of a new cluster: what Kafka 4 finalises, as far as it exists here.
// There is but one metadata version: no other level would change anything.
var supported = []struct {
	name         string
	from, to, at int16
}{
	{elrFeature, 0, 1, 1},
	{"metadata.version", 29, 29, 29},
}

// bootstrap writes the first records of a cluster.
func bootstrap(t *change) {
	t.add(&meta.ClusterRecord{ClusterID: t.k.cfg.ClusterID})
	for _, f := range supported {
		t.add(&meta.FeatureLevelRecord{Name: f.name, Level: f.at})
	}
	for _, u := range t.k.cfg.Users {
		t.add(&meta.UserScramCredentialRecord{Name: u.Name, Mechanism: u.Mechanism, ScramCredential: u.Credential})
	}
}

// updateFeatures is UpdateFeatures (57). All updates happen or none.
func (t *change) updateFeatures(req *kmsg.UpdateFeaturesRequest) kmsg.Response {
	var records []meta.Record
	for i := range req.FeatureUpdates {
		u := &req.FeatureUpdates[i]
		f := t.checkFeature(u)
		if f != nil {
			resp := refuse(req, f.Error).(*kmsg.UpdateFeaturesResponse)
			resp.ErrorMessage = &f.message
			return resp
		}
		records = append(records, &meta.FeatureLevelRecord{Name: u.Feature, Level: u.MaxVersionLevel})
	}
	if !req.ValidateOnly {
		t.add(records...)
		t.oneMinimum()
	}
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	if req.Version <= 1 { // later ones have one result for all
		for i := range req.FeatureUpdates {
			out := kmsg.NewUpdateFeaturesResponseResult()
			out.Feature = req.FeatureUpdates[i].Feature
			resp.Results = append(resp.Results, out)
		}
	}
	return resp
}

// oneMinimum drops what single brokers say of the minimum in-sync replicas, once
// eligible replicas depend on it: the controller must know what leaders go by.
func (t *change) oneMinimum() {
	if t.image.FeatureLevel(elrFeature) == 0 {
		return
	}
	var records []meta.Record
	for _, rc := range t.image.BrokerConfigs {
		if _, ok := findValue(rc.Values, minISRName); ok && rc.Resource != "" {
			records = append(records, &meta.ConfigRecord{Type: meta.ResourceBroker, Resource: rc.Resource, Name: minISRName, Remove: true})
		}
	}
	t.add(records...)
}

func (t *change) checkFeature(u *kmsg.UpdateFeaturesRequestFeatureUpdate) *failure {
	for _, f := range supported {
		if f.name != u.Feature {
			continue
		}
		if u.MaxVersionLevel < f.from || u.MaxVersionLevel > f.to {
			return fail(kerr.InvalidUpdateVersion, "Invalid update version %d for feature %s. Supported: %d to %d.",
				u.MaxVersionLevel, u.Feature, f.from, f.to)
		}
		down := u.MaxVersionLevel < t.image.FeatureLevel(f.name)
		if down && !u.AllowDowngrade && u.UpgradeType != 2 && u.UpgradeType != 3 {
			return fail(kerr.InvalidUpdateVersion, "Can't downgrade the version of feature %s without setting the upgrade type.", u.Feature)
		}
		return nil
	}
	return fail(kerr.InvalidUpdateVersion, "The controller does not support the feature %s.", u.Feature)
}

// metadataTopic is the name under which DescribeQuorum knows the log.
const metadataTopic = "__cluster_metadata"

// describeQuorum is DescribeQuorum (55). Observers are the brokers, which report
// their offsets with their heartbeats. Times of contact are not known, because
// raft keeps none; they are -1, as for a voter that never fetched.
func (t *change) describeQuorum(req *kmsg.DescribeQuorumRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	described := false
	for _, rt := range req.Topics {
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition = rp.Partition
			if rt.Topic != metadataTopic || rp.Partition != 0 {
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code
			} else {
				t.k.fillQuorum(&p)
				described = true
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	if !described {
		return resp // nor are its nodes
	}
	for _, v := range t.k.cfg.Voters {
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID = v.ID
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		l.Name, l.Host, l.Port = t.k.cfg.Listener, v.Host, uint16(v.Port)
		n.Listeners = append(n.Listeners, l)
		resp.Nodes = append(resp.Nodes, n)
	}
	return resp
}

func (k *Controller) fillQuorum(p *kmsg.DescribeQuorumResponseTopicPartition) {
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = k.quorum.leader, k.Term(), k.applied+1
	k.quorum.node.WithProgress(func(id uint64, _ raft.ProgressType, progress tracker.Progress) {
		v := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		v.ReplicaID, v.LogEndOffset = nodeID(id), int64(progress.Match)+1
		v.LastFetchTimestamp, v.LastCaughtUpTimestamp = -1, -1
		p.CurrentVoters = append(p.CurrentVoters, v)
	})
	for _, s := range k.active.sessions {
		v := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		v.ReplicaID, v.LogEndOffset = s.id, s.offset+1
		p.Observers = append(p.Observers, v)
	}
}
