package pages

// Cluster is all that the first page shows, as one node sees it.
type Cluster struct {
	Node     string  `json:"node"` // that says so
	Region   string  `json:"region,omitempty"`
	At       int64   `json:"at"` // µs of Unix time
	ReadOnly bool    `json:"read_only"`
	Nodes    []Node  `json:"nodes"`
	Floats   []Float `json:"floats"`
	Calls    int64   `json:"calls"`
	// PacketsIn and PacketsOut are packets a second of all nodes that answer.
	PacketsIn  uint64 `json:"packets_in"`
	PacketsOut uint64 `json:"packets_out"`
}

// Node is one node of the cluster. What it says of itself is missing (Answers false) if it does not answer.
type Node struct {
	ID       string   `json:"id"`
	State    string   `json:"state"` // alive, silent, gone; draining; down
	Answers  bool     `json:"answers"`
	Draining bool     `json:"draining"`
	Calls    int64    `json:"calls"`
	Known    int64    `json:"known"`
	Version  string   `json:"version"`
	Started  int64    `json:"started"` // µs of Unix time
	Epoch    uint64   `json:"epoch"`
	NG       []string `json:"ng"`
	Media    []string `json:"media"`
	Zone     string   `json:"zone,omitempty"`

	// Lease is the state of its lease: up, down or lost; By who claimed a lost one, LeaseAt when it was last written.
	Lease   string `json:"lease"`
	By      string `json:"by,omitempty"`
	LeaseAt int64  `json:"lease_at"`

	// Behind is how many events the node has still to read, and Lag how old the first of them is, in µs.
	Behind     uint64 `json:"behind"`
	Lag        int64  `json:"lag"`
	Unlogged   int64  `json:"unlogged"`
	PacketsIn  uint64 `json:"packets_in"` // a second
	PacketsOut uint64 `json:"packets_out"`
}

// Float is a floating address.
type Float struct {
	ID        string   `json:"id"`
	Addresses []string `json:"addresses"`
	Holder    string   `json:"holder"`
	Successor string   `json:"successor"`
	Ready     bool     `json:"ready"` // the successor has all calls ready
	Epoch     uint64   `json:"epoch"`
	Calls     int64    `json:"calls"`
	Moves     string   `json:"moves,omitempty"` // where a planned move leads
	Why       string   `json:"why,omitempty"`   // what led its holder to take it
	MovedAt   int64    `json:"moved_at,omitempty"`
	Agreed    bool     `json:"agreed"` // all nodes name the same holder
}
