package embed

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// silence is the answer that never comes.
const silence = ""

// script stands in for JetStream and answers a log with what a test says: lost answers, entries that are under way and leaders
// that are behind are rare on a server.
type script struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   map[string][]*nats.Msg
}

// newScript is a log whose server has no JetStream but a script. What the script has no answer to has nobody who answers.
func newScript(t testing.TB, cfg Config) (*Log, *script) {
	t.Helper()
	nc := connect(t, run(t, &server.Options{ServerName: "n1", NoSigs: true, NoLog: true, DontListen: true}))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Region == "" {
		cfg.Region = "r"
	}
	cfg.Logger = testLogger(t)
	l, err := attachTo(nc, js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, &script{answers: make(map[string][]string), asked: make(map[string][]*nats.Msg)}
}

// on answers what comes to a subject with one text after the other, and then with the last one again and again.
func (s *script) on(t testing.TB, l *Log, subject string, answers ...string) {
	t.Helper()
	s.mu.Lock()
	_, have := s.answers[subject]
	s.answers[subject], s.asked[subject] = answers, nil
	s.mu.Unlock()
	if have {
		return
	}
	if _, err := l.nc.Subscribe(subject, func(m *nats.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[subject] = append(s.asked[subject], m)
		list := s.answers[subject]
		if len(list) > 1 {
			s.answers[subject] = list[1:]
		}
		if m.Reply != "" && list[0] != silence {
			_ = m.Respond([]byte(list[0]))
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// questions are what came to a subject since its answers were set.
func (s *script) questions(subject string) []*nats.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked[subject])
}

// bodies is the text of each of them.
func (s *script) bodies(subject string) (list []string) {
	for _, m := range s.questions(subject) {
		list = append(list, string(m.Data))
	}
	return list
}

// Answers of a server.

func faultAnswer(status, code int, text string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"err_code":%d,"description":%q}}`, status, code, text)
}

func ackAnswer(seq uint64) string { return fmt.Sprintf(`{"stream":"CALLS_r","seq":%d}`, seq) }

func msgAnswer(seq uint64, data string, header nats.Header) string {
	m := map[string]any{"seq": seq, "data": []byte(data)}
	if header != nil {
		b := []byte("NATS/1.0\r\n")
		for k := range header {
			b = fmt.Appendf(b, "%s: %s\r\n", k, header.Get(k))
		}
		m["hdrs"] = append(b, "\r\n"...)
	}
	b, _ := json.Marshal(map[string]any{"message": m})
	return string(b)
}

var (
	noMessage   = faultAnswer(404, codeNoMessage, "no message found")
	unavailable = faultAnswer(503, 10008, "JetStream system temporarily unavailable")
	badRequest  = faultAnswer(400, 10003, "bad request")
	inFlight    = faultAnswer(400, codeWrongLastSeqConst, "wrong last sequence")
)

const (
	callsGet  = "$JS.API.STREAM.MSG.GET.CALLS_r"
	callsInfo = "$JS.API.STREAM.INFO.CALLS_r"
	callsK    = "calls.r.k"
)
