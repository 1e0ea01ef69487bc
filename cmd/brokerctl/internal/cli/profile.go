package cli

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/connect"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/profile"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
)

func (a *App) profileCommand() *cobra.Command {
	return group("profile", "Name connections and choose one",
		a.profileCreateCommand(),
		a.shows(a.profileListCommand(), "profile list", profileList{}),
		a.profileUseCommand(),
		a.shows(a.profileShowCommand(), "profile show", profileView{}),
		a.profileDeleteCommand())
}

func (a *App) profileCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "create NAME",
		Short:   "Keep the connection that the flags describe",
		Long:    "Keep the connection that the flags describe, such as --brokers and --sasl-user,\nunder a name. The first one becomes the current one. A profile of that name is\nreplaced.",
		Example: "  brokerctl profile create prod --brokers a:9093,b:9093 --tls-ca ca.pem --sasl-user me --sasl-password-file secret",
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.profiles()
			if err != nil {
				return err
			}
			read := flagReader(cmd)
			given := map[string]string{}
			for _, s := range connect.Settings {
				text, ok := read(s.Name)
				if !ok {
					continue
				}
				if s.File {
					if text, err = filepath.Abs(text); err != nil {
						return problem.Input("--%s: %w", s.Name, err)
					}
				}
				given[s.Name] = text
			}
			if len(given) == 0 {
				return problem.Input("profile %q would hold nothing; add --brokers", args[0])
			}
			noEnvironment := func(string) string { return "" }
			if _, err := connect.Resolve(connect.Sources{Flag: read, Env: noEnvironment}); err != nil {
				return err
			}
			store.Put(args[0], given)
			if err := store.Save(); err != nil {
				return err
			}
			if store.Current == args[0] {
				a.note("profile %s kept; it is the current one", args[0])
				return nil
			}
			a.note("profile %s kept; brokerctl profile use %s makes it the current one", args[0], args[0])
			return nil
		},
	}
}

type profileRow struct {
	Name    string `json:"name" head:"NAME" doc:"name of the profile"`
	Current bool   `json:"current" head:"CURRENT" doc:"whether it is used when none is named"`
	Brokers string `json:"brokers" head:"BROKERS" doc:"its addresses"`
}

type profileList struct {
	Profiles []profileRow `json:"profiles" doc:"the profiles by name"`
}

func (l profileList) Text(t *show.Text) {
	t.Table(l.Profiles, "no profile; brokerctl profile create NAME --brokers host:port makes one")
}

func (a *App) profileListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the profiles", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			store, err := a.profiles()
			if err != nil {
				return err
			}
			list := profileList{Profiles: []profileRow{}}
			for _, name := range store.Names() {
				list.Profiles = append(list.Profiles, profileRow{name, name == store.Current, store.Profiles[name]["brokers"]})
			}
			return a.show(list)
		},
	}
}

func (a *App) profileUseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Make a profile the current one", Args: exactly("NAME"), ValidArgsFunction: first(a.completeProfiles),
		RunE: a.changeProfile(func(store *profile.Store, name string) { store.Current = name }),
	}
}

// changeProfile is the body of a command that changes something about a profile
// that exists.
func (a *App) changeProfile(change func(store *profile.Store, name string)) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		store, err := a.profiles()
		if err != nil {
			return err
		}
		if _, err := store.Get(args[0]); err != nil {
			return err
		}
		change(store, args[0])
		return store.Save()
	}
}

type settingRow struct {
	Name  string `json:"name" head:"SETTING" doc:"name of the setting, which is also its flag"`
	Value string `json:"value" head:"VALUE" doc:"its value; (hidden) for a secret"`
}

type profileView struct {
	Name     string       `json:"name" doc:"name of the profile"`
	Settings []settingRow `json:"settings" doc:"what it says, by name"`
}

func (v profileView) Text(t *show.Text) { t.Table(v.Settings, "nothing is set") }

func (a *App) profileShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show a profile without its secrets; the current one unless named", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: first(a.completeProfiles),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := a.profiles()
			if err != nil {
				return err
			}
			view := profileView{Name: store.Current, Settings: []settingRow{}}
			if len(args) == 1 {
				view.Name = args[0]
			}
			if view.Name == "" {
				return problem.Missing("no profile is current; brokerctl profile use NAME chooses one")
			}
			values, err := store.Get(view.Name)
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(values)) {
				row := settingRow{name, values[name]}
				if s, err := connect.Lookup(name); err == nil && s.Secret {
					row.Value = "(hidden)"
				}
				view.Settings = append(view.Settings, row)
			}
			return a.show(view)
		},
	}
}

func (a *App) profileDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget a profile", Args: exactly("NAME"), ValidArgsFunction: first(a.completeProfiles),
		RunE: a.changeProfile(func(store *profile.Store, name string) { store.Delete(name) }),
	}
}
