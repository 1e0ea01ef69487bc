// Package problem sorts errors by what the user can do about them, which is
// also what the exit status says. It knows Kafka's error codes and their cures.
package problem

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Status is an exit status of the program.
type Status int

// The exit statuses, documented in the program's help.
const (
	StatusDone        Status = 0
	StatusRefused     Status = 1 // the cluster said no, or is not healthy
	StatusInput       Status = 2 // a flag, an argument, a file or a profile is wrong
	StatusUnreachable Status = 3 // no broker could be reached, or none answered in time
	StatusMissing     Status = 4 // a topic, group, user or partition that was named does not exist
	StatusInterrupted Status = 130
)

// Problem is an error that knows its exit status.
type Problem struct {
	Status Status
	Err    error
}

func (p *Problem) Error() string { return p.Err.Error() }
func (p *Problem) Unwrap() error { return p.Err }

// Refused says that the cluster said no.
func Refused(format string, args ...any) error { return wrap(StatusRefused, format, args...) }

// Input says that what the user gave is wrong.
func Input(format string, args ...any) error { return wrap(StatusInput, format, args...) }

// Missing says that what was named does not exist.
func Missing(format string, args ...any) error { return wrap(StatusMissing, format, args...) }

// Unreachable says that no broker answered.
func Unreachable(format string, args ...any) error { return wrap(StatusUnreachable, format, args...) }

func wrap(status Status, format string, args ...any) error {
	return &Problem{status, fmt.Errorf(format, args...)}
}

// StatusOf is the exit status for an error. What nobody has sorted is about the
// input: everything that comes from a cluster is sorted where it is received.
func StatusOf(err error) Status {
	var p *Problem
	switch {
	case err == nil:
		return StatusDone
	case errors.As(err, &p):
		return p.Status
	case errors.Is(err, context.Canceled):
		return StatusInterrupted
	}
	return StatusInput
}

// cures says for Kafka's errors what can be done, where that is not plain.
var cures = map[int16]string{
	kerr.TopicAuthorizationFailed.Code:           "the user has no ACL for it; brokerctl acl create grants one",
	kerr.GroupAuthorizationFailed.Code:           "the user has no ACL for it; brokerctl acl create grants one",
	kerr.ClusterAuthorizationFailed.Code:         "the user has no ACL for the cluster; brokerctl acl create --cluster grants one",
	kerr.TransactionalIDAuthorizationFailed.Code: "the user has no ACL for it; brokerctl acl create grants one",
	kerr.SecurityDisabled.Code:                   "the brokers run without an authorizer; set authorizer.class.name",
	kerr.UnsupportedVersion.Code:                 "the brokers do not know this request",
	kerr.InvalidReplicationFactor.Code:           "there must be as many live brokers as replicas",
	kerr.NonEmptyGroup.Code:                      "stop its members first; brokerctl group describe names them",
	kerr.UnknownMemberID.Code:                    "the group has members that would overwrite it; stop them first",
	kerr.NotEnoughReplicas.Code:                  "fewer replicas are in sync than min.insync.replicas; brokerctl cluster health says which",
	kerr.NotEnoughReplicasAfterAppend.Code:       "fewer replicas are in sync than min.insync.replicas; brokerctl cluster health says which",
	kerr.MessageTooLarge.Code:                    "the topic's max.message.bytes is smaller, or the 1 MB that brokerctl puts into a batch",
	kerr.CoordinatorNotAvailable.Code:            "the group's coordinator is moving or __consumer_offsets has no leader; try again",
	kerr.LeaderNotAvailable.Code:                 "the partition has no leader now; brokerctl cluster health says more",
	kerr.TopicDeletionDisabled.Code:              "the brokers run with delete.topic.enable=false",
	kerr.NoReassignmentInProgress.Code:           "brokerctl reassign status lists those in progress",
	kerr.ReassignmentInProgress.Code:             "wait for it or cancel it: brokerctl reassign status, brokerctl reassign cancel",
}

// missing are Kafka's words for "there is no such thing".
var missing = []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.GroupIDNotFound, kerr.ResourceNotFound}

// FromKafka sorts an error that a broker answered: what was attempted, Kafka's
// name of the error, the broker's own words, and the cure. It gives ok=false
// when no broker said this.
func FromKafka(err error, attempted, brokerWords string) (problem error, ok bool) {
	var code *kerr.Error
	if !errors.As(err, &code) {
		return nil, false
	}
	status := StatusRefused
	for _, gone := range missing {
		if errors.Is(code, gone) {
			status = StatusMissing
		}
	}
	text := code.Message
	switch {
	case brokerWords != "" && brokerWords != code.Message:
		text += ": " + brokerWords
	case code.Description != "":
		text += ": " + lowerFirst(code.Description)
	}
	text = trimDot(text)
	if cure := cures[code.Code]; cure != "" {
		text += "; " + cure
	}
	return &Problem{status, fmt.Errorf("%s: %s", attempted, text)}, true
}

// Cause is the first error of those that kadm joins when brokers answered
// differently.
func Cause(err error) error {
	var shards *kadm.ShardErrors
	if errors.As(err, &shards) && len(shards.Errs) > 0 {
		return shards.Errs[0].Err
	}
	return err
}

func lowerFirst(text string) string {
	if text == "" || text[0] < 'A' || text[0] > 'Z' || len(text) > 1 && text[1] >= 'A' && text[1] <= 'Z' {
		return text
	}
	return string(text[0]+'a'-'A') + text[1:]
}

func trimDot(text string) string {
	if n := len(text); n > 0 && text[n-1] == '.' {
		return text[:n-1]
	}
	return text
}

// Shards is what kadm joins when brokers answered differently.
func Shards(err error) (*kadm.ShardErrors, bool) {
	var shards *kadm.ShardErrors
	return shards, errors.As(err, &shards)
}
