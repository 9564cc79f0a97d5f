package ng

// Canonical names of the commands that have a meaning of their own in this package or the server.
const (
	CommandPing       = "ping"
	CommandOffer      = "offer"
	CommandAnswer     = "answer"
	CommandDelete     = "delete"
	CommandQuery      = "query"
	CommandList       = "list"
	CommandStatistics = "statistics"
)

// CommandInfo names a command: on the wire, and in the keys of statistics.
type CommandInfo struct{ Name, Short string }

// Commands are all NG commands in the order of their statistics. The slice must not be changed.
var Commands = []CommandInfo{
	{CommandPing, "ping"}, {CommandOffer, "offer"}, {CommandAnswer, "answer"}, {CommandDelete, "delete"},
	{CommandQuery, "query"}, {CommandList, "list"},
	{"start recording", "startrec"}, {"stop recording", "stoprec"}, {"pause recording", "pauserec"},
	{"start forwarding", "startfwd"}, {"stop forwarding", "stopfwd"},
	{"block DTMF", "blkdtmf"}, {"unblock DTMF", "unblkdtmf"}, {"block media", "blkmedia"}, {"unblock media", "unblkmedia"},
	{"play media", "playmedia"}, {"stop media", "stopmedia"}, {"play DTMF", "playdtmf"}, {CommandStatistics, "stats"},
	{"silence media", "slnmedia"}, {"unsilence media", "unslnmedia"},
	{"publish", "pub"}, {"subscribe request", "subreq"}, {"subscribe answer", "subans"}, {"unsubscribe", "unsub"},
	{"inject start", "injstart"}, {"inject stop", "injstop"}, {"connect", "conn"}, {"cli", "cli"}, {"transform", "trnsfm"},
	{"create", "create"}, {"create answer", "crtansw"}, {"mesh", "mesh"},
}

var commandIndex = func() map[string]int {
	m := make(map[string]int, len(Commands)+1)
	for i, c := range Commands {
		m[c.Name] = i
	}
	m["CLI"] = m["cli"]
	return m
}()

// CommandIndex returns the place of a canonical command in Commands, or -1.
func CommandIndex(name string) int {
	if i, ok := commandIndex[name]; ok {
		return i
	}
	return -1
}
