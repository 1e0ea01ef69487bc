package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

func TestExitStatus(t *testing.T) {
	pass := scenarioFile(t, "good", "pass")
	odd := scenarioFile(t, "odd", "fail on odd seeds")
	undecided := scenarioFile(t, "undecided", "inconclusive")
	impossible := scenarioFile(t, "impossible", "cannot be built")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		text   string
	}{
		{"pass", []string{pass}, exitPass, "PASS"},
		{"shipped by name", []string{"zone-failure", "-q"}, exitPass, "zone-failure"},
		{"fail", []string{odd, "--seed", "1"}, exitFail, "--out DIR"},
		{"even seed passes", []string{odd, "--seed", "0x10"}, exitPass, "seed 16"},
		{"inconclusive", []string{undecided}, exitInconclusive, "undecided"},
		{"cannot be built", []string{impossible}, exitInput, "too many brokers"},
		{"inconclusive and pass", []string{undecided, pass}, exitInconclusive, "inconclusive"},
		{"fail beats inconclusive", []string{undecided, odd}, exitFail, "odd"},
		{"an error beats all", []string{undecided, odd, impossible}, exitInput, "too many brokers"},
		{"nothing ran", []string{impossible, "--runs", "2"}, exitInput, "too many brokers"},
		{"several seeds", []string{odd, "--seed", "2", "--runs", "3"}, exitFail, "3 runs"},
		{"crash", []string{scenarioFile(t, "crashing", "crash")}, exitFail, "the high watermark fell from 7 to 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			simrun(t, test.args...).want(t, test.status, test.text)
		})
	}
}

