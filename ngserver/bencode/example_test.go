package bencode_test

import (
	"fmt"

	"rtpjet/ngserver/bencode"
)

// A command as a SIP proxy sends it. The keys keep the order in which they were added.
func ExampleDict() {
	cmd := new(bencode.Dict).Add("command", "delete").Add("call-id", "a84b4c76e66710").Add("flags", bencode.List{"fatal"})
	b, err := bencode.Append(nil, cmd)
	fmt.Println(string(b), err)
	// Output: d7:command6:delete7:call-id14:a84b4c76e667105:flagsl5:fatalee <nil>
}

// What follows the dictionary in a datagram is the caller's.
func ExampleDecodeDict() {
	d, rest, err := bencode.DecodeDict([]byte("d7:command4:ping1:ni42ee and more"))
	if err != nil {
		fmt.Println(err)
		return
	}
	command, _ := d.Get("command")
	n, _ := d.Get("n")
	fmt.Printf("%s %d %q\n", command, n, rest)
	// Output: ping 42 " and more"
}
