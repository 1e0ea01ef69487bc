package wire

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The oracle: each of our messages as kmsg's struct, and kmsg's structs without
// what we leave out (unknown tags, and tags below the version that has them).

func ptr(s NullableString) *string {
	if !s.Valid {
		return nil
	}
	return &s.String
}

func (r *ProduceRequest) kmsg() *kmsg.ProduceRequest {
	k := kmsg.NewPtrProduceRequest()
	k.Version, k.TransactionID, k.Acks, k.TimeoutMillis = r.Version, ptr(r.TransactionalID), r.Acks, r.TimeoutMillis
	for _, t := range r.Topics {
		kt := kmsg.NewProduceRequestTopic()
		kt.Topic, kt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			kp := kmsg.NewProduceRequestTopicPartition()
			kp.Partition, kp.Records = p.Partition, p.Records
			kt.Partitions = append(kt.Partitions, kp)
		}
		k.Topics = append(k.Topics, kt)
	}
	return k
}

func (r *ProduceResponse) kmsg() *kmsg.ProduceResponse {
	k := kmsg.NewPtrProduceResponse()
	k.Version, k.ThrottleMillis = r.Version, r.ThrottleMillis
	for _, t := range r.Topics {
		kt := kmsg.NewProduceResponseTopic()
		kt.Topic, kt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			kp := kmsg.NewProduceResponseTopicPartition()
			kp.Partition, kp.ErrorCode, kp.BaseOffset = p.Partition, p.ErrorCode, p.BaseOffset
			kp.LogAppendTime, kp.LogStartOffset = p.LogAppendTimeMillis, p.LogStartOffset
			for _, e := range p.RecordErrors {
				ke := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				ke.RelativeOffset, ke.ErrorMessage = e.BatchIndex, ptr(e.Message)
				kp.ErrorRecords = append(kp.ErrorRecords, ke)
			}
			kp.ErrorMessage = ptr(p.ErrorMessage)
			kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch
			kt.Partitions = append(kt.Partitions, kp)
		}
		k.Topics = append(k.Topics, kt)
	}
	for _, n := range r.NodeEndpoints {
		kn := kmsg.NewProduceResponseBroker()
		kn.NodeID, kn.Host, kn.Port, kn.Rack = n.NodeID, n.Host, n.Port, ptr(n.Rack)
		k.Brokers = append(k.Brokers, kn)
	}
	return k
}

func (r *FetchRequest) kmsg() *kmsg.FetchRequest {
	k := kmsg.NewPtrFetchRequest()
	k.Version, k.ClusterID = r.Version, ptr(r.ClusterID)
	if r.Version < 15 {
		k.ReplicaID = r.ReplicaID
	} else {
		k.ReplicaState.ID, k.ReplicaState.Epoch = r.ReplicaID, r.ReplicaEpoch
	}
	k.MaxWaitMillis, k.MinBytes, k.MaxBytes = r.MaxWaitMillis, r.MinBytes, r.MaxBytes
	k.IsolationLevel, k.SessionID, k.SessionEpoch, k.Rack = r.IsolationLevel, r.SessionID, r.SessionEpoch, r.Rack
	for _, t := range r.Topics {
		kt := kmsg.NewFetchRequestTopic()
		kt.Topic, kt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			kp := kmsg.NewFetchRequestTopicPartition()
			kp.Partition, kp.CurrentLeaderEpoch, kp.FetchOffset = p.Partition, p.CurrentLeaderEpoch, p.FetchOffset
			kp.LastFetchedEpoch, kp.LogStartOffset = p.LastFetchedEpoch, p.LogStartOffset
			kp.PartitionMaxBytes, kp.ReplicaDirectoryID, kp.HighWatermark = p.MaxBytes, p.DirectoryID, p.HighWatermark
			kt.Partitions = append(kt.Partitions, kp)
		}
		k.Topics = append(k.Topics, kt)
	}
	for _, t := range r.Forgotten {
		kt := kmsg.NewFetchRequestForgottenTopic()
		kt.Topic, kt.TopicID, kt.Partitions = t.Topic, t.TopicID, t.Partitions
		k.ForgottenTopics = append(k.ForgottenTopics, kt)
	}
	return k
}

