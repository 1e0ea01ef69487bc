package controller

import (
	"slices"
	"strconv"
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

func (t *change) checkTopicConfig(values []meta.ConfigValue) *failure {
	if _, err := config.ParseTopic(values, t.k.cfg.Broker.TopicDefaults); err != nil {
		return fail(kerr.InvalidConfig, "%s", err)
	}
	return nil
}

// describeTopicConfig lists what CreateTopics answers since version 5. Of static
// broker properties the controller knows its own, as in Kafka.
func (t *change) describeTopicConfig(values []meta.ConfigValue) []kmsg.CreateTopicsResponseTopicConfig {
	layers := t.image.ConfigLayers(nobody, t.k.cfg.Overrides)
	list := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(values))
	for _, e := range config.DescribeTopic(values, &layers, nil) {
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

// target is a resource whose configuration is being altered. The name of a
// broker is its id, that of all of them is empty.
type target struct {
	kind kmsg.ConfigResourceType
	name string
}

// alterOnce alters a resource that is named once, and says how that went.
func (t *change) alterOnce(at target, times int, alter func() *failure) (code int16, message *string) {
	f := t.checkTarget(at, times > 1)
	if f == nil {
		f = alter()
	}
	if f == nil {
		return 0, nil
	}
	return f.Code, &f.message
}

// checkTarget is what both kinds of alteration check before they differ.
func (t *change) checkTarget(r target, duplicate bool) *failure {
	switch {
	case duplicate:
		return fail(kerr.InvalidRequest, "Each resource must appear at most once.")
	case r.kind == kmsg.ConfigResourceTypeBroker && r.name == "":
		return nil
	case r.kind == kmsg.ConfigResourceTypeBroker:
		id, err := strconv.ParseInt(r.name, 10, 32)
		switch {
		case err != nil || id < 0:
			return fail(kerr.InvalidRequest, "Invalid broker name '%s': it must be a broker's id, or empty for all of them.", r.name)
		case t.image.Broker(int32(id)) == nil:
			return fail(kerr.BrokerIDNotRegistered, "No broker with id %d found.", id)
		}
		return nil
	case r.kind != kmsg.ConfigResourceTypeTopic:
		return fail(kerr.InvalidRequest, "Unexpected resource type %s.", r.kind)
	case r.name == "":
		return fail(kerr.InvalidRequest, "Default topic resources are not allowed.")
	case checkTopicName(r.name) != nil:
		return checkTopicName(r.name)
	case t.image.Topic(r.name) == nil:
		return fail(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", r.name)
	}
	return nil
}

func (t *change) overrides(r target) []meta.ConfigValue {
	if r.kind == kmsg.ConfigResourceTypeBroker {
		return t.image.BrokerConfig(r.name)
	}
	return t.image.TopicConfig(r.name)
}

// checkConfig validates all the overrides that a resource is to have.
func (t *change) checkConfig(r target, old, values []meta.ConfigValue) *failure {
	if r.kind == kmsg.ConfigResourceTypeTopic {
		return t.checkTopicConfig(values)
	}
	// KAFKA-13609: a broker's values that are out of bounds are INVALID_REQUEST.
	if err := config.CheckDynamic(values); err != nil {
		return fail(kerr.InvalidRequest, "%s", err)
	}
	if t.image.FeatureLevel(elrFeature) == 0 {
		return nil
	}
	// The eligible replicas count on one minimum that all brokers know (KIP-966).
	_, had := findValue(old, minISRName)
	_, has := findValue(values, minISRName)
	switch {
	case r.name != "" && has:
		return fail(kerr.InvalidConfig, "Broker-level %s cannot be altered while ELR is enabled.", minISRName)
	case r.name == "" && had && !has:
		return fail(kerr.InvalidConfig, "Cluster-level %s cannot be removed while ELR is enabled.", minISRName)
	}
	return nil
}

// incrementalAlterConfigs is IncrementalAlterConfigs (44).
func (t *change) incrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	times := make(map[target]int)
	for i := range req.Resources {
		times[target{req.Resources[i].ResourceType, req.Resources[i].ResourceName}]++
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		at := target{r.ResourceType, r.ResourceName}
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		out.ErrorCode, out.ErrorMessage = t.alterOnce(at, times[at], func() *failure { return t.alterIncrementally(at, r.Configs, req.ValidateOnly) })
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func (t *change) alterIncrementally(r target, edits []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) *failure {
	old := t.overrides(r)
	values := slices.Clone(old)
	for i, kv := range edits {
		for _, other := range edits[:i] {
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
			if value, f = t.editList(r, values, kv.Op, kv.Name, value); f != nil {
				return f
			}
		}
		values = setValue(values, kv.Name, value)
	}
	return t.storeConfig(r, old, values, validateOnly)
}

// editList is APPEND and SUBTRACT, to what is in force.
func (t *change) editList(r target, values []meta.ConfigValue, op kmsg.IncrementalAlterConfigOp, name, value string) (string, *failure) {
	lookup := config.LookupTopic
	if r.kind == kmsg.ConfigResourceTypeBroker {
		lookup = config.LookupBroker
	}
	p, ok := lookup(name)
	if !ok {
		return "", fail(kerr.InvalidConfig, "Unknown config name: %s", name)
	}
	current, ok := meta.Lookup(values, name)
	if !ok {
		current = t.inherited(r, name, p)
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

// inherited is the value of a property without an override of the resource's own.
func (t *change) inherited(r target, name string, p *config.Property) string {
	layers := t.image.ConfigLayers(nobody, t.k.cfg.Overrides)
	var found []config.Entry
	if r.kind == kmsg.ConfigResourceTypeBroker {
		found = config.DescribeBroker(&layers, []string{name})
	} else {
		found = config.DescribeTopic(nil, &layers, []string{name})
	}
	if len(found) == 1 {
		return found[0].Value
	}
	return p.Default
}

// alterConfigs is AlterConfigs (33): what is not named goes back to its default.
func (t *change) alterConfigs(req *kmsg.AlterConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	times := make(map[target]int)
	for i := range req.Resources {
		times[target{req.Resources[i].ResourceType, req.Resources[i].ResourceName}]++
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		at := target{r.ResourceType, r.ResourceName}
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		out.ErrorCode, out.ErrorMessage = t.alterOnce(at, times[at], func() *failure { return t.replaceConfig(at, r.Configs, req.ValidateOnly) })
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func (t *change) replaceConfig(r target, list []kmsg.AlterConfigsRequestResourceConfig, validateOnly bool) *failure {
	var values []meta.ConfigValue
	for _, kv := range list {
		if kv.Value == nil {
			return fail(kerr.InvalidRequest, "Null value not supported for: %s", kv.Name)
		}
		values = setValue(values, kv.Name, *kv.Value)
	}
	return t.storeConfig(r, t.overrides(r), values, validateOnly)
}

// storeConfig writes the difference, which may be nothing.
func (t *change) storeConfig(r target, old, values []meta.ConfigValue, validateOnly bool) *failure {
	if f := t.checkConfig(r, old, values); f != nil || validateOnly {
		return f
	}
	kind := meta.ConfigResource(r.kind)
	var records []meta.Record
	for _, v := range old {
		if _, ok := findValue(values, v.Name); !ok {
			records = append(records, &meta.ConfigRecord{Type: kind, Resource: r.name, Name: v.Name, Remove: true})
		}
	}
	for _, v := range values {
		if had, ok := meta.Lookup(old, v.Name); !ok || had != v.Value {
			records = append(records, &meta.ConfigRecord{Type: kind, Resource: r.name, Name: v.Name, Value: v.Value})
		}
	}
	had, _ := meta.Lookup(old, minISRName)
	has, _ := meta.Lookup(values, minISRName)
	t.add(records...)
	if had == has {
		return nil
	}
	for _, topic := range t.image.Topics {
		if kind == meta.ResourceBroker || topic.Name == r.name {
			t.reviewELR(topic)
		}
	}
	return nil
}

// reviewELR drops eligible replicas where the ISR suffices for the new minimum:
// from now on records can be committed without them.
func (t *change) reviewELR(topic *meta.Topic) {
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
