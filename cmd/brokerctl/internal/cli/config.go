package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (a *App) configCommand() *cobra.Command {
	return group("config", "Read and change the configuration of brokers and topics",
		a.shows(a.configGetCommand(), "config get", configView{}),
		a.shows(a.configSetCommand(), "config set", topicResults{}))
}

// resource is what has a configuration.
type resource struct {
	kind kmsg.ConfigResourceType
	name string // empty for the defaults of all brokers
}

func (r resource) String() string {
	switch {
	case r.kind == kmsg.ConfigResourceTypeTopic:
		return "topic " + r.name
	case r.name == "":
		return "all brokers"
	}
	return "broker " + r.name
}

// parseResource reads "topic/orders", "broker/1" and "brokers".
func parseResource(text string) (resource, error) {
	kind, name, ok := strings.Cut(text, "/")
	switch {
	case text == "brokers":
		return resource{kind: kmsg.ConfigResourceTypeBroker}, nil
	case ok && kind == "topic" && name != "":
		return resource{kmsg.ConfigResourceTypeTopic, name}, nil
	case ok && kind == "broker":
		if _, err := strconv.ParseInt(name, 10, 32); err != nil {
			return resource{}, problem.Input("%q: a broker has a number, as in broker/1", text)
		}
		return resource{kmsg.ConfigResourceTypeBroker, name}, nil
	}
	return resource{}, problem.Input("%q has no configuration; write topic/NAME, broker/ID or brokers (the defaults of all)", text)
}

func (a *App) completeResources(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return a.fromCluster(func(s *session) ([]string, error) {
		metadata, err := s.admin.Metadata(s.ctx)
		out := []string{"brokers"}
		for _, b := range metadata.Brokers {
			out = append(out, fmt.Sprintf("broker/%d", b.NodeID))
		}
		for _, name := range metadata.Topics.Names() {
			out = append(out, "topic/"+name)
		}
		return out, err
	})(cmd, args, word)
}

type synonymRow struct {
	Name   string `json:"name" doc:"name of the property it falls back to"`
	Value  string `json:"value" doc:"its value there"`
	Source string `json:"source" doc:"where that comes from"`
}

type configRow struct {
	Name      string       `json:"name" head:"PROPERTY" doc:"name of the property"`
	Value     string       `json:"value" head:"VALUE" doc:"its value as Kafka writes it; (hidden) for a secret"`
	Source    string       `json:"source" head:"SOURCE" doc:"topic, broker, all brokers, file, default or group"`
	Sensitive bool         `json:"sensitive" head:"SECRET" wide:"yes" doc:"whether the value is hidden"`
	ReadOnly  bool         `json:"readOnly" head:"READ ONLY" wide:"yes" doc:"whether only a restart can change it"`
	Synonyms  []synonymRow `json:"synonyms" doc:"every place that the value could come from, the strongest first"`
	Doc       string       `json:"doc" head:"MEANING" wide:"yes" doc:"what it means, where the broker tells"`
}

type configView struct {
	Resource   string      `json:"resource" doc:"what it is the configuration of"`
	Properties []configRow `json:"properties" doc:"the properties by name"`
}

func (v configView) Text(t *show.Text) {
	t.Table(v.Properties, v.Resource+": everything is at its default; --all shows it")
}

// sourceNames are what the sources of DescribeConfigs mean to people.
var sourceNames = map[kmsg.ConfigSource]string{
	kmsg.ConfigSourceDynamicTopicConfig:         "topic",
	kmsg.ConfigSourceDynamicBrokerConfig:        "broker",
	kmsg.ConfigSourceDynamicDefaultBrokerConfig: "all brokers",
	kmsg.ConfigSourceStaticBrokerConfig:         "file",
	kmsg.ConfigSourceDefaultConfig:              "default",
	kmsg.ConfigSourceGroupConfig:                "group",
}

func sourceName(source kmsg.ConfigSource) string {
	if name, ok := sourceNames[source]; ok {
		return name
	}
	return strings.ToLower(source.String())
}

