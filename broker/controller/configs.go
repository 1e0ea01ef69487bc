package controller

import (
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func findValue(values []meta.ConfigValue, name string) (int, bool) {
	return slices.BinarySearchFunc(values, name, func(v meta.ConfigValue, name string) int { return strings.Compare(v.Name, name) })
}

// setValue sets one override in a sorted list of our own.
func setValue(values []meta.ConfigValue, name, value string) []meta.ConfigValue {
	i, ok := findValue(values, name)
	if ok {
		values[i].Value = value
		return values
	}
	return slices.Insert(values, i, meta.ConfigValue{Name: name, Value: value})
}

func removeValue(values []meta.ConfigValue, name string) []meta.ConfigValue {
	if i, ok := findValue(values, name); ok {
		return slices.Delete(values, i, i+1)
	}
	return values
}

func pairs(values []meta.ConfigValue) []config.KV {
	list := make([]config.KV, len(values))
	for i, v := range values {
		list[i] = config.KV{Name: v.Name, Value: v.Value}
	}
	return list
}

func (t *change) checkTopicConfig(values []meta.ConfigValue) *failure {
	if _, err := config.ParseTopic(pairs(values), t.k.cfg.Broker.TopicDefaults); err != nil {
		return fail(kerr.InvalidConfig, "%s", err)
	}
	return nil
}

// describeTopicConfig lists what CreateTopics answers since version 5.
func (t *change) describeTopicConfig(values []meta.ConfigValue) []kmsg.CreateTopicsResponseTopicConfig {
	list := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(values))
	for _, e := range config.DescribeTopic(pairs(values), nil, nil) {
		out := kmsg.NewCreateTopicsResponseTopicConfig()
		out.Name, out.ReadOnly, out.Source = e.Property.Name, e.ReadOnly, int8(e.Source)
		if !e.Null {
			value := e.Value
			out.Value = &value
		}
		list = append(list, out)
	}
	return list
}

