package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// completion is what cobra asks to complete a word.
type completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// words completes a fixed vocabulary.
func words(vocabulary ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return vocabulary, cobra.ShellCompDirectiveNoFileComp
	}
}

// first completes only the first argument.
func first(complete completion) completion {
	return inOrder(complete)
}

// inOrder completes each argument in its own way, and none after the last.
func inOrder(each ...completion) completion {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(each) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return each[len(args)](cmd, args, word)
	}
}

// completeFlag registers the completion of a flag that the program has.
func completeFlag(cmd *cobra.Command, flag string, complete completion) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic("cli: " + err.Error())
	}
}

// fromCluster completes with names that the cluster knows. A cluster that
// cannot be asked completes nothing: a shell is no place for errors.
func (a *App) fromCluster(names func(s *session) ([]string, error)) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		s, err := a.open(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer s.client.Close()
		found, err := names(s)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found = slices.DeleteFunc(found, func(name string) bool { return slices.Contains(args, name) })
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *App) completeTopics(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return a.fromCluster(func(s *session) ([]string, error) {
		topics, err := s.admin.ListTopics(s.ctx)
		return topics.Names(), err
	})(cmd, args, word)
}

func (a *App) completeGroups(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return a.fromCluster(func(s *session) ([]string, error) {
		groups, err := s.admin.ListGroups(s.ctx)
		return groups.Groups(), err
	})(cmd, args, word)
}

func (a *App) completeUsers(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return a.fromCluster(func(s *session) ([]string, error) {
		users, err := s.admin.DescribeUserSCRAMs(s.ctx)
		var names []string
		for _, user := range users.Sorted() {
			names = append(names, user.User)
		}
		return names, err
	})(cmd, args, word)
}

func (a *App) completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	store, err := a.profiles()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return store.Names(), cobra.ShellCompDirectiveNoFileComp
}
