package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/connect"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Kafka's bounds for SCRAM iterations.
const (
	iterationsMin     = 4096
	iterationsMax     = 16384
	iterationsDefault = 8192
)

func (a *App) userCommand() *cobra.Command {
	return group("user", "Look after the users that log in with SCRAM",
		a.shows(a.userListCommand(), "user list", userList{}),
		a.shows(a.userCreateCommand(), "user create", userCreated{}),
		a.shows(a.userDeleteCommand(), "user delete", userDeleted{}))
}

type userRow struct {
	Name       string `json:"name" head:"USER" doc:"name of the user"`
	Mechanism  string `json:"mechanism" head:"MECHANISM" doc:"SCRAM-SHA-256 or SCRAM-SHA-512"`
	Iterations int32  `json:"iterations" head:"ITERATIONS" doc:"how often the password is hashed"`
}

type userList struct {
	Users []userRow `json:"users" doc:"the users by name, one entry for each mechanism"`
}

func (l userList) Text(t *show.Text) {
	t.Table(l.Users, "no user; brokerctl user create NAME makes one")
}

func (a *App) userListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users and their mechanisms", Args: exactly(),
		RunE: a.connected(func(s *session, _ []string) error {
			users, err := s.admin.DescribeUserSCRAMs(s.ctx)
			if err != nil {
				return aclProblem("list users", err, "")
			}
			list := userList{Users: []userRow{}}
			for _, user := range users.Sorted() {
				if user.Err != nil {
					return aclProblem("list user "+user.User, user.Err, user.ErrMessage)
				}
				for _, credential := range user.CredInfos {
					list.Users = append(list.Users, userRow{user.User, credential.Mechanism.String(), credential.Iterations})
				}
			}
			return s.show(list)
		}),
	}
}

// scramFlag is one of the two mechanisms.
type scramFlag struct{ choiceFlag }

func (f *scramFlag) addTo(cmd *cobra.Command, doc string) {
	f.choiceFlag = choiceFlag{"SCRAM-SHA-256", []string{"SCRAM-SHA-256", "SCRAM-SHA-512"}}
	cmd.Flags().Var(f, "mechanism", doc)
	completeFlag(cmd, "mechanism", words(f.choices...))
}

func (f *scramFlag) mechanism() kadm.ScramMechanism {
	if f.value == "SCRAM-SHA-512" {
		return kadm.ScramSha512
	}
	return kadm.ScramSha256
}

type userCreated struct {
	Name      string  `json:"name" doc:"name of the user"`
	Mechanism string  `json:"mechanism" doc:"SCRAM-SHA-256 or SCRAM-SHA-512"`
	Password  *string `json:"password" doc:"the password when it was made here; null when it was given"`
}

func (v userCreated) Text(t *show.Text) {
	t.Line("%s: may log in with %s", v.Name, v.Mechanism)
	if v.Password != nil {
		t.Line("password: %s", *v.Password)
	}
}

func (a *App) userCreateCommand() *cobra.Command {
	var mechanism scramFlag
	var password, file string
	var iterations int32
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a user or change the password", Args: exactly("NAME"), ValidArgsFunction: words(),
		Long:    "Create a user or change the password. Without one given, a password is made and\nprinted once.",
		Example: "  brokerctl user create alice\n  brokerctl user create alice --password-file secret --mechanism SCRAM-SHA-512",
		RunE: a.connected(func(s *session, args []string) error {
			if iterations < iterationsMin || iterations > iterationsMax {
				return problem.Input("--iterations %d: Kafka takes %d to %d", iterations, iterationsMin, iterationsMax)
			}
			view := userCreated{Name: args[0], Mechanism: mechanism.value}
			switch {
			case password != "" && file != "":
				return problem.Input("--password and --password-file are both given; keep one")
			case file != "":
				var err error
				if password, err = connect.ReadSecret(file); err != nil {
					return problem.Input("--password-file: %w", err)
				}
			case password == "":
				password = rand.Text()
				view.Password = &password
			}
			upsert := kadm.UpsertSCRAM{User: args[0], Mechanism: mechanism.mechanism(), Iterations: iterations, Password: password}
			if err := s.alterUser("create user", args[0], nil, []kadm.UpsertSCRAM{upsert}); err != nil {
				return err
			}
			return s.show(view)
		}),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&password, "password", "", "`password`; others on this machine can read it here, so prefer a file")
	cmd.Flags().StringVar(&file, "password-file", "", "`file` whose first line is the password")
	mechanism.addTo(cmd, "how the user will log in")
	cmd.Flags().Int32Var(&iterations, "iterations", iterationsDefault, "`number` of times the password is hashed, 4096 to 16384")
	return cmd
}

func (s *session) alterUser(attempted, name string, remove []kadm.DeleteSCRAM, upsert []kadm.UpsertSCRAM) error {
	altered, err := s.admin.AlterUserSCRAMs(s.ctx, remove, upsert)
	if err != nil {
		return aclProblem(attempted+" "+name, err, "")
	}
	result := altered[name]
	if result.Err == nil {
		return nil
	}
	if errors.Is(result.Err, kerr.ResourceNotFound) {
		return problem.Missing("user %q does not exist with this mechanism; brokerctl user list shows those that do", name)
	}
	return aclProblem(fmt.Sprintf("%s %q", attempted, name), result.Err, result.ErrMessage)
}

type userDeleted struct {
	Name       string     `json:"name" doc:"name of the user"`
	Mechanisms show.Names `json:"mechanisms" doc:"the mechanisms that no longer work"`
}

func (v userDeleted) Text(t *show.Text) {
	t.Line("%s: may no longer log in with %s", v.Name, strings.Join(v.Mechanisms, " and "))
}

func (a *App) userDeleteCommand() *cobra.Command {
	var mechanism scramFlag
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a user's passwords, or one of them", Args: exactly("NAME"), ValidArgsFunction: first(a.completeUsers),
	}
	mechanism.addTo(cmd, "only this one; without it all")
	mechanism.value = ""
	cmd.RunE = a.connected(func(s *session, args []string) error {
		mechanisms := []kadm.ScramMechanism{mechanism.mechanism()}
		if mechanism.value == "" {
			users, err := s.admin.DescribeUserSCRAMs(s.ctx, args[0])
			if err != nil {
				return aclProblem("find user "+args[0], err, "")
			}
			mechanisms = nil
			for _, credential := range users[args[0]].CredInfos {
				mechanisms = append(mechanisms, credential.Mechanism)
			}
			if len(mechanisms) == 0 {
				return problem.Missing("user %q does not exist; brokerctl user list shows those that do", args[0])
			}
		}
		var remove []kadm.DeleteSCRAM
		view := userDeleted{Name: args[0]}
		for _, m := range mechanisms {
			remove = append(remove, kadm.DeleteSCRAM{User: args[0], Mechanism: m})
			view.Mechanisms = append(view.Mechanisms, m.String())
		}
		if err := s.alterUser("delete user", args[0], remove, nil); err != nil {
			return err
		}
		return s.show(view)
	})
	return cmd
}