// configTarget is what both kinds of alteration check before they differ.
func (t *change) configTarget(kind kmsg.ConfigResourceType, name string, duplicate bool) *failure {
	switch {
	case duplicate:
		return fail(kerr.InvalidRequest, "Each resource must appear at most once.")
	case kind == kmsg.ConfigResourceTypeBroker:
		return fail(kerr.InvalidRequest, "Cannot update these configs dynamically: brokers read theirs when they start.")
	case kind != kmsg.ConfigResourceTypeTopic:
		return fail(kerr.InvalidRequest, "Unexpected resource type %s.", kind)
	case t.image.Topic(name) == nil:
		return fail(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", name)
	}
	return nil
}

type resourceKey struct {
	kind kmsg.ConfigResourceType
	name string
}

// incrementalAlterConfigs is IncrementalAlterConfigs (44).
func (t *change) incrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	seen := make(map[resourceKey]bool)
	for i := range req.Resources {
		r := &req.Resources[i]
		key := resourceKey{r.ResourceType, r.ResourceName}
		f := t.configTarget(r.ResourceType, r.ResourceName, seen[key])
		seen[key] = true
		if f == nil {
			f = t.alterIncrementally(r, req.ValidateOnly)
		}
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		if f != nil {
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func (t *change) alterIncrementally(r *kmsg.IncrementalAlterConfigsRequestResource, validateOnly bool) *failure {
	old := t.image.TopicConfig(r.ResourceName)
	values := slices.Clone(old)
	for i, kv := range r.Configs {
		for _, other := range r.Configs[:i] {
			if other.Name == kv.Name {
				return fail(kerr.InvalidRequest, "Error due to duplicate config keys: %s", kv.Name)
			}
		}
		if kv.Op == kmsg.IncrementalAlterConfigOpDelete {
			values = removeValue(values, kv.Name)
			continue
		}
		if kv.Value == nil {
			return fail(kerr.InvalidRequest, "Null value not supported for: %s", kv.Name)
		}
		value := *kv.Value
		if kv.Op != kmsg.IncrementalAlterConfigOpSet {
			var f *failure
			if value, f = editList(values, kv.Op, kv.Name, value); f != nil {
				return f
			}
		}
		values = setValue(values, kv.Name, value)
	}
	return t.storeTopicConfig(r.ResourceName, old, values, validateOnly)
}

// editList is APPEND and SUBTRACT.
func editList(values []meta.ConfigValue, op kmsg.IncrementalAlterConfigOp, name, value string) (string, *failure) {
	p, ok := config.LookupTopic(name)
	if !ok {
		return "", fail(kerr.InvalidConfig, "Unknown topic config name: %s", name)
	}
	current, ok := meta.Lookup(values, name)
	if !ok {
		current = p.Default
	}
	switch op {
	case kmsg.IncrementalAlterConfigOpAppend:
		value, ok = config.Append(p, current, value)
	case kmsg.IncrementalAlterConfigOpSubtract:
		value, ok = config.Subtract(p, current, value)
	default:
		return "", fail(kerr.InvalidRequest, "Unknown operation %d on %s", op, name)
	}
	if !ok {
		return "", fail(kerr.InvalidConfig, "Can't append to or subtract from %s, it is not a list.", name)
	}
	return value, nil
}

// alterConfigs is AlterConfigs (33): what is not named goes back to its default.
func (t *change) alterConfigs(req *kmsg.AlterConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	seen := make(map[resourceKey]bool)
	for i := range req.Resources {
		r := &req.Resources[i]
		key := resourceKey{r.ResourceType, r.ResourceName}
		f := t.configTarget(r.ResourceType, r.ResourceName, seen[key])
		seen[key] = true
		if f == nil {
			f = t.replaceConfig(r, req.ValidateOnly)
		}
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		if f != nil {
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func (t *change) replaceConfig(r *kmsg.AlterConfigsRequestResource, validateOnly bool) *failure {
	var values []meta.ConfigValue
	for _, kv := range r.Configs {
		if kv.Value == nil {
			return fail(kerr.InvalidRequest, "Null value not supported for: %s", kv.Name)
		}
		values = setValue(values, kv.Name, *kv.Value)
	}
	return t.storeTopicConfig(r.ResourceName, t.image.TopicConfig(r.ResourceName), values, validateOnly)
}

// storeTopicConfig writes the difference, which may be nothing.
func (t *change) storeTopicConfig(topic string, old, values []meta.ConfigValue, validateOnly bool) *failure {
	if f := t.checkTopicConfig(values); f != nil {
		return f
	}
	if validateOnly {
		return nil
	}
	var records []meta.Record
	for _, v := range old {
		if _, ok := findValue(values, v.Name); !ok {
			records = append(records, &meta.ConfigRecord{Type: meta.ResourceTopic, Resource: topic, Name: v.Name, Remove: true})
		}
	}
	for _, v := range values {
		if had, ok := meta.Lookup(old, v.Name); !ok || had != v.Value {
			records = append(records, &meta.ConfigRecord{Type: meta.ResourceTopic, Resource: topic, Name: v.Name, Value: v.Value})
		}
	}
	before := t.minISR(topic)
	t.add(records...)
	if t.minISR(topic) != before {
		t.reviewELR(topic)
	}
	return nil
}

// reviewELR drops eligible replicas where the ISR suffices for the new minimum:
// from now on records can be committed without them.
func (t *change) reviewELR(name string) {
	topic := t.image.Topic(name)
	var records []meta.Record
	for i, p := range topic.Partitions {
		if len(p.ELR) == 0 && len(p.LastKnownELR) == 0 {
			continue
		}
		if r := t.partitionChange(topic, int32(i), transition{nobody, nobody, nobody}).build(); r != nil {
			records = append(records, r)
		}
	}
	t.add(records...)
}
