package conformance

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	_ "github.com/twmb/franz-go/pkg/kgo" // the version whose tests are run
)

var kgoRecords = flag.Int("kgo-records", 10_000, "records of each of kgo's group tests; their own default is 500000")

// notYet are the tests of kgo that need what brokerd does not have: transactions,
// and listeners of their own for SASL. Tests of KIP-848 and of share groups skip
// themselves, since ApiVersions does not offer those.
const notYet = "TestTxnEtl|TestSCRAM|TestOAuth"

// TestKgo runs the suite that franz-go ships against three brokers.
func TestKgo(t *testing.T) {
	c := startCluster(t)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout", "30m", "-skip", notYet, "github.com/twmb/franz-go/pkg/kgo")
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+strings.Join(c.bootstrap, ","), "KGO_TEST_RF=3", "KGO_TEST_RECORDS="+strconv.Itoa(*kgoRecords))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, failures(out))
	}
	// Without a cluster the suite would skip these, and pass.
	for _, name := range []string{"TestGroupETL", "TestClient_Produce", "TestIssue434", "TestConsumeRegex"} {
		if !bytes.Contains(out, []byte("--- PASS: "+name+" ")) {
			t.Errorf("%s has not passed", name)
		}
	}
}

// failures are the lines of a verbose test log from each failure on.
func failures(out []byte) string {
	var b strings.Builder
	left := 0
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "--- FAIL") || strings.Contains(line, "panic:") {
			left = 20
		}
		if left > 0 {
			left--
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
