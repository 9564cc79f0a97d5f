package server

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// refusalAgain is the least time from one line about a refusal to the next: servers try again each second.
const refusalAgain = time.Minute

// routeAddr is what the server's lines about a route begin with.
var routeAddr = regexp.MustCompile(`^(\S+) - rid:\d+ - `)

// refusal recognises the server's lines about a route that was refused, and says it in a sentence: why is for ourselves, if
// it was us who were refused; about is for the log if it was the other side.
func (l *serverLog) refusal(line string) (why, about string) {
	m := routeAddr.FindStringSubmatch(line)
	if m == nil {
		return "", ""
	}
	addr := m[1]
	switch {
	case strings.Contains(line, "Route Error") && strings.Contains(line, "Authorization Violation"):
		key := "it has another cluster key than ours, or none; give all nodes of a cluster the same --cluster-key-file"
		if !l.keyed {
			key = "it wants a cluster key; give this node the same --cluster-key-file as the others"
		}
		return fmt.Sprintf("the server at %s refuses this node: %s", addr, key), ""
	case strings.Contains(line, "Route Error") && strings.Contains(line, "cluster name"):
		return fmt.Sprintf("the server at %s refuses this node: it is of another region; correct --region or --nats-routes", addr), ""
	case strings.Contains(line, "duplicate name"):
		return fmt.Sprintf("the server at %s has the same name as this node; give each node a --node-id of its own", addr), ""
	case strings.Contains(line, "authentication error"):
		return "", fmt.Sprintf("refused a server at %s: it has another cluster key than ours, or none", addr)
	}
	return "", ""
}

// noteRefusal handles a line if it is about a refusal: it is told at most once a minute and address.
func (l *serverLog) noteRefusal(line string) bool {
	why, about := l.refusal(line)
	text := why + about
	if text == "" {
		return false
	}
	now := time.Now()
	l.mu.Lock()
	if why != "" && l.refusedWhy == "" {
		l.refusedAt, l.refusedWhy = now, why
	}
	if l.told == nil {
		l.told = make(map[string]time.Time)
	}
	// The other side's port changes with each of its attempts.
	host, _, _ := strings.Cut(routeAddr.FindStringSubmatch(line)[1], ":")
	topic := host + " " + text[:strings.Index(text, " at ")]
	again := now.Sub(l.told[topic]) > refusalAgain
	if again {
		l.told[topic] = now
	}
	l.mu.Unlock()
	if again {
		l.print(slog.LevelWarn, "%s", []any{text})
	}
	return true
}

// refused tells since when and why this node is refused by another server; why is empty if it is not.
func (l *serverLog) refused() (at time.Time, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusedAt, l.refusedWhy
}