// Every mistake is one clear line, and nothing runs.
func TestBadInput(t *testing.T) {
	file := scenarioFile(t, "good", "pass")
	directory := t.TempDir()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "simrun: which scenario? Give a file or a name of simrun list; simrun --help says more"},
		{[]string{"--sed", "1", file}, "simrun: unknown flag: --sed; simrun --help lists the flags"},
		{[]string{"--seed", "0xg", file}, `simrun: invalid argument "0xg" for "--seed" flag: a seed is a whole number of at most 64 bits, decimal or 0x; simrun --help lists the flags`},
		{[]string{"--seed", "-1", file}, `simrun: invalid argument "-1" for "--seed" flag: a seed is a whole number of at most 64 bits, decimal or 0x; simrun --help lists the flags`},
		{[]string{"--seed", "18446744073709551616", file}, `simrun: invalid argument "18446744073709551616" for "--seed" flag: a seed is a whole number of at most 64 bits, decimal or 0x; simrun --help lists the flags`},
		{[]string{"--seed", "0xffffffffffffffff", "--runs", "2", file}, "simrun: 2 seeds from 18446744073709551615 on are more than there are; the last is 0xffffffffffffffff"},
		{[]string{"--runs", "0", file}, `simrun: invalid argument "0" for "--runs" flag: a number from 1 to 1000000, or all; simrun --help lists the flags`},
		{[]string{"--jobs", "0", file}, `simrun: invalid argument "0" for "--jobs" flag: a number from 1 to 1024; simrun --help lists the flags`},
		{[]string{"--format", "xml", file}, `simrun: invalid argument "xml" for "--format" flag: it is text or json; simrun --help lists the flags`},
		{[]string{"--trace", "x", "--runs", "2", file}, "simrun: --trace is for a single run, and these are 2: give one file, one --seed and no --runs"},
		{[]string{"--cpuprofile", "x", "--verify", file}, "simrun: --cpuprofile does not go with --verify, which runs each seed twice"},
		{[]string{"zone-failur"}, `simrun: no file "zone-failur" here and no shipped scenario "zone-failur"; did you mean "zone-failure"? (simrun list shows all)`},
		{[]string{"no/such.yaml"}, `simrun: no file "no/such.yaml"; simrun list shows the scenarios that need no file`},
		{[]string{directory}, "simrun: " + directory + " is a directory; give the scenario files in it"},
		{[]string{"--out", file + "/report", file}, "simrun: cannot create the directory " + file + "/report: not a directory (a file is where a directory is needed; remove it, or give another path with --out)"},
		{[]string{"--trace", directory + "/no/trace", file}, "simrun: cannot write " + directory + "/no/trace: no such file or directory (create the directory that it is in, or give another path with --trace)"},
		{[]string{"--memprofile", directory, file}, "simrun: cannot write " + directory + ": is a directory (it is a directory; add the name of a file)"},
		{[]string{"--out", directory, "--runs", "2", file, file}, "simrun: " + file + " and " + file + " would both be written to " + directory + "/good-1; give them different names, or run them with different directories for --out"},
		{[]string{"replay", directory}, "simrun: read " + directory + "/result.json: no such file (a run writes it with --out DIR; is " + directory + " such a DIR?)"},
		{[]string{"validate"}, "simrun: which scenario? Give files or names of simrun list"},
		{[]string{"validat", file}, `simrun: no file "validat" here and no shipped scenario "validat" (simrun list shows all); or the command simrun validate?`},
		{[]string{"no/smoke.yml"}, `simrun: no file "no/smoke.yml"; the scenario of that name that comes with the program is simrun smoke`},
		{[]string{"--out", "", file}, `simrun: invalid argument "" for "-o, --out" flag: the path is empty; give one, or leave the flag out; simrun --help lists the flags`},
		{[]string{"--trace=", file}, `simrun: invalid argument "" for "--trace" flag: the path is empty; give one, or leave the flag out; simrun --help lists the flags`},
		{[]string{"--brokerd", "brokerd", file}, "simrun: --brokerd says which brokerd --real shall start, and there is no --real"},
		{[]string{"replay"}, "simrun: replay takes the directory of one report, not 0; a run writes it with --out DIR"},
		{[]string{"replay", file}, "simrun: " + file + " is a file; give the directory that a run wrote with --out"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := simrun(t, test.args...)
			if diff := cmp.Diff(ended{exitInput, "", test.want + "\n"}, got, cmp.AllowUnexported(ended{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The loader's errors are shown as they are, all of them, and nothing runs.
func TestValidate(t *testing.T) {
	good := scenarioFile(t, "good", "pass")
	const broken = "../../../../scenarios/testdata/broken/"
	var golden string
	for _, name := range []string{"property-unknown", "alias"} {
		text, err := os.ReadFile(broken + name + ".err")
		if err != nil {
			t.Fatal(err)
		}
		golden += broken + strings.TrimRight(string(text), "\n") + "\n"
	}
	files := []string{broken + "property-unknown.yaml", good, broken + "alias.yaml"}
	want := ended{exitInput, good + ": valid\n", golden}
	if diff := cmp.Diff(want, simrun(t, append([]string{"validate"}, files...)...), cmp.AllowUnexported(ended{})); diff != "" {
		t.Error(diff)
	}
	want.stdout = ""
	if diff := cmp.Diff(want, simrun(t, files...), cmp.AllowUnexported(ended{})); diff != "" {
		t.Error(diff)
	}
	simrun(t, "validate", good).want(t, exitPass)
}

func TestLibrary(t *testing.T) {
	list := simrun(t, "list")
	list.want(t, exitPass, "Zone b loses power")
	if got, want := strings.Count(list.stdout, "\n"), len(scenarios.Shipped()); got != want {
		t.Errorf("%d lines for %d scenarios", got, want)
	}
	schema := simrun(t, "schema")
	if diff := cmp.Diff(ended{exitPass, string(scenarios.Schema()), ""}, schema, cmp.AllowUnexported(ended{})); diff != "" {
		t.Error(diff)
	}
}

// Results come in the order of files and seeds, whatever finishes first.
func TestJSONInOrder(t *testing.T) {
	odd, good := scenarioFile(t, "odd", "fail on odd seeds"), scenarioFile(t, "good", "pass")
	got := simrun(t, "--format", "json", "--runs", "all", "--jobs", "4", odd, good)
	if got.status != exitFail || got.stderr != "" {
		t.Errorf("exit status %d, stderr %q", got.status, got.stderr)
	}
	var order []string
	for _, r := range got.results(t) {
		order = append(order, fmt.Sprintf("%s %d %s", r.Scenario, r.Seed, r.Verdict))
		if r.CPUSeconds <= 0 || r.PeakRSSBytes < 1<<20 || r.Replay == "" || r.TraceHash == "" {
			t.Errorf("%s %d: cpu %v, rss %d, replay %q, hash %q", r.Scenario, r.Seed, r.CPUSeconds, r.PeakRSSBytes, r.Replay, r.TraceHash)
		}
	}
	want := []string{"odd 1 fail", "odd 2 pass", "odd 3 fail", "odd 4 pass", "odd 5 fail",
		"good 1 pass", "good 2 pass", "good 3 pass", "good 4 pass", "good 5 pass"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
}

// A child that dies takes only its own run with it.
func TestLostChild(t *testing.T) {
	got := simrun(t, "--format", "json", scenarioFile(t, "good", "pass"), scenarioFile(t, "dying", "killed"))
	got.want(t, exitInconclusive, "ended without a result", "exit status 137")
	if r := got.results(t); len(r) != 2 || r[0].Verdict != reports.Pass || r[1].Scenario != "dying" {
		t.Errorf("got %v", got.stdout)
	}
	crash := scenarioFile(t, "crashing", "crash")
	got = simrun(t, "--runs", "2", crash)
	got.want(t, exitFail, "bug of the simulator", "toyEngine", "simrun "+crash+" --seed 2")
}

func TestOutputFiles(t *testing.T) {
	base := t.TempDir()
	good := scenarioFile(t, "good", "pass")
	simrun(t, "--out", base+"/one", "--trace", base+"/trace", "--cpuprofile", base+"/cpu", "--memprofile", base+"/mem", good).
		want(t, exitPass, "Report         "+base+"/one")
	simrun(t, "--out", base+"/many", "--runs", "2", "--jobs", "2", good).want(t, exitPass)
	for _, name := range []string{"one/result.json", "one/scenario.yaml", "one/window.html", "one/report.html", "cpu", "mem",
		"many/good-1/result.json", "many/good-2/window.html", "many/junit.xml"} {
		if _, err := os.Stat(filepath.Join(base, name)); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(base + "/*/.*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
	trace, err := os.ReadFile(base + "/trace")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(trace), "\n"); got != 100 {
		t.Errorf("%d lines in the trace, want 100", got)
	}
}

func TestReplay(t *testing.T) {
	dir := t.TempDir() + "/report of a run"
	odd := scenarioFile(t, "odd", "fail on odd seeds")
	simrun(t, odd, "--seed", "8", "--out", dir).want(t, exitPass)
	if err := os.Remove(odd); err != nil { // only the copy counts
		t.Fatal(err)
	}
	simrun(t, "replay", dir).want(t, exitPass, "Replayed: the same happened as in the report")

	path := filepath.Join(dir, fileScenario)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "fail on odd seeds", "threads", 1)
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	simrun(t, "replay", dir).want(t, exitFail, "not the reported run", "simrun replay '"+dir+"'")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	simrun(t, "replay", dir).want(t, exitInput, "no "+path+": the copy of the scenario")
}

// Replay compares what the report says, not the hash alone.
func TestReplayOfAnAlteredReport(t *testing.T) {
	dir := t.TempDir()
	simrun(t, scenarioFile(t, "good", "pass"), "--runs", "2", "--out", dir).want(t, exitPass)
	simrun(t, "replay", dir).want(t, exitInput, "several runs, such as "+dir+"/good-1")
	path := filepath.Join(dir, "good-1", reports.FileResult)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	altered := strings.Replace(string(text), `"unverified": 0`, `"unverified": 7`, 1)
	if err := os.WriteFile(path, []byte(altered), 0o644); err != nil {
		t.Fatal(err)
	}
	simrun(t, "replay", filepath.Join(dir, "good-1")).want(t, exitFail, `"\"unverified\": 7,"`)
	simrun(t, "replay", filepath.Join(dir, "good-2")).want(t, exitPass)
}

func TestVerify(t *testing.T) {
	good, threads := scenarioFile(t, "good", "pass"), scenarioFile(t, "threads", "threads")
	for _, jobs := range []string{"1", "2"} {
		simrun(t, "--verify", "--jobs", jobs, good).want(t, exitPass, "Verified: two processes, GOMAXPROCS 1 and ")
	}
	out := t.TempDir()
	got := simrun(t, "--verify", "--out", out, threads)
	got.want(t, exitFail, "not deterministic: the trace hash was",
		"First difference: between event 40 (400ms) and event 60 (600ms)",
		"    both            0.560000000 broker-1 event 56\n",
		"    GOMAXPROCS=1    0.570000000 broker-1 event 57 with 1 threads\n",
		"0.570000000 broker-1 event 57 with 2 threads")
	if strings.Contains(got.stdout, "event 50\n") {
		t.Errorf("more than the last lines before the difference:\n%s", got.stdout)
	}
	r, err := reports.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != reports.Fail || len(r.Reasons) != 2 {
		t.Errorf("the report says %s %q", r.Verdict, r.Reasons)
	}
	simrun(t, "--verify", scenarioFile(t, "judged", "judged by threads")).want(t, exitFail,
		"the same happened in both processes", `produce_retries`)
	simrun(t, "--verify", "--format", "json", "--runs", "2", good, threads).want(t, exitFail, `"verdict":"fail"`, "event 57 with 1 threads")
}

// An interrupt ends runs in an orderly way: what was found is printed, written
// and said to be partial. The signal is sent once a line of progress has come.
func TestInterrupt(t *testing.T) {
	endless := scenarioFile(t, "endless", "endless")
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		status int
		args   []string
		want   []string
	}{
		{"one run", syscall.SIGINT, 130, nil, []string{"Interrupted: everything below covers"}},
		{"terminate", syscall.SIGTERM, 143, nil, []string{"Interrupted: everything below covers"}},
		{"children", syscall.SIGINT, 130, []string{"--runs", "5", "--jobs", "2"},
			[]string{"Interrupted: everything below covers", "2 interrupted", "3 of 5 runs were never begun"}},
		{"verify", syscall.SIGINT, 130, []string{"--verify", "--jobs", "2"}, []string{"Not verified", "Interrupted"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := t.TempDir()
			got := interrupted(t, test.signal, 1, nil, append(test.args, "--out", out, endless)...)
			got.want(t, test.status, test.want...)
			dir := out
			if test.name == "children" {
				dir += "/endless-1"
			}
			r, err := reports.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Partial || r.Verdict != reports.Inconclusive {
				t.Errorf("partial %v, verdict %s", r.Partial, r.Verdict)
			}
			if test.name == "one run" { // it is repeated up to the same event
				simrun(t, "replay", dir).want(t, exitPass, "Replayed: the same happened")
			}
		})
	}
}

// The second interrupt ends the program at once, and its children with it, even
// if they do not listen.
func TestSecondInterrupt(t *testing.T) {
	deaf := scenarioFile(t, "deaf", "deaf")
	for _, runs := range []string{"1", "4"} {
		fifo := filepath.Join(t.TempDir(), "alive")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		allGone := make(chan error, 1)
		go func() { // ends when no process has the pipe open any more
			_, err := os.ReadFile(fifo)
			allGone <- err
		}()
		got := interrupted(t, syscall.SIGINT, 2, []string{aliveFIFO + "=" + fifo}, "--runs", runs, "--jobs", "2", deaf)
		got.want(t, 130)
		if err := <-allGone; err != nil {
			t.Error(err)
		}
	}
}

// interrupted starts the program, waits for a line of progress, sends the signal
// that many times and waits for the end.
func interrupted(t *testing.T, signal syscall.Signal, times int, env []string, args ...string) ended {
	t.Helper()
	cmd := program(t, args...)
	cmd.Env = append(cmd.Env, env...)
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	wait := func(piece string) {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no %q on stderr: %v", piece, err)
			}
			if strings.Contains(line, piece) {
				return
			}
		}
	}
	wait(" acked")
	for i := range times {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			wait("stopping")
		}
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit status is looked at by the caller
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), string(rest)}
}