// setOnly leaves out what nobody has set.
func setOnly(rows []configRow) []configRow {
	out := []configRow{}
	for _, row := range rows {
		if row.Source != sourceNames[kmsg.ConfigSourceDefaultConfig] {
			out = append(out, row)
		}
	}
	return out
}

// describeConfig reads all properties of a topic or broker. It sends the request
// itself because kadm leaves out which are read-only and what they mean.
func (s *session) describeConfig(kind kmsg.ConfigResourceType, name string) ([]configRow, error) {
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.IncludeSynonyms, request.IncludeDocumentation = true, true
	wanted := kmsg.NewDescribeConfigsRequestResource()
	wanted.ResourceType, wanted.ResourceName = kind, name
	request.Resources = append(request.Resources, wanted)
	ctx, cancel := s.limited()
	defer cancel()
	response, err := request.RequestWith(ctx, s.client)
	if err != nil {
		return nil, err
	}
	rows := []configRow{}
	for _, r := range response.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			words := ""
			if r.ErrorMessage != nil {
				words = *r.ErrorMessage
			}
			if kind == kmsg.ConfigResourceTypeTopic {
				return nil, s.topicProblem("read the configuration of topic", name, err, words)
			}
			out, _ := problem.FromKafka(err, fmt.Sprintf("read the configuration of %s", resource{kind, name}), words)
			return nil, out
		}
		for _, c := range r.Configs {
			rows = append(rows, configRowOf(c))
		}
	}
	sortBy(rows, func(r configRow) string { return r.Name })
	return rows, nil
}

func configRowOf(c kmsg.DescribeConfigsResponseResourceConfig) configRow {
	row := configRow{Name: c.Name, Source: sourceName(c.Source), Sensitive: c.IsSensitive, ReadOnly: c.ReadOnly, Synonyms: []synonymRow{}}
	switch {
	case c.IsSensitive:
		row.Value = "(hidden)"
	case c.Value != nil:
		row.Value = *c.Value
	}
	if c.Documentation != nil {
		row.Doc = *c.Documentation
	}
	for _, synonym := range c.ConfigSynonyms {
		out := synonymRow{Name: synonym.Name, Source: sourceName(synonym.Source)}
		if synonym.Value != nil && !c.IsSensitive {
			out.Value = *synonym.Value
		}
		row.Synonyms = append(row.Synonyms, out)
	}
	return row
}

func (a *App) configGetCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "get topic/NAME|broker/ID|brokers [PROPERTY...]", Short: "Show what was set, or the properties that are named",
		Args: atLeastOne("topic/NAME|broker/ID|brokers"), ValidArgsFunction: a.completeResources,
		Example: "  brokerctl config get broker/1\n  brokerctl config get topic/orders retention.ms\n  brokerctl config get topic/orders --all --format wide",
		RunE: a.connected(func(s *session, args []string) error {
			r, err := parseResource(args[0])
			if err != nil {
				return err
			}
			rows, err := s.describeConfig(r.kind, r.name)
			if err != nil {
				return err
			}
			view := configView{Resource: r.String(), Properties: rows}
			switch names := args[1:]; {
			case len(names) > 0:
				if view.Properties, err = named(rows, names); err != nil {
					return err
				}
			case !all:
				view.Properties = setOnly(rows)
			}
			return s.show(view)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "show what is at its default too")
	return cmd
}

// named picks properties by name, in the order of the names.
func named(rows []configRow, names []string) ([]configRow, error) {
	byName := map[string]configRow{}
	var known []string
	for _, row := range rows {
		byName[row.Name] = row
		known = append(known, row.Name)
	}
	var out []configRow
	for _, name := range names {
		row, ok := byName[name]
		if !ok {
			return nil, problem.Missing("property %q does not exist%s", name, nearestOf(name, known, "brokerctl config get --all lists those that do"))
		}
		out = append(out, row)
	}
	return out, nil
}

// configChange is what to change about a configuration.
type configChange struct {
	set, remove, appended, subtracted []string
	dry                               bool
}