func (r *FetchResponse) kmsg() *kmsg.FetchResponse {
	k := kmsg.NewPtrFetchResponse()
	k.Version, k.ThrottleMillis, k.ErrorCode, k.SessionID = r.Version, r.ThrottleMillis, r.ErrorCode, r.SessionID
	for _, t := range r.Topics {
		kt := kmsg.NewFetchResponseTopic()
		kt.Topic, kt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			kp := kmsg.NewFetchResponseTopicPartition()
			kp.Partition, kp.ErrorCode, kp.HighWatermark = p.Partition, p.ErrorCode, p.HighWatermark
			kp.LastStableOffset, kp.LogStartOffset = p.LastStableOffset, p.LogStartOffset
			if p.AbortedTransactions != nil {
				kp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
			}
			for _, a := range p.AbortedTransactions {
				ka := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
				ka.ProducerID, ka.FirstOffset = a.ProducerID, a.FirstOffset
				kp.AbortedTransactions = append(kp.AbortedTransactions, ka)
			}
			kp.PreferredReadReplica = p.PreferredReadReplica
			kp.RecordBatches = []byte{}
			for _, b := range p.Records {
				kp.RecordBatches = append(kp.RecordBatches, b...)
			}
			kp.DivergingEpoch.Epoch, kp.DivergingEpoch.EndOffset = p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset
			kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch
			kp.SnapshotID.Epoch, kp.SnapshotID.EndOffset = p.SnapshotID.Epoch, p.SnapshotID.EndOffset
			kt.Partitions = append(kt.Partitions, kp)
		}
		k.Topics = append(k.Topics, kt)
	}
	for _, n := range r.NodeEndpoints {
		kn := kmsg.NewFetchResponseBroker()
		kn.NodeID, kn.Host, kn.Port, kn.Rack = n.NodeID, n.Host, n.Port, ptr(n.Rack)
		k.Brokers = append(k.Brokers, kn)
	}
	return k
}

// eachTags calls fn on every Tags in a kmsg struct.
func eachTags(v reflect.Value, fn func(*kmsg.Tags)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachTags(v.Elem(), fn)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				eachTags(v.Index(i), fn)
			}
		}
	case reflect.Struct:
		if t, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			fn(t)
			return
		}
		for i := range v.NumField() {
			eachTags(v.Field(i), fn)
		}
	}
}

// addUnknownTags puts a tag from some future version everywhere.
func addUnknownTags(k any, value []byte) {
	eachTags(reflect.ValueOf(k), func(t *kmsg.Tags) { t.Set(77, value) })
}

// normalize leaves out of a kmsg struct what our codecs leave out.
func normalize(k any) {
	eachTags(reflect.ValueOf(k), func(t *kmsg.Tags) { *t = kmsg.Tags{} })
	switch k := k.(type) {
	case *kmsg.ProduceResponse:
		if k.Version >= 10 {
			return
		}
		k.Brokers = nil
		for i := range k.Topics {
			for j := range k.Topics[i].Partitions {
				k.Topics[i].Partitions[j].CurrentLeader.Default()
			}
		}
	case *kmsg.FetchRequest:
		if k.Version < 15 {
			k.ReplicaState.Default()
		}
		for i := range k.Topics {
			for j := range k.Topics[i].Partitions {
				p := &k.Topics[i].Partitions[j]
				if k.Version < 17 {
					p.ReplicaDirectoryID = [16]byte{}
				}
				if k.Version < 18 {
					p.HighWatermark = NoHighWatermark
				}
			}
		}
	case *kmsg.FetchResponse:
		if k.Version < 16 {
			k.Brokers = nil
		}
		for i := range k.Topics {
			for j := range k.Topics[i].Partitions {
				if p := &k.Topics[i].Partitions[j]; p.RecordBatches == nil {
					p.RecordBatches = []byte{}
				}
			}
		}
	}
}
