package ng

// Canonical names of the commands that have a meaning of their own somewhere.
const (
	CommandPing       = "ping"
	CommandOffer      = "offer"
	CommandAnswer     = "answer"
	CommandDelete     = "delete"
	CommandQuery      = "query"
	CommandList       = "list"
	CommandStatistics = "statistics"
)

// Action is what a command does. Commands of one action are carried out by the same code, in whatever place they are carried out:
// here, for another region on its mirror, in a simulation, and once more in a replay.
type Action uint8

// The actions. Those from ActionSignal on change their call: what they decide is an event in the log.
const (
	ActionRefuse     Action = iota // nothing: this build refuses the command
	ActionPing                     // it tells that the node lives
	ActionList                     // it tells of the calls that the node knows
	ActionStatistics               // it tells what the node has counted
	ActionQuery                    // it tells of a call
	ActionRecord                   // nothing, and the reply says so: it concerns the recording of a call
	ActionSignal                   // an offer or answer: it sets up parties, sections and sockets, and may give the call another owner
	ActionDelete                   // it ends a call, some of its parties or branches, or has that done later
	ActionBlock                    // it changes what of the parties' media is relayed
)

// Changes tells whether a command of this action may change its call.
func (a Action) Changes() bool { return a >= ActionSignal }

// Answerer is who may answer a command.
type Answerer uint8

// Who may answer.
const (
	// AnyNode: the node that it came to, from what that knows.
	AnyNode Answerer = iota
	// HomeRegion: a node of the region that has the call; others forward it there. If that region's log can be reached and none of
	// its nodes answers, a command that changes the call and needs no sockets for it is decided on the mirror here and written there.
	HomeRegion
	// HomeOrMirror: as HomeRegion, and if that does not answer, whoever has a mirror of it, with a warning.
	HomeOrMirror
)

// CommandInfo is what there is to know of a command beside its options.
type CommandInfo struct {
	// Name is the command's canonical name on the wire, and Short its part in the keys of statistics.
	Name, Short string
	Action      Action
	Answerer    Answerer
	// Begins: it may begin a call.
	Begins bool
	// Lacks is the feature that this build lacks to carry the command out; 0 if there is none, or if its options say.
	Lacks Undone
}

// ConcernsCall tells whether the command is about one call, which its call-id names.
func (c *CommandInfo) ConcernsCall() bool { return c.Answerer != AnyNode }

// Commands are all NG commands in the order of their statistics. The slice must not be changed. What carries a command out, forwards
// it, runs it again or describes it reads this table: a new command is one row, and code for its action if that is a new one.
var Commands = []CommandInfo{
	{Name: CommandPing, Short: "ping", Action: ActionPing},
	{Name: CommandOffer, Short: "offer", Action: ActionSignal, Answerer: HomeRegion, Begins: true},
	{Name: CommandAnswer, Short: "answer", Action: ActionSignal, Answerer: HomeRegion},
	{Name: CommandDelete, Short: "delete", Action: ActionDelete, Answerer: HomeRegion},
	{Name: CommandQuery, Short: "query", Action: ActionQuery, Answerer: HomeOrMirror},
	{Name: CommandList, Short: "list", Action: ActionList},
	{Name: "start recording", Short: "startrec", Action: ActionRecord, Answerer: HomeRegion, Lacks: UndoneRecording},
	{Name: "stop recording", Short: "stoprec", Action: ActionRecord, Answerer: HomeRegion}, // there is nothing to stop
	{Name: "pause recording", Short: "pauserec", Action: ActionRecord, Answerer: HomeRegion, Lacks: UndoneRecording},
	{Name: "start forwarding", Short: "startfwd", Lacks: UndoneForwarding},
	{Name: "stop forwarding", Short: "stopfwd", Lacks: UndoneForwarding},
	{Name: "block DTMF", Short: "blkdtmf", Action: ActionBlock, Answerer: HomeRegion},
	{Name: "unblock DTMF", Short: "unblkdtmf", Action: ActionBlock, Answerer: HomeRegion},
	{Name: "block media", Short: "blkmedia", Action: ActionBlock, Answerer: HomeRegion},
	{Name: "unblock media", Short: "unblkmedia", Action: ActionBlock, Answerer: HomeRegion},
	{Name: "play media", Short: "playmedia", Lacks: UndonePlayback},
	{Name: "stop media", Short: "stopmedia", Lacks: UndonePlayback},
	{Name: "play DTMF", Short: "playdtmf", Lacks: UndoneDTMF},
	{Name: CommandStatistics, Short: "stats", Action: ActionStatistics},
	{Name: "silence media", Short: "slnmedia", Lacks: UndoneSilence},
	{Name: "unsilence media", Short: "unslnmedia", Lacks: UndoneSilence},
	{Name: "publish", Short: "pub", Lacks: UndoneSubscriptions},
	{Name: "subscribe request", Short: "subreq", Lacks: UndoneSubscriptions},
	{Name: "subscribe answer", Short: "subans", Lacks: UndoneSubscriptions},
	{Name: "unsubscribe", Short: "unsub", Lacks: UndoneSubscriptions},
	{Name: "inject start", Short: "injstart", Lacks: UndoneConnect},
	{Name: "inject stop", Short: "injstop", Lacks: UndoneConnect},
	{Name: "connect", Short: "conn", Lacks: UndoneConnect},
	{Name: "cli", Short: "cli"}, // rtpengine's own command line, for which there are other ways here
	{Name: "transform", Short: "trnsfm", Lacks: UndoneTransform},
	{Name: "create", Short: "create", Lacks: UndoneConnect},
	{Name: "create answer", Short: "crtansw", Lacks: UndoneConnect},
	{Name: "mesh", Short: "mesh", Lacks: UndoneConnect},
}

var commandIndex = func() map[string]int {
	m := make(map[string]int, len(Commands)+1)
	for i := range Commands {
		m[Commands[i].Name] = i
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

// unknownCommand is refused, as a command that this build does not have.
var unknownCommand CommandInfo

// CommandOf returns the row of a command, by its canonical name; one that is none is refused. The row must not be changed.
func CommandOf(name string) *CommandInfo {
	if i := CommandIndex(name); i >= 0 {
		return &Commands[i]
	}
	return &unknownCommand
}

// Info returns the row of the request's command.
func (r *Request) Info() *CommandInfo { return CommandOf(r.Command) }