func (f *configChange) addTo(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringArrayVarP(&f.set, "set", "s", nil, "`key=value` to set; may be repeated")
	set.StringArrayVarP(&f.remove, "delete", "d", nil, "`key` to unset, so that the default counts again; may be repeated")
	set.StringArrayVar(&f.appended, "append", nil, "`key=value` to add to a property that is a list")
	set.StringArrayVar(&f.subtracted, "subtract", nil, "`key=value` to take out of a property that is a list")
	set.BoolVar(&f.dry, "dry-run", false, "let the cluster check it and change nothing")
}

func (f *configChange) changes() ([]kadm.AlterConfig, error) {
	var out []kadm.AlterConfig
	for _, part := range []struct {
		flag  string
		op    kadm.IncrementalOp
		words []string
	}{{"--set", kadm.SetConfig, f.set}, {"--append", kadm.AppendConfig, f.appended}, {"--subtract", kadm.SubtractConfig, f.subtracted}} {
		pairs, err := keyValues(part.flag, part.words)
		if err != nil {
			return nil, err
		}
		for _, pair := range pairs {
			out = append(out, kadm.AlterConfig{Op: part.op, Name: pair[0], Value: &pair[1]})
		}
	}
	for _, key := range f.remove {
		out = append(out, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
	}
	if len(out) == 0 {
		return nil, problem.Input("nothing to change; say --set key=value or --delete key")
	}
	return out, nil
}

func describeChanges(changes []kadm.AlterConfig) string {
	var parts []string
	for _, c := range changes {
		switch c.Op {
		case kadm.DeleteConfig:
			parts = append(parts, c.Name+" unset")
		case kadm.AppendConfig:
			parts = append(parts, fmt.Sprintf("%s+=%s", c.Name, *c.Value))
		case kadm.SubtractConfig:
			parts = append(parts, fmt.Sprintf("%s-=%s", c.Name, *c.Value))
		default:
			parts = append(parts, fmt.Sprintf("%s=%s", c.Name, *c.Value))
		}
	}
	return strings.Join(parts, ", ")
}

func (a *App) configSetCommand() *cobra.Command {
	var f configChange
	cmd := &cobra.Command{
		Use: "set topic/NAME|broker/ID|brokers [KEY=VALUE...]", Short: "Set and unset properties",
		Args: atLeastOne("topic/NAME|broker/ID|brokers"), ValidArgsFunction: a.completeResources,
		Example: "  brokerctl config set brokers log.retention.ms=86400000\n  brokerctl config set topic/orders --delete retention.ms",
		RunE: a.connected(func(s *session, args []string) error {
			r, err := parseResource(args[0])
			if err != nil {
				return err
			}
			f.set = append(f.set, args[1:]...)
			changes, err := f.changes()
			if err != nil {
				return err
			}
			if r.kind == kmsg.ConfigResourceTypeTopic {
				err = s.alterTopic(r.name, changes, f.dry)
			} else {
				err = s.alterBroker(r, changes, f.dry)
			}
			if err != nil {
				return err
			}
			return s.showResults(f.dry, []topicResult{{r.String(), describeChanges(changes)}}, nil)
		}),
	}
	f.addTo(cmd)
	return cmd
}

func (s *session) alterBroker(r resource, changes []kadm.AlterConfig, dry bool) error {
	var ids []int32
	if r.name != "" {
		id, err := strconv.ParseInt(r.name, 10, 32)
		if err != nil {
			return problem.Input("broker/%s: %w", r.name, err)
		}
		ids = append(ids, int32(id))
	}
	alter := s.admin.AlterBrokerConfigs
	if dry {
		alter = s.admin.ValidateAlterBrokerConfigs
	}
	responses, err := alter(s.ctx, changes, ids...)
	if err != nil {
		return err
	}
	for _, response := range responses {
		if out, ok := problem.FromKafka(response.Err, "alter the configuration of "+r.String(), response.ErrMessage); ok {
			return out
		}
		if response.Err != nil {
			return response.Err
		}
	}
	return nil
}
