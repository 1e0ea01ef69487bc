package cli

import (
	"strings"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (a *App) aclCommand() *cobra.Command {
	return group("acl", "List, grant and withdraw access",
		a.shows(a.aclListCommand(), "acl list", aclList{}),
		a.shows(a.aclCreateCommand(), "acl create", aclList{}),
		a.shows(a.aclDeleteCommand(), "acl delete", aclList{}))
}

type aclRow struct {
	Principal  string `json:"principal" head:"PRINCIPAL" doc:"who, such as User:alice"`
	Permission string `json:"permission" head:"PERMISSION" doc:"ALLOW or DENY"`
	Operation  string `json:"operation" head:"OPERATION" doc:"Kafka's word, such as READ"`
	Resource   string `json:"resource" head:"RESOURCE" doc:"TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID or DELEGATION_TOKEN"`
	Name       string `json:"name" head:"NAME" doc:"name of the resource, or its beginning"`
	Pattern    string `json:"pattern" head:"PATTERN" doc:"LITERAL or PREFIXED"`
	Host       string `json:"host" head:"HOST" wide:"yes" doc:"from where; * is anywhere"`
}

type aclList struct {
	Dry  bool     `json:"dryRun" doc:"whether nothing was changed"`
	ACLs []aclRow `json:"acls" doc:"the ACLs by principal and resource"`
}

func (l aclList) Text(t *show.Text) {
	if l.Dry {
		t.Line("nothing was deleted; without --dry-run it would be:")
	}
	t.Table(l.ACLs, "no ACL")
}

func (l *aclList) sort() {
	sortBy(l.ACLs, func(r aclRow) string {
		return strings.Join([]string{r.Principal, r.Resource, r.Name, r.Pattern, r.Operation, r.Permission, r.Host}, "\x00")
	})
}

// aclFlags describe ACLs, to create or to find.
type aclFlags struct {
	allow, deny, hosts, operations []string
	topics, groups, ids            []string
	cluster                        bool
	pattern                        choiceFlag
}

func (f *aclFlags) addTo(cmd *cobra.Command, patterns ...string) {
	set := cmd.Flags()
	set.SortFlags = false
	f.pattern = choiceFlag{patterns[0], patterns}
	set.StringSliceVar(&f.allow, "allow", nil, "`user,...` that may: alice or User:alice, * for everybody")
	set.StringSliceVar(&f.deny, "deny", nil, "`user,...` that may not, whatever else is allowed")
	set.StringSliceVar(&f.hosts, "host", nil, "`address,...` from which; without it from anywhere")
	set.StringSliceVar(&f.operations, "operation", nil, "`word,...`: read, write, create, delete, alter, describe, describe-configs, alter-configs, cluster-action, idempotent-write or all")
	set.StringSliceVar(&f.topics, "topic", nil, "`name,...` of topics; * for all")
	set.StringSliceVar(&f.groups, "group", nil, "`name,...` of groups; * for all")
	set.StringSliceVar(&f.ids, "transactional-id", nil, "`name,...` of transactional ids; * for all")
	set.BoolVar(&f.cluster, "cluster", false, "the cluster itself")
	set.Var(&f.pattern, "pattern", "how names are meant: prefixed means all that begin so")
	completeFlag(cmd, "operation", words("read", "write", "create", "delete", "alter", "describe", "describe-configs", "alter-configs", "cluster-action", "idempotent-write", "all"))
	completeFlag(cmd, "pattern", words(patterns...))
}

// patterns are the words of --pattern.
var patterns = map[string]kadm.ACLPattern{
	"literal": kadm.ACLPatternLiteral, "prefixed": kadm.ACLPatternPrefixed, "any": kadm.ACLPatternAny, "match": kadm.ACLPatternMatch,
}

// builder turns the flags into what kadm wants. For a search what is left out
// means any.
func (f *aclFlags) builder(search bool) (*kadm.ACLBuilder, error) {
	var operations []kadm.ACLOperation
	for _, word := range f.operations {
		operation, err := kmsg.ParseACLOperation(strings.ReplaceAll(word, "-", "_"))
		if err != nil {
			return nil, problem.Input("--operation: unknown %q%s", word, nearestOf(word, []string{"read", "write", "create", "delete", "alter", "describe", "describe-configs", "alter-configs", "cluster-action", "idempotent-write", "all"}, "brokerctl acl create --help lists them"))
		}
		operations = append(operations, operation)
	}
	b := kadm.NewACLs().ResourcePatternType(patterns[f.pattern.value])
	nothing := len(f.topics)+len(f.groups)+len(f.ids) == 0 && !f.cluster
	if search && nothing {
		b.AnyResource()
	}
	b.MaybeTopics(f.topics...).MaybeGroups(f.groups...).MaybeTransactionalIDs(f.ids...).MaybeClusters(f.cluster)
	if search && len(operations) == 0 {
		operations = []kadm.ACLOperation{kadm.OpAny}
	}
	b.Operations(operations...)
	if search && len(f.allow)+len(f.deny) == 0 {
		b.Allow().AllowHosts(f.hosts...).Deny().DenyHosts(f.hosts...)
		return b, nil
	}
	if len(f.allow) > 0 {
		b.Allow(principals(f.allow)...).AllowHosts(f.hosts...)
	}
	if len(f.deny) > 0 {
		b.Deny(principals(f.deny)...).DenyHosts(f.hosts...)
	}
	return b, nil
}

// principals adds the type that Kafka's own users have.
func principals(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name
		if !strings.Contains(name, ":") {
			out[i] = "User:" + name
		}
	}
	return out
}

