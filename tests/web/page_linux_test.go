package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rtpjet/tests/lab"
)

// missing skips the test, or fails it where everything must be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// wish is what the browser's side wants to happen; answered with what came of it.
type wish struct {
	Do   string `json:"do"`   // place, resignal, delete, kill, restart, crowd, log
	Node string `json:"node"` // by its name
	Call string `json:"call"`
	Skip int    `json:"skip"`
	Num  int    `json:"num"`
	Text string `json:"text"`
}

// TestPage looks at the page as an operator does. WEB_SHOTS names a folder to put the screenshots of docs/ into.
func TestPage(t *testing.T) {
	lab.Only(t, "a browser, three nodes and two minutes")
	if testing.Short() {
		t.Skip("starts processes and a browser; not with -short")
	}
	js, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed (Debian package nodejs)")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium is not installed (Debian package chromium)")
	}
	for _, name := range []string{"playwright-core", "axe-core"} {
		if _, err := os.Stat(filepath.Join("node_modules", name)); err != nil {
			missing(t, "the npm package %s is not installed (npm ci --prefix tests/web)", name)
		}
	}
	c := startCluster(t)
	config, err := json.Marshal(map[string]any{"url": c.bystander().url(), "token": token, "chromium": chromium, "profile": t.TempDir(), "shots": os.Getenv("WEB_SHOTS")})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), js, "look.mjs", string(config))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]*call{}
	replies := json.NewEncoder(in)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var w wish
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			t.Errorf("%s: %v", lines.Text(), err)
			continue
		}
		if w.Do == "log" {
			t.Log(w.Text)
			continue
		}
		reply := map[string]any{"ok": true}
		if err := c.fulfil(w, calls); err != nil {
			reply = map[string]any{"error": err.Error()}
		}
		if err := replies.Encode(reply); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("look.mjs: %v", err)
	}
}

func (c *cluster) fulfil(w wish, calls map[string]*call) error {
	find := func(id string) *node {
		for _, n := range c.nodes {
			if n.id == id {
				return n
			}
		}
		return c.nodes[0]
	}
	switch w.Do {
	case "place":
		x, err := c.place(w.Call, find(w.Node), c.nodes[0], w.Skip)
		if err != nil {
			return err
		}
		calls[w.Call] = x
	case "crowd":
		for i := range w.Num {
			id := fmt.Sprintf("%s-%03d", w.Call, i+1)
			x, err := c.place(id, c.nodes[i%3], c.nodes[(i+1)%3], 0)
			if err != nil {
				return err
			}
			calls[id] = x
		}
	case "resignal":
		return calls[w.Call].signal(find(w.Node), find(w.Node))
	case "delete":
		return calls[w.Call].delete(find(w.Node))
	case "kill":
		n := find(w.Node)
		if err := n.cmd.Process.Kill(); err != nil {
			return err
		}
		<-n.ended
	case "restart":
		bin, err := program()
		if err != nil {
			return err
		}
		c.start(find(w.Node), bin)
	default:
		return fmt.Errorf("%q is no wish", w.Do)
	}
	return nil
}
