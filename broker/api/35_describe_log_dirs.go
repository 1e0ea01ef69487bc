package api

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeLogDirs (key 35, versions 1 to 5) shows the size of this broker's logs,
// and how far each is behind the high watermark. A node has one log directory.
// Version 4 tells how large its volume is, and how much is left (KIP-827).
//
// Authorisation: DESCRIBE on the cluster.

func (s *Server) describeLogDirs(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeLogDirsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	resp.SetVersion(r.Version)
	if !s.gate.MayCluster(r.Session, acl.Describe) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		s.responder.Respond(c, r.ID, resp)
		return
	}
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = s.self.LogDir
	for _, p := range s.data.Partitions.Partitions() {
		key := p.Key()
		if !asksForLog(&req, key) {
			continue
		}
		if n := len(dir.Topics); n == 0 || dir.Topics[n-1].Topic != key.Topic {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = key.Topic
			dir.Topics = append(dir.Topics, t)
		}
		out := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		out.Partition, out.Size = key.Index, p.Log().Size()
		out.OffsetLag = max(0, p.HighWatermark()-p.EndOffset())
		t := &dir.Topics[len(dir.Topics)-1]
		t.Partitions = append(t.Partitions, out)
	}
	resp.Dirs = append(resp.Dirs, dir)
	if r.Version < logDirsVolumeVersion {
		s.responder.Respond(c, r.ID, resp)
		return
	}
	s.logDirs = append(s.logDirs, logDirsWait{request: r.ID, response: resp})
	c.Out.Disk = append(c.Out.Disk, edge.DiskOp{
		Kind: edge.OpVolume, Queue: volumeQueue, Token: edge.Token{Owner: step.OwnerLogDirs},
	})
}

const (
	logDirsVolumeVersion = 4
	volumeQueue          = edge.QueueID(step.OwnerLogDirs) << 24
)

// logDirsWait is an answer that lacks the size of the volume. There are no more of
// them than requests in flight.
type logDirsWait struct {
	request  conn.RequestID
	response *kmsg.DescribeLogDirsResponse
}

// Volume completes the oldest answer. Without a size it says -1, as Kafka does.
func (s *Server) Volume(c *step.Context, r *edge.DiskResult) {
	w := s.logDirs[0]
	s.logDirs = append(s.logDirs[:0], s.logDirs[1:]...)
	if r.Err == edge.DiskOK {
		dir := &w.response.Dirs[0]
		dir.TotalBytes, dir.UsableBytes = r.Total, r.Length
	}
	s.responder.Respond(c, w.request, w.response)
}

// asksForLog: null topics are all of them.
func asksForLog(req *kmsg.DescribeLogDirsRequest, key log.Partition) bool {
	if req.Topics == nil {
		return true
	}
	return slices.ContainsFunc(req.Topics, func(t kmsg.DescribeLogDirsRequestTopic) bool {
		return t.Topic == key.Topic && slices.Contains(t.Partitions, key.Index)
	})
}