func (a *App) aclListCommand() *cobra.Command {
	var f aclFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List ACLs, all or those that the flags describe", Args: exactly(),
		RunE: a.connected(func(s *session, _ []string) error {
			b, err := f.builder(true)
			if err != nil {
				return err
			}
			list, err := s.findACLs(b)
			if err != nil {
				return err
			}
			return s.show(list)
		}),
	}
	f.addTo(cmd, "any", "literal", "prefixed", "match")
	return cmd
}

func (s *session) findACLs(b *kadm.ACLBuilder) (*aclList, error) {
	results, err := s.admin.DescribeACLs(s.ctx, b)
	if err != nil {
		return nil, aclProblem("list ACLs", err, "")
	}
	list := &aclList{ACLs: []aclRow{}}
	seen := map[aclRow]bool{}
	for _, r := range results {
		if r.Err != nil {
			return nil, aclProblem("list ACLs", r.Err, r.ErrMessage)
		}
		for _, d := range r.Described {
			row := aclRow{d.Principal, d.Permission.String(), d.Operation.String(), d.Type.String(), d.Name, d.Pattern.String(), d.Host}
			if !seen[row] {
				seen[row] = true
				list.ACLs = append(list.ACLs, row)
			}
		}
	}
	list.sort()
	return list, nil
}

func aclProblem(attempted string, err error, brokerWords string) error {
	if sorted, ok := problem.FromKafka(err, attempted, brokerWords); ok {
		return sorted
	}
	return err
}

func (a *App) aclCreateCommand() *cobra.Command {
	var f aclFlags
	cmd := &cobra.Command{
		Use: "create", Short: "Grant or forbid access", Args: exactly(),
		Long:    "Grant or forbid: every user with every operation on every resource that is named.",
		Example: "  brokerctl acl create --allow alice --operation read,describe --topic orders --group billing\n  brokerctl acl create --allow app --operation all --topic app- --pattern prefixed",
		RunE: a.connected(func(s *session, _ []string) error {
			if len(f.allow)+len(f.deny) == 0 || len(f.operations) == 0 || len(f.topics)+len(f.groups)+len(f.ids) == 0 && !f.cluster {
				return problem.Input("say who (--allow or --deny), what (--operation) and where (--topic, --group, --transactional-id or --cluster)")
			}
			b, err := f.builder(false)
			if err != nil {
				return err
			}
			if err := b.ValidateCreate(); err != nil {
				return problem.Input("%w", err)
			}
			results, err := s.admin.CreateACLs(s.ctx, b)
			if err != nil {
				return aclProblem("create ACLs", err, "")
			}
			list := &aclList{ACLs: []aclRow{}}
			for _, r := range results {
				if r.Err != nil {
					return aclProblem("create ACL for "+r.Principal+" on "+r.Name, r.Err, r.ErrMessage)
				}
				list.ACLs = append(list.ACLs, aclRow{r.Principal, r.Permission.String(), r.Operation.String(), r.Type.String(), r.Name, r.Pattern.String(), r.Host})
			}
			list.sort()
			return s.show(list)
		}),
	}
	f.addTo(cmd, "literal", "prefixed")
	return cmd
}

func (a *App) aclDeleteCommand() *cobra.Command {
	var f aclFlags
	var dry bool
	cmd := &cobra.Command{
		Use: "delete", Short: "Withdraw the ACLs that the flags describe", Args: exactly(),
		Long:    "Withdraw all ACLs that the flags describe, where a flag that is left out means any.\nAt least one is wanted. --dry-run lists them first.",
		Example: "  brokerctl acl delete --allow alice --topic orders --dry-run",
		RunE: a.connected(func(s *session, _ []string) error {
			if len(f.allow)+len(f.deny)+len(f.operations)+len(f.topics)+len(f.groups)+len(f.ids)+len(f.hosts) == 0 && !f.cluster {
				return problem.Input("that would withdraw every ACL; say which by --allow, --deny, --operation, --topic, --group, --transactional-id, --cluster or --host")
			}
			b, err := f.builder(true)
			if err != nil {
				return err
			}
			list, err := s.findACLs(b)
			if err != nil {
				return err
			}
			list.Dry = dry
			if !dry && len(list.ACLs) > 0 {
				results, err := s.admin.DeleteACLs(s.ctx, b)
				if err != nil {
					return aclProblem("delete ACLs", err, "")
				}
				for _, r := range results {
					if r.Err != nil {
						return aclProblem("delete ACLs", r.Err, r.ErrMessage)
					}
				}
			}
			return s.show(list)
		}),
	}
	f.addTo(cmd, "any", "literal", "prefixed", "match")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "list what would be withdrawn and withdraw nothing")
	return cmd
}
