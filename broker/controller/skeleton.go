package controller

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"go.etcd.io/raft/v3"
)

type quorum struct {
	node   *raft.RawNode
	role   Role
	term   uint64
	leader int32
}

type journal struct{}

func (*journal) boot(c *step.Context) {}

type active struct{}

type metadataFetch struct{}

func (k *Controller) disk(c *step.Context, r *edge.DiskResult) {}

func (k *Controller) timer(c *step.Context, id timer.ID) {}

func (k *Controller) handle(c *step.Context, r *conn.Request) {}
