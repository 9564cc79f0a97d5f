package keeper

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
)

// maxMessage bounds a message between node and keeper, which goes as one packet.
const maxMessage = 128 << 10

// Float is one float that the node can hold.
type Float struct {
	ID    string            `json:"id"`
	Addrs []netaddr.Address `json:"addrs"`
}

// Config is what a keeper is started with.
type Config struct {
	Node string `json:"node"`
	// Floats are those that the node can hold, in the order of their deadlines in the shared memory. None: the node only votes.
	Floats []Float `json:"floats,omitempty"`
	// Timeout is the silence after which a holder is replaced.
	Timeout time.Duration `json:"timeout"`
	// Balance and Settle are how floats move to a node that has come back; see floats.Config.
	Balance time.Duration `json:"balance,omitempty"`
	Settle  time.Duration `json:"settle,omitempty"`
	// NodeSilence is how long the node may say nothing before its floats are given up. It says something every AliveEvery. A
	// node that is stopped (SIGSTOP) is noticed at once.
	NodeSilence time.Duration `json:"node_silence"`
	Provider    string        `json:"provider"`
	// Bind is the address on which keepers hear each other, by UDP and TCP on one port.
	Bind netip.Addr `json:"bind"`
	// Key proves pulses; may be empty.
	Key      []byte     `json:"key,omitempty"`
	LogLevel slog.Level `json:"log_level"`
	LogJSON  bool       `json:"log_json,omitempty"`
	// PID is the node's process.
	PID int `json:"pid"`
	// Canary is a thread of the node that ends only with it; 0: none.
	Canary int `json:"canary,omitempty"`
}

// AliveEvery is how often a node says that it lives.
const AliveEvery = 50 * time.Millisecond

// order is a message of the node. An empty one says that it lives.
type order struct {
	Config  *Config         `json:"config,omitempty"` // the first message
	Run     uint64          `json:"run,omitempty"`    // take part, as this process
	Nodes   *nodes          `json:"nodes,omitempty"`
	Ready   bool            `json:"ready,omitempty"` // the calls are known
	Warm    *warm           `json:"warm,omitempty"`
	Drain   *bool           `json:"drain,omitempty"`
	Move    *move           `json:"move,omitempty"`
	Record  *floats.Record  `json:"record,omitempty"`
	Pulse   json.RawMessage `json:"pulse,omitempty"` // of a peer, heard by NATS
	Release bool            `json:"release,omitempty"`
}

type nodes struct {
	Voters []string                  `json:"voters"`
	Peers  map[string]netip.AddrPort `json:"peers"` // where their keepers are
}

type warm struct {
	Float string `json:"float"`
	On    bool   `json:"on"`
}

type move struct {
	ID    uint64 `json:"id"`
	Float string `json:"float"`
	To    string `json:"to,omitempty"`
}

// report is a message of the keeper.
type report struct {
	Started *started        `json:"started,omitempty"` // the first message
	States  []floats.State  `json:"states,omitempty"`
	Moved   *moved          `json:"moved,omitempty"`
	Fatal   string          `json:"fatal,omitempty"` // the node must end
	Pulse   json.RawMessage `json:"pulse,omitempty"` // to be sent by NATS
}

type started struct {
	Addr  netip.AddrPort `json:"addr"`
	Error string         `json:"error,omitempty"`
	Runs  []string       `json:"runs,omitempty"` // with what privileges
}

type moved struct {
	ID     uint64 `json:"id"`
	Target string `json:"target,omitempty"`
	Error  string `json:"error,omitempty"`
}

func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > maxMessage {
		err = fmt.Errorf("it is %d bytes long", len(data))
	}
	if err != nil {
		return nil, fmt.Errorf("write a message between node and keeper: %w", err)
	}
	return data, nil
}

func decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read a message between node and keeper: %w", err)
	}
	return nil
}
